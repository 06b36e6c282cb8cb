// The small parts that all pages are made of: words with a symbol for states, times that tick, problems, sections.

import { asProblem, details, may } from "../lib/api.js";
import { age, dayOf, duration, html, moment, useEffect, useNow, useRef, useState } from "../lib/base.js";
import { setQuery } from "../lib/route.js";

/** Symbol and tone of a word; the word itself says all. @type {Record<string, [string, string]>} */
const WORDS = {
  success: ["✓", "good"], passed: ["✓", "good"], met: ["✓", "good"], ok: ["✓", "good"], up: ["✓", "good"], delivered: ["✓", "good"], pass: ["✓", "good"], done: ["✓", "good"], ready: ["✓", "good"], accepted: ["✓", "quiet"], finished: ["✓", "quiet"],
  warning: ["!", "warn"], degraded: ["!", "warn"], held: ["!", "warn"], awaitingApproval: ["!", "warn"], overdue: ["!", "warn"], passedWithWarnings: ["!", "warn"], sending: ["▸", "busy"],
  failed: ["✕", "bad"], missed: ["✕", "bad"], down: ["✕", "bad"], exhausted: ["✕", "bad"], fail: ["✕", "bad"], failing: ["✕", "bad"], refused: ["✕", "bad"], denied: ["✕", "bad"], quarantined: ["✕", "bad"],
  unknown: ["?", "warn"], cancelled: ["−", "quiet"], working: ["▸", "busy"], running: ["▸", "busy"], starting: ["▸", "busy"], stopping: ["▸", "busy"], submitting: ["▸", "busy"], pending: ["…", "busy"],
};
/** @type {Record<string, string>} */
const SPOKEN = { awaitingApproval: "awaiting approval", passedWithWarnings: "passed with warnings", notMeasured: "not measured", notSet: "no target" };

/** camelCase in words. @param {string} word */
export const spoken = (word) => SPOKEN[word] ?? word.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** A state or result: symbol and word, or what `label` says instead of the word. @param {{word: string | null | undefined, label?: string}} props */
export function State({ word, label }) {
  const [symbol, tone] = WORDS[word ?? ""] ?? ["·", "quiet"];
  return html`<span class="state ${tone}"><span aria-hidden="true">${symbol}</span> ${label ?? (word ? spoken(word) : "not told")}</span>`;
}

/** What kind of run it is, in a word that cannot be mistaken. @param {{action: string | null | undefined}} props */
export function Kind({ action }) {
  const [word, tone] = action === "test" ? ["TEST", "test"] : action === "start" ? ["REAL", "real"] : action ? [action.toUpperCase(), "other"] : ["OUTSIDE", "other"];
  return html`<span class="kind ${tone}" title=${action ? null : "Not started through the gateway"}>${word}</span>`;
}

/** How long ago, ticking. @param {{at: string | null | undefined, none?: string}} props */
export function Ago({ at, none = "never" }) {
  const now = useNow();
  return at ? html`<time datetime=${at} title=${at}>${age(now - Date.parse(at))}</time>` : html`<span class="quiet">${none}</span>`;
}

/** The time itself. @param {{at: string | null | undefined, none?: string}} props */
export function At({ at, none = "–" }) {
  const now = useNow();
  return at ? html`<time datetime=${at} title=${at}>${moment(at, now)}</time>` : html`<span class="quiet">${none}</span>`;
}

/** The day alone. @param {{at: string | null}} props */
export const Day = ({ at }) => (at ? html`<time datetime=${at} title=${at}>${dayOf(at)}</time>` : null);

/** From a time to another, or to now, ticking. @param {{from: string | null | undefined, to?: string | null}} props */
export function Elapsed({ from, to }) {
  const now = useNow();
  if (!from) return html`<span class="quiet">not started</span>`;
  return html`<span class="number">${duration((to ? Date.parse(to) : now) - Date.parse(from))}</span>`;
}

