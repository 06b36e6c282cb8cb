// The board: is all well, who is needed, what runs, what ended in the last day. Failed first.

import { may } from "../lib/api.js";
import { counted, html, now, to, useCell, useEffect, useMemo, useState } from "../lib/base.js";
import { endedAfter, failedFirst, machinesOf, openAfter, progressOf, runningAfter } from "../lib/failovers.js";
import { useLoad } from "../lib/live.js";
import { route } from "../lib/route.js";
import { Ago, Elapsed, Kind, Pager, Section, Shown, State, Table, Trouble } from "../ui/parts.js";
import { Health, health } from "../ui/health.js";
import { badge, Heading } from "../ui/shell.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const OPEN = "/api/v1/operations?state=awaitingApproval,submitting,running,unknown&pageSize=100";
const RUNNING = "/api/v1/failover-sessions?state=starting,working,stopping&sortDesc=startedAt&pageSize=25";

/** @param {Session} session */
const name = (session) => html`<a class="name" href=${to(`/failovers/${encodeURIComponent(session.id)}`)}>${session.planName}</a>`;

/** @param {{session: Session}} props */
function Machines({ session }) {
  const { total, ended, failed } = machinesOf(session);
  return html`<span class="number">${ended} of ${total}</span>${failed > 0 && html` <strong class="bad">✕ ${failed} failed</strong>`}`;
}

/** Those that were asked for and have no session yet. @param {{operations: Operation[]}} props */
function Submitted({ operations }) {
  if (!operations.length) return null;
  return html`<ul class="lines">
    ${operations.map((operation) => html`<li key=${operation.id}><${Kind} action=${operation.action} /> <a class="name" href=${to(`/failovers/${operation.id}`)}>${operation.plan?.name ?? operation.target}</a> <${State} word=${operation.state} /> <span class="quiet">asked <${Ago} at=${operation.requestedAt} /> by ${operation.requestedBy ?? "nobody named"}</span></li>`)}
  </ul>`;
}

export function Board() {
  const { query } = useCell(route);
  const number = query.get("page");
  const since = useMemo(() => new Date(Math.floor((now() - DAY) / HOUR) * HOUR).toISOString(), []);
  const running = useLoad(RUNNING + (number ? `&page=${encodeURIComponent(number)}` : ""), { patch: number ? (list) => list : runningAfter });
  const { system } = useCell(health);
  const total = running.data ? Math.max(running.data.items.length, (running.data.page.total ?? 1) > 1 ? (system?.counts.runningSessions ?? 0) : 0) : null;
  const ended = useLoad(`/api/v1/failover-sessions?state=stopped&startedAfter=${since}&sortDesc=endedAt&pageSize=50`, { patch: endedAfter });
  // Failures are on the page that is loaded anyway, unless more ended than one page holds.
  const failed = useLoad(ended.data?.page.next ? `/api/v1/failover-sessions?state=stopped&result=failed&startedAfter=${since}&sortDesc=endedAt&pageSize=50` : null, {
    patch: (list, event) => (event.data.session?.result === "failed" ? endedAfter(list, event) : list),
  });
  const both = failedFirst([...new Map([...(ended.data?.items ?? []), ...(failed.data?.items ?? [])].map((/** @type {Session} */ session) => [session.id, session])).values()]);
  const operations = useLoad(may("operations:read") === "no" ? null : OPEN, { patch: openAfter });
  const askedBy = new Map((operations.data?.items ?? []).map((/** @type {Operation} */ { id, requestedBy }) => [id, requestedBy]));
  const submitted = (operations.data?.items ?? []).filter((/** @type {Operation} */ one) => ["submitting", "running"].includes(one.state) && !one.session && one.kind === "failover");
  const needs = useNeeds(operations.data?.items ?? [], both.filter(({ result }) => result === "failed"));
  useEffect(() => badge(total, needs.length), [total, needs.length]);

  /** @type {Column<Session>[]} */
  const columns = [
    { head: "Kind", kind: "narrow", cell: (session) => html`<${Kind} action=${session.action} />` },
    { head: "Plan", kind: "lead", cell: name },
    { head: "Tenant", cell: ({ tenant }) => tenant?.name ?? html`<span class="quiet">–</span>` },
    { head: "Asked by", kind: "less", cell: ({ operationId }) => (operationId && askedBy.get(operationId)) ?? html`<span class="quiet">${operationId ? "–" : "outside the gateway"}</span>` },
    { head: "Elapsed", kind: "number", cell: ({ startedAt }) => html`<${Elapsed} from=${startedAt} />` },
    { head: "Machines ended", cell: (session) => html`<${Machines} session=${session} />` },
    { head: "Progress", kind: "number", cell: (session) => progressOf(session, now()) },
  ];
  /** @type {Column<Session>[]} */
  const finished = [
    { head: "Result", kind: "narrow", cell: ({ result }) => html`<${State} word=${result ?? "unknown"} />` },
    { head: "Kind", kind: "narrow", cell: (session) => html`<${Kind} action=${session.action} />` },
    { head: "Plan", kind: "lead", cell: name },
    { head: "Tenant", cell: ({ tenant }) => tenant?.name ?? html`<span class="quiet">–</span>` },
    { head: "Took", kind: "number", cell: ({ startedAt, endedAt }) => html`<${Elapsed} from=${startedAt} to=${endedAt} />` },
    { head: "Machines ended", cell: (session) => html`<${Machines} session=${session} />` },
    { head: "Ended", kind: "number", cell: ({ endedAt }) => html`<${Ago} at=${endedAt} />` },
  ];
  return html`<${Heading} title="Board">Board<//>
    <${Health} />
    <${Needs} needs=${needs} />
    <${Section} title="Running" count=${total}>
      <${Submitted} operations=${submitted} />
      <${Shown} of=${running}>${(/** @type {List<Session>} */ list) => html`
        <${Table} caption="Failovers that run now" columns=${columns} rows=${list.items.slice(0, 100)} id=${(/** @type {Session} */ { id }) => id} empty=${submitted.length ? "" : "Nothing runs. Failovers that anybody starts, here or in Enterprise Manager, show up here."} />
        <${Pager} page=${list.page} />`}<//>
    <//>
    <${Section} title="Finished in 24 hours" count=${ended.data && both.length + (ended.data.page.next ? "+" : "")}>
      <${Trouble} problem=${failed.problem && !ended.problem ? failed.problem : null} retry=${failed.reload} />
      <${Shown} of=${ended}>${() => html`<${Table} caption="Failovers that ended in the last 24 hours" columns=${finished} rows=${both} id=${(/** @type {Session} */ { id }) => id} tone=${(/** @type {Session} */ { result }) => (result === "failed" ? "failed" : "")} empty="No failover ended in the last 24 hours." />`}<//>
    <//>`;
}

