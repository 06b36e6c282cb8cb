// This tab's end of the one stream: finds the hub (a SharedWorker, else the tab that holds a lock), tells it whether
// anybody looks, and hands on what it says.

import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { ask, asProblem, signedOut } from "./api.js";
import { cell, FILES, ROOT, withBeat } from "./base.js";
import { Hub, QUIET } from "./hub.js";

/** @type {Cell<Freshness>} */
export const freshness = cell(/** @type {Freshness} */ ({ state: "idle", heardAt: 0, retryAt: 0 }));
export { QUIET };

/** @type {Set<(events: StreamEvent[]) => void>} */
const readers = new Set();
/** @type {Set<() => void>} */
const resetters = new Set();
/** @type {StreamEvent[]} */
let arrived = [];
const tab = String(Math.random());
const address = `${ROOT}api/v1/events/stream`;
const send = connect();

/** Hears all events from now on. @param {(events: StreamEvent[]) => void} reader */
export function onEvents(reader) {
  readers.add(reader);
  return () => readers.delete(reader);
}

/** Hears that events were missed, so that lists have to be read again. @param {() => void} resetter */
export function onReset(resetter) {
  resetters.add(resetter);
  return () => resetters.delete(resetter);
}

/** Where the stream begins, when it has not begun: the position that a list tells. @param {string} position */
export const begin = (position) => send({ kind: "begin", position });

function handOn() {
  const events = arrived;
  arrived = [];
  for (const reader of readers) reader(events);
}

/** @param {HubMessage} message */
function take(message) {
  if (message.kind === "events") {
    for (const { id, type, text } of message.events) {
      const event = { id, type, ...JSON.parse(text) };
      speakOf(event);
      arrived.push(event);
    }
    withBeat(handOn);
  }
  if (message.kind === "whoIsThere") tellPresence();
  if (message.kind === "reset") for (const resetter of resetters) resetter();
  if (message.kind === "status") {
    withBeat(() => freshness.set(message.status));
    if (message.status.state === "out") signedOut.set(true);
  }
}

/** @returns {(message: TabMessage) => void} */
function connect() {
  if (typeof SharedWorker === "function") {
    const { port } = new SharedWorker(workerAddress(), { type: "module", name: "emgate" });
    port.onmessage = ({ data }) => take(data);
    return (message) => port.postMessage(message);
  }
  return connectByLock();
}

/** The one address that a worker may have, as browsers with Trusted Types want it told. @returns {any} */
function workerAddress() {
  const url = new URL(`${FILES}live-worker.js`, location.href).href;
  const types = /** @type {any} */ (globalThis).trustedTypes;
  if (!types) return url;
  const policy = types.createPolicy("emgate-console", {
    createScriptURL: (/** @type {string} */ asked) => {
      if (asked !== url) throw new TypeError("not a script of the console");
      return asked;
    },
  });
  return policy.createScriptURL(url);
}

/** Without SharedWorker: all tabs speak on one channel and hear the same; the one that gets the lock reads the stream. */
function connectByLock() {
  const channel = new BroadcastChannel("emgate-console-stream");
  const hub = new Hub(address, (message) => {
    channel.postMessage(message);
    take(message);
  });
  hub.leads = false;
  channel.onmessage = ({ data }) => {
    if (data.toHub) return hub.take(data.toHub);
    if (data.kind === "events") hub.position = data.events.at(-1).id;
    take(data);
  };
  navigator.locks.request("emgate-console-stream", () => {
    hub.lead();
    return new Promise(() => {});
  });
  return (/** @type {TabMessage} */ message) => {
    channel.postMessage({ toHub: message });
    hub.take(message);
  };
}

const tellPresence = () => send({ kind: "here", tab, visible: !document.hidden });
tellPresence();
document.addEventListener("visibilitychange", tellPresence);
addEventListener("pageshow", tellPresence);
addEventListener("pagehide", () => send({ kind: "gone", tab }));
signedOut.watch((out) => send({ kind: out ? "out" : "in" }));

// One polite voice for screen readers: ends and failures only, at most one sentence in ten seconds.

const PAUSE = 10_000;
/** @type {string[]} */
let waiting = [];
/** @type {Timer} */
let timer;

