// What events make of sessions and operations, and what is said of them. Pure: no element, no request, no clock.

import { counted, duration } from "./base.js";

/** @param {Session} session */
export const isOver = (session) => session.state === "stopped";
/** @param {Operation} operation */
export const isOpen = (operation) => operation.state !== "finished";

/**
 * A session after an event about it. What has stopped does not run again: an event older than what is shown changes nothing.
 * @param {Session} session @param {StreamEvent} event @returns {Session}
 */
export function sessionAfter(session, { type, data }) {
  const told = /** @type {Session | null | undefined} */ (data.session);
  if (!told || told.id !== session.id || (isOver(session) && !isOver(told))) return session;
  if (type !== "failover.vm.finished") return { ...told, action: told.action ?? session.action };
  // This event carries its one machine alone.
  const [ended] = told.virtualMachines;
  if (!ended) return session;
  return { ...session, virtualMachines: session.virtualMachines.map((machine) => (machine.name === ended.name ? ended : machine)) };
}

/** @param {Operation} operation @param {StreamEvent} event @returns {Operation} */
export function operationAfter(operation, { data }) {
  const told = /** @type {Operation | null | undefined} */ (data.operation);
  if (!told || told.id !== operation.id || (!isOpen(operation) && isOpen(told))) return operation;
  // Events carry the session beside the operation.
  const beside = /** @type {Session | null | undefined} */ (data.session);
  return { ...told, session: told.session ?? (beside?.operationId === told.id ? beside : operation.session) };
}

/** @param {List<Session>} list @param {StreamEvent} event @returns {List<Session>} the running ones */
export function runningAfter(list, event) {
  const told = /** @type {Session | null | undefined} */ (event.data.session);
  if (!told || !event.type.startsWith("failover.")) return list;
  const known = list.items.some(({ id }) => id === told.id);
  if (event.type === "failover.session.lost" || isOver(told)) {
    return known ? { ...list, items: list.items.filter(({ id }) => id !== told.id) } : list;
  }
  if (known) return { ...list, items: list.items.map((session) => sessionAfter(session, event)) };
  return event.type === "failover.session.started" ? { ...list, items: [told, ...list.items] } : list;
}

/** @param {List<Session>} list @param {StreamEvent} event @returns {List<Session>} those that ended */
export function endedAfter(list, event) {
  const told = /** @type {Session | null | undefined} */ (event.data.session);
  if (!told || event.type !== "failover.session.finished") return list;
  return { ...list, items: [told, ...list.items.filter(({ id }) => id !== told.id)].slice(0, 200) };
}

/** @param {List<Operation>} list @param {StreamEvent} event @returns {List<Operation>} the open ones */
export function openAfter(list, event) {
  const told = /** @type {Operation | null | undefined} */ (event.data.operation);
  if (!told) return list;
  const others = list.items.filter(({ id }) => id !== told.id);
  if (!isOpen(told)) return others.length === list.items.length ? list : { ...list, items: others };
  const before = list.items.find(({ id }) => id === told.id);
  return { ...list, items: before ? list.items.map((operation) => operationAfter(operation, event)) : [told, ...others] };
}

/** @param {{virtualMachines: Machine[]}} session */
export function machinesOf({ virtualMachines }) {
  const ended = virtualMachines.filter(({ result, endedAt }) => result || endedAt);
  return { total: virtualMachines.length, ended: ended.length, failed: virtualMachines.filter(({ result }) => result === "failed").length };
}

/** @param {Session} session @param {number} now */
export function progressOf(session, now) {
  const silent = session.progress === null || (session.progress === 0 && session.startedAt !== null && now - Date.parse(session.startedAt) > 60_000);
  return silent ? "EM reports none" : `${session.progress} %`;
}

const RANK = ["failed", null, "unknown", "warning", "cancelled", "success"];
/** Failed first, then newest. @param {Session[]} sessions */
export const failedFirst = (sessions) =>
  [...sessions].sort((a, b) => RANK.indexOf(a.result) - RANK.indexOf(b.result) || (b.endedAt ?? "").localeCompare(a.endedAt ?? ""));

/** @param {string | null | undefined} action */
const named = (action) => (action === "test" ? "Test" : action === "start" ? "Real failover" : action === "undo" ? "Undo" : action ? `Operation “${action}”` : "Failover started elsewhere");

/** The one sentence on top of a failover. @param {Operation | null} operation @param {Session | null} session @param {number} now */
export function verdict(operation, session, now) {
  const what = named(operation?.action ?? session?.action);
  if (session) {
    const { total, ended, failed } = machinesOf(session);
    const wrong = failed ? `, ${failed} failed` : "";
    const took = session.startedAt ? duration((session.endedAt ? Date.parse(session.endedAt) : now) - Date.parse(session.startedAt)) : "a time that is not known";
    if (!isOver(session)) return `${what} runs for ${took}: ${ended} of ${counted(total, "machine")} ended${wrong}.`;
    const how = session.result === "success" ? "succeeded" : session.result === "warning" ? "ended with warnings" : session.result === "failed" ? "failed" : "ended without a result";
    return `${what} ${how} after ${took}: ${counted(total, "machine")}${failed ? `, ${failed} of them failed` : ""}.`;
  }
  if (!operation) return "";
  if (operation.state === "awaitingApproval") return `${what} waits for approval. Nothing has been sent.`;
  if (operation.state === "submitting") return `${what} was sent. Whether Enterprise Manager took it is being found out; it is never sent twice.`;
  if (operation.state === "unknown") return `${what}: the outcome is unknown. Look into Enterprise Manager before starting anything again.`;
  if (operation.state === "running") return `${what} was accepted by Enterprise Manager. Its session has not shown yet.`;
  const end = operation.result === "cancelled" ? "was cancelled" : operation.result === "failed" ? "failed" : `ended: ${operation.result}`;
  return `${what} ${end}.`;
}
