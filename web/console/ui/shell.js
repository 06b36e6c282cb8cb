// What stands around every page: the way to the others, whether it is current, who is logged in, light or dark.

import { ask, logIn, logOut, who } from "../lib/api.js";
import { duration, html, ROOT, to, useCell, useEffect, useNow, useState } from "../lib/base.js";
import { freshness, QUIET } from "../lib/live.js";
import { go, route, setQuery } from "../lib/route.js";
import { Dialog, Trouble, useSend } from "./parts.js";

const THEMES = ["auto", "light", "dark"];

function useTheme() {
  const [theme, setTheme] = useState(() => localStorage.getItem("emgate-theme") ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("emgate-theme", theme);
  }, [theme]);
  return { theme, next: () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto") };
}

/** @param {{children: any}} props */
export function Shell({ children }) {
  const { parts } = useCell(route);
  const me = useCell(who);
  const { theme, next } = useTheme();
  const [menu, setMenu] = useState(false);
  const [help, setHelp] = useState(false);
  const current = `/${parts[0] === "failovers" || !parts[0] ? "" : parts[0]}`;
  const leave = (/** @type {Event} */ event) => {
    event.preventDefault();
    document.querySelector("h1")?.focus();
  };
  return html`<a class="skip" href="#main" onClick=${leave}>To the content</a>
    <header class="top">
      <a class="brand" href=${to("/")}>emgate</a>
      <button type="button" class="menu plain" aria-expanded=${menu} aria-controls="pages" onClick=${() => setMenu(!menu)}>Menu</button>
      <nav id="pages" aria-label="Pages" class=${menu ? "open" : ""} onClick=${() => setMenu(false)}>
        ${PAGES.map(([, name, path]) => html`<a href=${to(path)} aria-current=${path === current ? "page" : null}>${name}</a>`)}
      </nav>
      <span class="side">
        <${Fresh} />
        ${me.subject && html`<span class="who" title=${me.tenant ? `confined to ${me.tenant}` : null}>${me.subject}</span>`}
        <button type="button" class="plain" onClick=${next} aria-label=${`Colours: ${theme}`}>${theme}</button>
        <button type="button" class="plain" onClick=${() => setHelp(true)} aria-label="Keys">?</button>
        ${me.state === "in" && html`<button type="button" class="plain" onClick=${logOut}>Log out</button>`}
      </span>
    </header>
    <main id="main">${children}</main>
    <${Keys} open=${help} setOpen=${setHelp} />`;
}

/** The page's heading, and the title and favicon of its tab with what is running and what failed. @param {{title: string, children?: any}} props */
export function Heading({ children, title }) {
  useEffect(() => {
    document.title = `${title} · emgate`;
  }, [title]);
  return html`<h1 tabindex="-1">${children}</h1>`;
}

// The keyboard: `g` and a letter goes to a page, `/` to the filter, `?` shows this list. Never while a text is typed.

/** @type {[string, string, string][]} letter, page, address */
export const PAGES = [
  ["b", "Board", "/"],
  ["p", "Plans", "/plans"],
  ["a", "Approvals", "/approvals"],
  ["d", "Deliveries", "/deliveries"],
  ["n", "Endpoints", "/endpoints"],
  ["e", "Events", "/events"],
  ["r", "Reports", "/reports"],
  ["u", "Audit", "/audit"],
  ["s", "System", "/system"],
];
const PATIENCE = 1_500;

