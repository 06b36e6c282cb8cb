// The health strip: Enterprise Manager, the last complete look, webhooks, store, clocks and replicas, each in words.

import { asProblem, ask, signedOut } from "../lib/api.js";
import { age, ahead, cell, duration, html, now, useCell, useEffect, useNow } from "../lib/base.js";
import { onEvents } from "../lib/live.js";
import { State } from "./parts.js";

const EVERY = 15_000;
const LATE = 60_000;
/** What is due for less is on its way. */
const SOON = 5_000;

/** What the gateway says of itself; kept when it says nothing more. @type {Cell<{system: SystemView | null, silent: boolean}>} */
export const health = cell(/** @type {{system: SystemView | null, silent: boolean}} */ ({ system: null, silent: false }));

async function look() {
  if (document.hidden || signedOut.value) return;
  try {
    const { data } = await ask("/api/v1/system");
    health.set({ system: data, silent: false });
  } catch (error) {
    health.set({ ...health.value, silent: asProblem(error).status === 0 });
  }
}

/** Looks every 15 s while the component is there, and when Enterprise Manager comes or goes. */
export function useHealth() {
  useEffect(() => {
    look();
    const timer = setInterval(look, EVERY);
    const leave = [onEvents((events) => events.some(({ type }) => type.startsWith("upstream.")) && look()), signedOut.watch(look)];
    return () => {
      clearInterval(timer);
      for (const left of leave) left();
    };
  }, []);
  return useCell(health);
}

export function Health() {
  const { system, silent } = useHealth();
  useNow();
  const since = (/** @type {string | null | undefined} */ at) => (at ? now() - Date.parse(at) : null);
  const looked = since(system?.em.lastCompleteLookAt);
  const late = (since(system?.em.lookDueAt) ?? 0) > 0;
  const due = since(system?.webhooks?.oldestDueAt) ?? 0;
  const skew = system?.em.clockAheadMs ?? 0;
  /** @type {[string, string, string][]} name, word, text; what was not told is not known */
  const items = !system || silent
    ? []
    : [
        ["Enterprise Manager", system.em.reachable ? "ok" : "failed", system.em.reachable ? "answers" : `does not answer${system.em.since ? ` since ${age(since(system.em.since) ?? 0)}` : ""}`],
        ...(system.em.refusedSince ? [/** @type {[string, string, string]} */ (["Credentials", "failed", "refused by Enterprise Manager"])] : []),
        ["Last complete look", looked === null ? "unknown" : late ? "warning" : "ok", looked === null ? "none yet" : age(looked)],
        ["Webhooks", !system.webhooks ? "unknown" : due > LATE ? "warning" : "ok", !system.webhooks ? "needs webhooks:read" : due > SOON ? `oldest is late by ${duration(due)}` : "none is late"],
        ["Store", system.store.status, system.store.status === "ok" ? "writes" : "fails"],
        ["Clocks", Math.abs(skew) > LATE || Math.abs(ahead()) > LATE ? "warning" : "ok", clocks(skew)],
        ...(system.replicas ? [/** @type {[string, string, string]} */ (["Replicas", "ok", String(system.replicas.length)])] : []),
      ];
  return html`<ul class="health" aria-label="Health">
    ${silent && html`<li><${State} word="failed" label="The gateway does not answer. What is below is from before." /></li>`}
    ${!system && !silent && html`<li class="quiet">Asking the gateway how it is…</li>`}
    ${items.map(([name, word, text]) => html`<li key=${name}><span class="quiet">${name}</span> <${State} word=${word} label=${text} /></li>`)}
  </ul>`;
}

/** @param {number} skew milliseconds that EM is ahead of the gateway */
export function clocks(skew) {
  const browser = Math.abs(ahead()) > 5_000 ? `this browser is ${duration(Math.abs(ahead()))} ${ahead() > 0 ? "behind" : "ahead"}` : "this browser agrees";
  return `${Math.abs(skew) < 2_000 ? "EM agrees" : `EM is ${duration(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}`}, ${browser}`;
}
