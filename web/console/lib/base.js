// What all other files stand on: templates and hooks, watched values, the beat of drawing, addresses, the clock, words.

import { useEffect, useState } from "../vendor/hooks.js";
import htm from "../vendor/htm.js";
import { h } from "../vendor/preact.js";

export { render } from "../vendor/preact.js";
export { useEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export const html = htm.bind(h);

// A value that components watch. Whoever reads it with `useCell` is drawn again when it changes.

/**
 * @template T
 * @param {T} value
 * @returns {Cell<T>}
 */
export function cell(value) {
  const watchers = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const watcher of [...watchers]) watcher(next);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/**
 * @template T
 * @param {Cell<T>} source
 * @returns {T}
 */
export function useCell(source) {
  const [, draw] = useState(0);
  const { value } = source;
  useEffect(() => {
    const again = () => draw((/** @type {number} */ count) => count + 1);
    // It may have changed between the drawing and this.
    if (!Object.is(source.value, value)) again();
    return source.watch(again);
  }, [source]);
  return value;
}

// At most four drawings a second for whatever comes by itself: events of the stream and ticks of clocks wait for the
// next beat together. What a person does is drawn at once and never waits here.

const BEAT = 250;
/** @type {Set<() => void>} */
const waiting = new Set();
let last = 0;
/** @type {Timer} */
let timer;

function beat() {
  timer = undefined;
  last = performance.now();
  const due = [...waiting];
  waiting.clear();
  for (const run of due) run();
}

/** Runs `run` with the next beat, once however often it is asked for. @param {() => void} run */
export function withBeat(run) {
  waiting.add(run);
  timer ??= setTimeout(beat, Math.max(0, last + BEAT - performance.now()));
}

// Where the console and the API are, found from this module's own address, so that a prefix that a proxy adds survives.

const here = /^(.*\/)console\/v-[^/]+\//.exec(new URL(import.meta.url).pathname);
/** `{prefix}/console/v-{version}/`, where this file is, by itself or in a bundle. */
export const FILES = here?.[0] ?? "/";
/** `{prefix}/` */
export const ROOT = here?.[1] ?? "/";
/** `{prefix}/console/` */
export const CONSOLE = `${ROOT}console/`;

/** The address of a page of the console. @param {string} path begins with a slash */
export const to = (path) => CONSOLE + path.slice(1);

/** What an API link means here: its path, absolute or not, below our own prefix. @param {string} link */
export function api(link) {
  const { pathname, search } = new URL(link, "http://here.example");
  const at = pathname.search(/\/(api\/v1|console|readyz|healthz|metrics)(\/|$)/);
  return ROOT + pathname.slice(Math.max(at, 0) + 1) + search;
}

// The server's clock, as its answers tell it, and a tick each second for whatever shows a running time.
// The browser's own clock may be an hour off; nothing that is shown is computed from it alone.

let offset = 0;
let bestTrip = Infinity;

/** Milliseconds since 1970 by the server's clock. */
export const now = () => Date.now() + offset;
/** How far the server's clock is ahead of the browser's, in milliseconds. */
export const ahead = () => offset;

/**
 * Learns from the `Date` of an answer, which has whole seconds: the quickest answer is the best witness.
 * @param {string | null} date @param {number} asked @param {number} answered times by the browser's clock
 */
export function learn(date, asked, answered) {
  const told = date ? Date.parse(date) : NaN;
  const trip = answered - asked;
  if (Number.isNaN(told)) return;
  const found = told + 500 - (asked + answered) / 2;
  // A clock that was set meanwhile shows as more than a trip and a second can explain.
  if (trip > bestTrip && Math.abs(found - offset) < trip + 1500) return;
  bestTrip = trip;
  offset = Math.abs(found) < 1000 ? 0 : Math.round(found);
}

const tick = cell(0);
setInterval(() => {
  if (!document.hidden) withBeat(() => tick.set(now()));
}, 1000);
document.addEventListener("visibilitychange", () => tick.set(now()));

/** Draws the component again each second. Milliseconds by the server's clock. */
export function useNow() {
  useCell(tick);
  return now();
}

// How times, durations and counts are written. Words are short and never ambiguous: "3 min ago", "12 min 05 s".

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "2-digit" });

/** @param {number} ms */
export function duration(ms) {
  const all = Math.max(0, Math.round(ms / 1000));
  const [days, hours, minutes, seconds] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (days) return `${days} d ${two(hours)} h`;
  if (hours) return `${hours} h ${two(minutes)} min`;
  if (minutes) return `${minutes} min ${two(seconds)} s`;
  return `${seconds} s`;
}

/** @param {number} ms */
export function age(ms) {
  if (ms < 0) return `in ${duration(-ms)}`;
  if (ms < 1000) return "now";
  const rounded = ms < 60_000 ? ms : ms < 3_600_000 ? Math.floor(ms / 60_000) * 60_000 : ms;
  const text = duration(rounded).replace(/ 00 (s|min|h)$/, "");
  return `${text} ago`;
}

/** Local time; the day too when it is not today. @param {string} at @param {number} today */
export function moment(at, today) {
  const when = new Date(at);
  const time = clock.format(when);
  return when.toDateString() === new Date(today).toDateString() ? time : `${day.format(when)} ${time}`;
}

/** The local day. @param {string} at */
export const dayOf = (at) => day.format(new Date(at));

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : many}`;

/** `T+90 s` on the axis: as short as it can be. @param {number} seconds */
export function axis(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return seconds % 60 ? `${Math.floor(seconds / 60)} m ${seconds % 60} s` : `${seconds / 60} min`;
  return seconds % 3600 ? `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} m` : `${seconds / 3600} h`;
}