/** @param {{problem: import("../lib/api.js").Problem | null, retry?: () => void, kept?: boolean}} props */
export function Trouble({ problem, retry, kept }) {
  if (!problem || problem.status === 401) return null;
  const scope = /scope="?([a-z:]+)|scope ([a-z]+:[a-z]+)/.exec(problem.detail)?.slice(1).find(Boolean);
  return html`<div class="trouble" role="alert">
    <strong>${problem.title}.</strong> ${problem.code === "insufficient-scope" && scope ? `It needs the scope ${scope}.` : problem.detail}
    ${kept && html` <span>What is shown is from before.</span>`}
    ${retry && problem.code !== "insufficient-scope" && html` <button type="button" class="small" onClick=${retry}>Try again</button>`}
    ${details(problem).map((line) => html`<div class="fine">${line}</div>`)}
  </div>`;
}

/**
 * Something loaded: its trouble, its waiting, or what `children` makes of it.
 * @param {{of: Loaded<any>, children: any}} props
 */
export function Shown({ of, children }) {
  return html`<${Trouble} problem=${of.problem} retry=${of.reload} kept=${of.data !== null} />
    ${of.data !== null ? children(of.data) : of.problem ? null : html`<p class="quiet loading">Loading…</p>`}`;
}

/** @param {{title: string, count?: number | string | null, children?: any, actions?: any, tone?: string}} props */
export function Section({ title, count, children, actions, tone = "" }) {
  return html`<section class=${tone}>
    <header class="bar"><h2>${title}${count !== undefined && count !== null && html` <span class="count">${count}</span>`}</h2>${actions}</header>
    ${children}
  </section>`;
}

/**
 * A button for what a scope allows. Without it, it is disabled and says the scope; while that is not known, so.
 * @param {{scope: string, onClick: () => unknown, children?: any, tone?: string, busy?: boolean, off?: string | null}} props
 *   `off`: why it cannot be done now
 */
export function Act({ scope, onClick, children, tone = "", busy = false, off = null }) {
  const right = may(scope);
  const why = right === "no" ? `needs ${scope}` : right === "unknown" ? "permission unknown" : off;
  return html`<span class="act"><button type="button" class=${tone} disabled=${Boolean(why) || busy} onClick=${onClick}>${children}</button>${why && html`<span class="why">${why}</span>`}</span>`;
}

/** @param {{text: string, what: string}} props */
export function Copy({ text, what }) {
  const [said, say] = useState("Copy");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => say("Copied"),
      () => say("Select it and copy by hand"),
    );
  return html`<button type="button" class="small" aria-label=${`${said}: ${what}`} onClick=${copy}>${said}</button>`;
}