/** @param {{open: boolean, setOpen: (open: boolean) => void}} props */
export function Keys({ open, setOpen }) {
  useEffect(() => {
    let prefixed = 0;
    const press = (/** @type {KeyboardEvent} */ event) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const page = Date.now() - prefixed < PATIENCE && PAGES.find(([letter]) => letter === event.key);
      prefixed = event.key === "g" ? Date.now() : 0;
      if (page) go(to(page[2]));
      if (event.key === "?") setOpen(true);
      const filter = document.querySelector("[data-filter]");
      if (event.key === "/" && filter instanceof HTMLElement) {
        event.preventDefault();
        filter.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  if (!open) return null;
  return html`<${Dialog} title="Keys" close=${() => setOpen(false)}>
    <dl class="facts keys">
      ${PAGES.map(([letter, name]) => html`<div><dt><kbd>g</kbd> <kbd>${letter}</kbd></dt><dd>${name}</dd></div>`)}
      <div><dt><kbd>/</kbd></dt><dd>Filter of the page</dd></div>
      <div><dt><kbd>?</kbd></dt><dd>This list</dd></div>
      <div><dt><kbd>Esc</kbd></dt><dd>Close a dialog</dd></div>
    </dl>
  <//>`;
}

// Whether what is shown is current: always visible, in words, amber from 10 s and red from 30 s.

export function Fresh() {
  useNow();
  const { state, heardAt, retryAt } = useCell(freshness);
  const silent = heardAt ? Date.now() - heardAt : 0;
  const stale = `stale ${duration(silent)}`;
  const next = `offline, trying in ${Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))} s`;
  /** @type {Record<Freshness["state"], string>} */
  const words = {
    idle: "connecting",
    connecting: heardAt ? `${stale}, connecting` : "connecting",
    live: silent > QUIET ? stale : "live",
    waiting: heardAt ? `${stale}, ${next}` : next,
    hidden: "paused while hidden",
    forbidden: "not live: needs events:read",
    out: "signed out",
  };
  const tone = state === "live" && silent <= QUIET ? "good" : state === "out" || silent > 30_000 ? "bad" : state === "forbidden" || silent > 10_000 ? "warn" : "quiet";
  return html`<span class="fresh ${tone}" data-fresh=${state}>${words[state]}</span>`;
}

// The login: a pasted token, or the company's own login page. It covers nothing: what was shown stays below it.

/** Why nobody came back logged in, by the gateway's word for it. @type {Record<string, string>} */
const REASONS = {
  state: "The login was begun elsewhere, took too long, or was used before. Begin again.",
  denied: "The identity provider did not let you in.",
  provider: "The identity provider does not answer as it should.",
  code: "The identity provider did not take back its own code.",
  token: "What the identity provider gave is not meant for this login.",
  refused: "The gateway does not accept you.",
};

/** The view to come back to, as the gateway takes it: below its own root, without what a failed login left there. */
function view() {
  const url = new URL(location.href);
  for (const name of ["login", "reason"]) url.searchParams.delete(name);
  return `/${(url.pathname + url.search).slice(ROOT.length)}`;
}

/** @param {{again: boolean}} props `again`: somebody was logged in before */
export function Login({ again }) {
  const { query } = useCell(route);
  const failed = query.get("login") === "failed" && `${REASONS[query.get("reason") ?? ""] ?? "The login failed."} The gateway's log has more.`;
  const [token, setToken] = useState("");
  const [options, setOptions] = useState(/** @type {LoginOptions | null} */ (null));
  const { run, busy, problem } = useSend(async () => {
    await logIn(token.trim().replace(/^Bearer\s+/i, ""));
    setToken("");
    if (failed) setQuery({ login: null, reason: null });
  });
  useEffect(() => {
    ask("/console/login-options", { open: true }).then(({ data }) => setOptions(data), () => {});
  }, []);
  const refused = problem && problem.status === 401 ? { ...problem, status: 403, title: "The token is not accepted", detail: problem.detail, body: problem.body } : problem;
  const unsafe = location.protocol === "http:" && !/^(localhost|127\.|\[::1\])/.test(location.hostname);
  return html`<section class="login" aria-labelledby="login-title">
    <h1 id="login-title">${again ? "The session has ended: log in to go on" : "Log in"}</h1>
    ${again && html`<p>What is below is as it was. Nothing on it is current.</p>`}
    ${unsafe && html`<p class="trouble">This address has no TLS: the browser keeps no login here. Open the console by https, or on the gateway's own machine.</p>`}
    ${failed && html`<p class="trouble" role="alert">${failed}</p>`}
    ${options?.oidc?.enabled && html`<p><a class="button main" href=${`${ROOT}console/login?to=${encodeURIComponent(view())}`} target="_self">Log in with ${options.oidc.name || "the company's account"}</a></p>`}
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      run();
    }}>
      <label>Token (a JWT)<input type="password" name="token" autocomplete="off" spellcheck="false" required value=${token} onInput=${(/** @type {any} */ event) => setToken(event.currentTarget.value)} /></label>
      <p class="fine">It goes to the gateway once. The browser keeps a cookie that scripts cannot read, until the token ends.</p>
      <${Trouble} problem=${refused} />
      <button type="submit" class="main" disabled=${busy || !token.trim()}>${busy ? "Checking…" : "Log in"}</button>
    </form>
  </section>`;
}

// The counts in the tab: in the title and as the favicon, so that a tab in the background tells whether it is needed.

let prefix = "";
const icon = document.querySelector('link[rel="icon"]');
const title = document.querySelector("title");

/** @param {string} colour @param {string} text */
const drawn = (colour, text) =>
  `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${colour}"/><text x="16" y="23" font-family="sans-serif" font-weight="700" font-size="20" text-anchor="middle" fill="#fff">${text}</text></svg>`)}`;

/** @param {number | null} running @param {number} needed */
export function badge(running, needed) {
  prefix = needed ? `(${needed} need you) ` : running ? `(${running} running) ` : "";
  if (icon instanceof HTMLLinkElement) icon.href = needed ? drawn("#b3261e", String(Math.min(needed, 99))) : running ? drawn("#1f5fbf", String(Math.min(running, 99))) : drawn("#4b5563", "e");
  retitle();
}

function retitle() {
  const plain = document.title.replace(/^\(\d+ (need you|running)\) /, "");
  if (document.title !== prefix + plain) document.title = prefix + plain;
}
if (title) new MutationObserver(retitle).observe(title, { childList: true });
