// One way to ask the API: by cookie, with a limit, and every failure as a Problem with words for people.
// After a 401 nothing more is asked until somebody logs in, so that an expired session makes no storm.

import { api, cell, learn, now } from "./base.js";

/** True from the first 401 until the next login. */
export const signedOut = cell(false);

/** What went wrong, as the gateway or the browser tells it. */
export class Problem extends Error {
  /** @param {Partial<ProblemBody> & {code: string, status: number, detail: string}} body */
  constructor(body) {
    super(body.detail);
    this.code = body.code;
    this.status = body.status;
    this.title = body.title ?? body.code;
    this.detail = body.detail;
    this.body = body;
  }
}

/** @param {unknown} error @returns {Problem} */
export const asProblem = (error) =>
  error instanceof Problem ? error : new Problem({ code: "console-fault", status: 0, title: "The console failed", detail: String(error) });

const silence = (/** @type {string} */ detail) => new Problem({ code: "unreachable", status: 0, title: "The gateway does not answer", detail });

/**
 * @param {string} link path and query below the gateway's root
 * @param {{method?: string, body?: unknown, headers?: Record<string, string>, open?: boolean, merge?: boolean}} [options]
 *   `open`: asked without login as well; `merge`: the body is a JSON Merge Patch
 * @returns {Promise<Answer>}
 */
export async function ask(link, { method = "GET", body, headers = {}, open = false, merge = false } = {}) {
  if (signedOut.value && !open) throw new Problem({ code: "unauthenticated", status: 401, title: "Signed out", detail: "Log in to go on." });
  const sent = { accept: "application/json", ...headers };
  if (method !== "GET") Object.assign(sent, { "x-emgate-console": "1" });
  if (body !== undefined) Object.assign(sent, { "content-type": merge ? "application/merge-patch+json" : "application/json" });
  const asked = Date.now();
  let response, text;
  try {
    response = await fetch(api(link), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(method === "GET" ? 20_000 : 70_000),
    });
    learn(response.headers.get("date"), asked, Date.now());
    text = await response.text();
  } catch {
    throw silence(method === "GET" ? "It is tried again when the connection is back." : "Whether the request arrived is not known. Asking again is safe: it carries the same key.");
  }
  const data = read(text, response.headers.get("content-type"));
  // A gateway that is not ready says why in the same words as one that is.
  if (response.ok || Array.isArray(data?.checks)) return { data, status: response.status, headers: response.headers };
  if (response.status === 401 && !open) signedOut.set(true);
  throw problemOf(response.status, data);
}

/** @param {string} text @param {string | null} type @returns {any} */
function read(text, type) {
  if (!type?.includes("json")) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem({ code: "unreadable", status: 0, title: "The answer cannot be read", detail: "It was cut on its way, or something in between wrote it." });
  }
}

/** @param {number} status @param {any} data */
function problemOf(status, data) {
  if (data && typeof data === "object" && typeof data.code === "string") return new Problem({ detail: data.title ?? data.code, ...data, status });
  return new Problem({ code: `http-${status}`, status, title: `Answer ${status}`, detail: "Something between the browser and the gateway answered in its place." });
}

/** The faults of a body, each with its place, and the next window of a policy. @param {Problem} problem @returns {string[]} */
export function details(problem) {
  const { errors = [], nextWindow, requestId } = problem.body;
  const lines = errors.map(({ pointer, detail }) => `${pointer}: ${detail}`);
  if (nextWindow) lines.push(`The next window is from ${nextWindow.from} to ${nextWindow.to}.`);
  if (requestId) lines.push(`Request ${requestId}`);
  return lines;
}

/** A key for one intent: asked twice, it happens once. */
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// Who uses the console. The token is seen once, when it is pasted, and goes to the gateway, which answers with a cookie
// that scripts cannot read. All tabs learn at once of a login and a logout.

/** `unknown` until the gateway has answered: what it did not say is never taken for a no. @type {Cell<Who>} */
export const who = cell(/** @type {Who} */ ({ state: "unknown", scopes: null }));
const tabs = new BroadcastChannel("emgate-console-session");
const BEFORE = "emgate-logged-in";
/** Whether somebody was logged in here and has not left: then pages ask at once, and do not wait for who it is. */
export const wasIn = () => localStorage.getItem(BEFORE) !== null;
/** @type {Timer} */
let expiry;
/** @type {Timer} */
let asking;
let tries = 500;

/** @param {any} data the answer of /console/session */
function enter(data) {
  who.set({ state: "in", problem: undefined, subject: data.subject, tenant: data.tenant, scopes: data.scopes, expiresAt: data.expiresAt });
  signedOut.set(false);
  localStorage.setItem(BEFORE, "");
  tries = 500;
  clearTimeout(expiry);
  const left = Date.parse(data.expiresAt) - now();
  if (left < 2 ** 31) expiry = setTimeout(() => signedOut.set(true), Math.max(0, left));
}

/** Asks who this is, again and again while nobody answers. */
export async function recognise() {
  clearTimeout(asking);
  try {
    enter((await ask("/console/session", { open: true })).data);
  } catch (error) {
    const problem = asProblem(error);
    if (problem.status === 401) return signedOut.set(true);
    who.set({ ...who.value, problem });
    asking = setTimeout(recognise, (tries = Math.min(30_000, tries * 2)));
  }
}

/** @param {string} token */
export async function logIn(token) {
  await ask("/console/session", { method: "POST", body: { token }, open: true });
  await recognise();
  tabs.postMessage("in");
}

export async function logOut() {
  await ask("/console/session", { method: "DELETE", open: true }).catch(() => {});
  tabs.postMessage("out");
  signedOut.set(true);
}

signedOut.watch((out) => {
  if (!out) return;
  localStorage.removeItem(BEFORE);
  who.set({ ...who.value, state: "out" });
});
tabs.addEventListener("message", ({ data }) => (data === "out" ? signedOut.set(true) : recognise()));

/** May the caller do what `scope` allows? @param {string} scope @returns {"yes" | "no" | "unknown"} */
export function may(scope) {
  const { scopes } = who.value;
  return scopes ? (scopes.includes(scope) ? "yes" : "no") : "unknown";
}