/** Pairs of a name and what it is. @param {{of: [string, any][]}} props */
export function Facts({ of }) {
  return html`<dl class="facts">${of.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value ?? html`<span class="quiet">–</span>`}</dd></div>`)}</dl>`;
}

// A table that stays one for screen readers when it is drawn as cards on a narrow screen: the roles are said.

/**
 * @template T
 * @param {{caption: string, columns: Column<T>[], rows: T[], id: (row: T) => string, empty: any, tone?: (row: T) => string}} props
 */
export function Table({ caption, columns, rows, id, empty, tone }) {
  if (!rows.length) return html`<p class="empty">${empty}</p>`;
  return html`<table role="table">
    <caption class="unseen">${caption}</caption>
    <thead role="rowgroup"><tr role="row">${columns.map(({ head, kind }) => html`<th role="columnheader" scope="col" class=${kind}>${head}</th>`)}</tr></thead>
    <tbody role="rowgroup">
      ${rows.map((row) => html`<tr role="row" key=${id(row)} class=${tone?.(row)}>
        ${columns.map(({ head, cell, kind }) => html`<td role="cell" class=${kind} data-head=${head}>${cell(row)}</td>`)}
      </tr>`)}
    </tbody>
  </table>`;
}

/** Older and newer pages of a list that goes by cursor or number; the place is part of the address. @param {{page: Page}} props */
export function Pager({ page }) {
  if (!page.next && !page.previous) return null;
  const turn = (/** @type {string} */ link) => {
    const query = new URL(link, location.href).searchParams;
    setQuery({ after: query.get("after"), before: query.get("before"), page: query.get("page") }, false);
  };
  return html`<nav class="pager" aria-label="Pages">
    <button type="button" disabled=${!page.previous} onClick=${() => page.previous && turn(page.previous)}>‹ Newer</button>
    ${page.number && html`<span class="quiet">page ${page.number} of ${page.total}</span>`}
    <button type="button" disabled=${!page.next} onClick=${() => page.next && turn(page.next)}>Older ›</button>
  </nav>`;
}

/** A choice that is part of the address. @param {{name: string, label: string, options: [string, string][], value: string}} props */
export function Filter({ name, label, options, value }) {
  return html`<label class="filter">${label}
    <select data-filter value=${value} onChange=${(/** @type {any} */ event) => setQuery({ [name]: event.currentTarget.value, after: null, before: null, page: null })}>
      ${options.map(([word, text]) => html`<option value=${word} selected=${word === value}>${text}</option>`)}
    </select></label>`;
}

/** A text that is part of the address once it is complete. @param {{name: string, label: string, value: string, hint?: string}} props */
export function Search({ name, label, value, hint }) {
  // What is being typed stays while live news draw the page anew.
  const [typed, type] = useState(/** @type {string | null} */ (null));
  const done = (/** @type {any} */ event) => {
    setQuery({ [name]: event.currentTarget.value.trim(), after: null, before: null, page: null });
    type(null);
  };
  return html`<label class="filter">${label}
    <input data-filter type="search" value=${typed ?? value} placeholder=${hint} onInput=${(/** @type {any} */ event) => type(event.currentTarget.value)} onChange=${done} /></label>`;
}

// A modal dialog of the browser's own: it keeps the focus inside, Escape closes it, and the focus goes back afterwards.

/** @param {{title: string, close: () => void, tone?: string, children?: any}} props */
export function Dialog({ title, close, tone = "", children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => before instanceof HTMLElement && before.focus();
  }, []);
  return html`<dialog ref=${box} class=${tone} aria-labelledby="dialog-title" onCancel=${(/** @type {Event} */ event) => {
    event.preventDefault();
    close();
  }}>
    <header class="bar"><h2 id="dialog-title">${title}</h2><button type="button" class="plain" aria-label="Close" onClick=${close}>✕</button></header>
    ${children}
  </dialog>`;
}

/**
 * Something that is sent: at most once at a time, with its trouble. `run` gives true when it was done.
 * @param {(...args: any[]) => Promise<unknown>} send
 */
export function useSend(send) {
  const [problem, tell] = useState(/** @type {import("../lib/api.js").Problem | null} */ (null));
  const [busy, mark] = useState(false);
  const under = useRef(false);
  const run = async (/** @type {any[]} */ ...args) => {
    if (under.current) return false;
    under.current = true;
    mark(true);
    tell(null);
    try {
      await send(...args);
      return true;
    } catch (error) {
      tell(asProblem(error));
      return false;
    } finally {
      under.current = false;
      mark(false);
    }
  };
  return { run, busy, problem };
}

/**
 * One question with a text to answer and one button.
 * @param {{title: string, label: string, required?: boolean, hint?: string, button: string, tone?: string, close: () => void, send: (text: string) => Promise<unknown>, children?: any}} props
 */
export function Ask({ title, label, required = false, hint, button, tone = "", close, send, children }) {
  const [text, setText] = useState("");
  const { run, busy, problem } = useSend(async () => {
    await send(text.trim());
    close();
  });
  return html`<${Dialog} title=${title} close=${close}>
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      run();
    }}>
      ${children}
      <label>${label}<textarea rows="2" maxlength="500" required=${required} value=${text} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}></textarea></label>
      ${hint && html`<p class="fine">${hint}</p>`}
      <${Trouble} problem=${problem} />
      <p class="buttons"><button type="submit" class=${tone || "main"} disabled=${busy || (required && !text.trim())}>${button}</button><button type="button" onClick=${close}>Back</button></p>
    </form>
  <//>`;
}