// "Needs you": what waits for a person. Approvals, unknown outcomes, failures of a day, endpoints that are down, overdue tests.

const SEEN = "emgate-seen-failures";
const KEPT = 500;

/** @returns {string[]} the failures that somebody at this browser has seen */
function seen() {
  try {
    return JSON.parse(localStorage.getItem(SEEN) ?? "[]");
  } catch {
    return [];
  }
}

/**
 * @param {Operation[]} operations open ones @param {Session[]} failures of the last day
 * @returns {{id: string, word: string, text: object, hide?: () => void}[]}
 */
export function useNeeds(operations, failures) {
  const [hidden, setHidden] = useState(seen);
  const endpoints = useLoad(may("webhooks:read") === "no" ? null : "/api/v1/webhook-endpoints?pageSize=100", { reloadOn: ({ type }) => type.startsWith("webhook.endpoint.") });
  const programme = useLoad(may("reports:read") === "no" ? null : "/api/v1/reports/recovery-tests", { reloadOn: ({ type }) => type.startsWith("recovery.") });
  const hide = (/** @type {string} */ id) => {
    const next = [id, ...hidden].slice(0, KEPT);
    localStorage.setItem(SEEN, JSON.stringify(next));
    setHidden(next);
  };
  const down = (endpoints.data?.items ?? []).filter((/** @type {Endpoint} */ { health, enabled }) => (enabled && health === "down") || !enabled);
  const overdue = (programme.data?.items ?? []).filter((/** @type {ProgrammePlan} */ one) => one.overdue);
  return [
    ...failures.filter(({ id }) => !hidden.includes(id)).map((session) => ({
      id: session.id,
      word: "failed",
      text: html`<${Kind} action=${session.action} /> <a class="name" href=${to(`/failovers/${encodeURIComponent(session.id)}`)}>${session.planName}</a> <span class="quiet"><${Ago} at=${session.endedAt} /></span>${session.failureMessage && html` <span class="said">${session.failureMessage}</span>`}`,
      hide: () => hide(session.id),
    })),
    ...operations.filter(({ state }) => state === "unknown").map((operation) => ({
      id: operation.id,
      word: "unknown",
      text: html`<${Kind} action=${operation.action} /> <a class="name" href=${to(`/failovers/${operation.id}`)}>${operation.plan?.name ?? operation.target}</a> <span>outcome not known: look into Enterprise Manager before anything is started again</span>`,
    })),
    ...operations.filter(({ state }) => state === "awaitingApproval").map((operation) => ({
      id: operation.id,
      word: "awaitingApproval",
      text: html`<${Kind} action=${operation.action} /> <a class="name" href=${to(`/approvals/${operation.id}`)}>${operation.plan?.name ?? operation.target}</a> <span class="quiet">asked <${Ago} at=${operation.requestedAt} /> by ${operation.requestedBy ?? "nobody named"}, ends <${Ago} at=${operation.approval?.expiresAt} /></span>`,
    })),
    ...down.map((/** @type {Endpoint} */ endpoint) => ({
      id: endpoint.id,
      word: endpoint.enabled ? "down" : "disabled",
      text: html`Endpoint <a class="name" href=${to(`/endpoints/${endpoint.id}`)}>${endpoint.description || endpoint.url}</a>${endpoint.firstFailureAt && html` <span class="quiet">since <${Ago} at=${endpoint.firstFailureAt} /></span>`}${(endpoint.disabledReason ?? endpoint.lastError) && html` <span class="said">${endpoint.disabledReason ?? endpoint.lastError}</span>`}`,
    })),
    ...(overdue.length
      ? [{ id: "overdue", word: "overdue", text: html`<a class="name" href=${to("/reports?show=overdue")}>${counted(overdue.length, "plan")}</a> ${overdue.length === 1 ? "has" : "have"} not been tested in time` }]
      : []),
  ];
}

/** @param {{needs: ReturnType<typeof useNeeds>}} props */
export function Needs({ needs }) {
  const [all, setAll] = useState(false);
  const shown = all ? needs : needs.slice(0, 8);
  return html`<${Section} title="Needs you" count=${needs.length} tone=${needs.length ? "needs" : ""}>
    ${!needs.length && html`<p class="empty">Nothing waits for you.</p>`}
    <ul class="lines">
      ${shown.map(({ id, word, text, hide }) => html`<li key=${id}><${State} word=${word} /> <span class="grow">${text}</span>${hide && html`<button type="button" class="small control" onClick=${hide} title="Takes the line away in this browser; the failover stays in all lists">Seen</button>`}</li>`)}
    </ul>
    ${needs.length > shown.length && html`<button type="button" class="small" onClick=${() => setAll(true)}>Show all ${needs.length}</button>`}
  <//>`;
}