function say() {
  const place = document.getElementById("speech");
  const text = waiting.length > 3 ? `${waiting.length} failovers ended. Last: ${waiting[waiting.length - 1]}` : waiting.join(" ");
  waiting = [];
  timer = undefined;
  if (!text || !place) return;
  place.textContent = text;
  timer = setTimeout(say, PAUSE);
}

/** @param {string} sentence */
export function speak(sentence) {
  waiting.push(sentence);
  timer ??= setTimeout(say, 100);
}

/** Says what an event tells, when it is an end or a failure. @param {StreamEvent} event */
export function speakOf({ type, data }) {
  const name = data.session?.planName ?? data.operation?.plan?.name;
  if (type === "failover.session.finished") speak(`${name}: ${data.session?.result ?? "ended without a result"}.`);
  if (type === "failover.session.lost") speak(`${name}: Enterprise Manager no longer knows it.`);
  if (type === "failover.operation.finished") speak(`${name}: ${data.operation?.result ?? data.operation?.state}.`);
  if (type === "upstream.unavailable") speak("Enterprise Manager does not answer.");
}

// A list or a thing that a page shows: loaded once, kept when a later load fails, changed by events as they come.
// The first list tells the stream where to begin; all others wait for it, so that nothing lies between.

const AGAIN = 3_000;
/** @type {Promise<void> | undefined} */
let first;
signedOut.watch((out) => out && (first = undefined));

/** @param {string} link */
async function load(link) {
  if (first) await first;
  const loading = ask(link);
  first ??= loading.then(
    ({ headers }) => begin(headers.get("emgate-event-id") ?? ""),
    () => (first = undefined),
  );
  const { data } = await loading;
  return data;
}

/**
 * @template T
 * @param {string | null} link what to load; null: nothing yet
 * @param {{patch?: (data: T, event: StreamEvent) => T, reloadOn?: (event: StreamEvent) => boolean}} [rules]
 *   `patch`: the data after an event; `reloadOn`: which events make it old
 * @returns {Loaded<T>}
 */
export function useLoad(link, rules = {}) {
  const [shown, show] = useState(/** @type {Shown<T>} */ ({ link: null, data: null, problem: null, busy: true }));
  const current = useRef(rules);
  current.current = rules;
  const again = useRef(() => {});

  useEffect(() => {
    if (!link) return;
    let over = false;
    let busy = false;
    let old = false;
    let failed = false;
    /** @type {StreamEvent[]} */
    let meanwhile = [];
    /** @type {Timer} */
    let timer;
    const patched = (/** @type {T} */ data, /** @type {StreamEvent[]} */ events) =>
      current.current.patch ? events.reduce(current.current.patch, data) : data;

    const read = async () => {
      if (busy) return void (old = true);
      busy = true;
      old = false;
      meanwhile = [];
      show((before) => ({ ...before, busy: true }));
      try {
        const data = await load(link);
        failed = false;
        if (!over) show({ link, data: patched(data, meanwhile), problem: null, busy: false });
      } catch (error) {
        failed = true;
        if (!over) show((before) => ({ link, data: before.link === link ? before.data : null, problem: asProblem(error), busy: false }));
      }
      busy = false;
      if (old && !over) soon();
    };
    const soon = () => (timer ??= setTimeout(() => {
      timer = undefined;
      read();
    }, AGAIN));

    again.current = read;
    read();
    const leave = [
      onReset(read),
      freshness.watch(({ state }) => state === "live" && failed && read()),
      signedOut.watch((out) => !out && read()),
      onEvents((events) => {
        if (busy) meanwhile.push(...events);
        if (current.current.patch) show((before) => (before.data === null ? before : { ...before, data: patched(before.data, events) }));
        if (current.current.reloadOn && events.some(current.current.reloadOn)) soon();
      }),
    ];
    return () => {
      over = true;
      clearTimeout(timer);
      for (const left of leave) left();
    };
  }, [link]);

  const mine = shown.link === link;
  return { data: mine ? shown.data : null, problem: mine ? shown.problem : null, busy: shown.busy || !mine, reload: () => again.current() };
}
