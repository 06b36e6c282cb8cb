// Pages for those who look after the whole: the programme of recovery tests, the audit log, the gateway itself.

import { who } from "../lib/api.js";
import { api, axis, counted, duration, html, to, useCell, useEffect, useState } from "../lib/base.js";
import { useLoad } from "../lib/live.js";
import { route } from "../lib/route.js";
import { clocks, useHealth } from "../ui/health.js";
import { Ago, At, Facts, Filter, Pager, Search, Section, Shown, spoken, State, Table } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

/** @type {[string, string][]} */
const SPANS = [["", "a year"], ["90", "90 days"], ["30", "30 days"]];
const DAY = 86_400_000;

/** @param {ProgrammePlan} one */
const standing = ({ overdue, lastTest }) => (overdue ? "overdue" : lastTest ? (lastTest.verdict ?? lastTest.result ?? "unknown") : overdue === null ? "neverTested" : "warning");
/** @param {ProgrammePlan} one */
const rank = (one) => (standing(one) === "neverTested" ? Infinity : ["overdue", "failed", "missed", "warning", "unknown"].indexOf(standing(one)) >>> 0);

export function Reports() {
  const { query } = useCell(route);
  const days = Number(query.get("days")) || 0;
  const today = Math.floor(Date.now() / DAY) * DAY;
  const asked = new URLSearchParams({ ...(days && { from: new Date(today - days * DAY).toISOString() }), ...(query.get("tenant") && { tenant: query.get("tenant") ?? "" }) });
  const at = `/api/v1/reports/recovery-tests?${asked}`;
  const loaded = useLoad(at, { reloadOn: ({ type }) => type.startsWith("recovery.") });
  const only = query.get("show");
  /** @type {Column<ProgrammePlan>[]} */
  const columns = [
    { head: "Standing", cell: (one) => html`<${State} word=${standing(one)} label=${one.lastTest ? undefined : "never tested"} />` },
    { head: "Plan", kind: "lead", cell: ({ plan }) => html`<a class="name" href=${to(`/plans/${plan.kind}/${encodeURIComponent(plan.id)}`)}>${plan.name}</a>` },
    { head: "Tenant", cell: ({ plan }) => plan.tenant?.name ?? html`<span class="quiet">no tenant</span>` },
    { head: "Tests", kind: "number", cell: ({ tests }) => tests },
    { head: "Last test", kind: "number", cell: ({ lastTest }) => (lastTest ? html`<a href=${to(`/failovers/${lastTest.operationId ?? lastTest.sessionId}`)}><${Ago} at=${lastTest.at} /></a>` : html`<span class="quiet">never</span>`) },
    { head: "Every", kind: "number less", cell: ({ testEveryDays }) => (testEveryDays === null ? html`<span class="quiet">not set</span>` : counted(testEveryDays, "day")) },
    { head: "Recovery time", kind: "number", cell: ({ lastTest, rtoSeconds }) => (lastTest?.rtaMs != null ? html`${duration(lastTest.rtaMs)}${rtoSeconds !== null && html` <span class="quiet">of ${axis(rtoSeconds)}</span>`}` : html`<span class="quiet">test to measure</span>`) },
    { head: "Data loss", kind: "number less", cell: ({ lastTest, rpoSeconds }) => (lastTest?.rpaMs != null ? html`${duration(lastTest.rpaMs)}${rpoSeconds !== null && html` <span class="quiet">of ${axis(rpoSeconds)}</span>`}` : html`<span class="quiet">test to measure</span>`) },
  ];
  return html`<${Heading} title="Reports">Recovery tests<//>
    <div class="filters control">
      <${Filter} name="days" label="Within" value=${query.get("days") ?? ""} options=${SPANS} />
      <${Filter} name="show" label="Show" value=${only ?? ""} options=${[["", "all plans"], ["overdue", "overdue"], ["never", "never tested"]]} />
      <${Search} name="tenant" label="Tenant" value=${query.get("tenant") ?? ""} hint="exact name" />
      <a href=${api(`${at}&format=csv`)} download>Table (CSV)</a>
    </div>
    <${Shown} of=${loaded}>${(/** @type {Programme} */ programme) => html`
      <${Facts} of=${[
        ["Plans", String(programme.population)],
        ["Tested", `${programme.tested} of ${programme.population}`],
        ["Overdue", programme.overdue ? html`<${State} word="overdue" /> ${programme.overdue}` : "none"],
        ["From", html`<${At} at=${programme.from} />`],
        ["To", html`<${At} at=${programme.to} />`],
      ]} />
      <${Table} caption="Plans and their tests" columns=${columns} id=${(/** @type {ProgrammePlan} */ { plan }) => plan.kind + plan.id}
        rows=${programme.items.filter((one) => (only === "overdue" ? one.overdue : only === "never" ? !one.lastTest : true)).sort((a, b) => rank(a) - rank(b) || 0)}
        empty=${only ? "No plan is like that." : "There is no plan to test."} />`}<//>`;
}

// The audit log, newest first, and whether the shown rows hang together: hashed anew in this browser, row by row.

const LAST = "9999999999";
const KEPT = ["actor", "action", "operationId", "from", "to", "after", "before"];

/** @param {{entries: AuditEntry[], filtered: boolean}} props */
function Chain({ entries, filtered }) {
  const [verdict, tell] = useState(/** @type {Verdict | null} */ (null));
  useEffect(() => {
    let over = false;
    verifyChain(entries).then((found) => !over && tell(found));
    return () => (over = true);
  }, [entries]);
  if (!entries.length) return null;
  if (!verdict) return html`<p class="quiet">Checking the hashes…</p>`;
  if (verdict.broken !== null) return html`<p><${State} word="failed" /> Row ${verdict.broken} does not have the hash that its text makes${verdict.why === "link" ? ", or does not follow the row before it" : ""}. Run <code>emgate audit verify</code>.</p>`;
  return html`<p><${State} word="passed" /> ${counted(verdict.rows, "row")} hashed anew in this browser${filtered ? ", each for itself: a filter leaves rows out between them" : ", each linked to the one before"}. The whole log: <code>emgate audit verify</code>.</p>`;
}

/** Where a target leads, for those that have a page. @param {AuditEntry} entry */
function target({ target, operationId }) {
  const [, kind, id] = /\/(webhook-endpoints|webhook-deliveries|operations)\/([^/?]+)/.exec(target ?? "") ?? [];
  const page = kind === "webhook-endpoints" ? `/endpoints/${id}` : kind === "webhook-deliveries" ? `/deliveries/${id}` : operationId ? `/failovers/${operationId}` : null;
  return html`${page ? html`<a href=${to(page)}>${target ?? "operation"}</a>` : (target ?? "")}`;
}

export function Audit() {
  const { query } = useCell(route);
  const asked = new URLSearchParams([...query].filter(([name]) => KEPT.includes(name)));
  // The log is given oldest first: the page before a number that no row has is the newest.
  if (!asked.has("after") && !asked.has("before")) asked.set("before", LAST);
  const loaded = useLoad(`/api/v1/audit?pageSize=50&${asked}`);
  const filtered = ["actor", "action", "operationId"].some((name) => query.get(name));
  /** @type {Column<AuditEntry>[]} */
  const columns = [
    { head: "#", kind: "number", cell: ({ sequence }) => sequence },
    { head: "At", kind: "number", cell: ({ at }) => html`<${At} at=${at} />` },
    { head: "Who", cell: ({ actor }) => html`${actor.subject ?? html`<span class="quiet">${actor.address ? "nobody logged in" : "the gateway"}</span>`}${actor.address && html` <span class="fine">${actor.address}</span>`}` },
    { head: "Action", cell: ({ action }) => html`<code>${action.replaceAll(".", ".\u200b")}</code>` },
    { head: "Target", kind: "lead", cell: target },
    { head: "Outcome", cell: ({ outcome, status }) => html`<${State} word=${outcome} /> ${status ?? ""}` },
    { head: "Tenant", kind: "less", cell: ({ tenant }) => tenant?.name ?? "" },
  ];
  return html`<${Heading} title="Audit">Audit<//>
    <div class="filters control">
      <${Search} name="actor" label="Who" value=${query.get("actor") ?? ""} />
      <${Search} name="action" label="Action" value=${query.get("action") ?? ""} hint="plan.start" />
      <${Search} name="operationId" label="Operation" value=${query.get("operationId") ?? ""} />
      <a href=${api("/api/v1/audit/export")} download="audit.jsonl">All as JSON lines</a>
    </div>
    <${Shown} of=${loaded}>${(/** @type {List<AuditEntry>} */ list) => html`
      <${Chain} entries=${list.items} filtered=${filtered} />
      <${Table} caption="Audit log, newest first" columns=${columns} rows=${[...list.items].reverse()} id=${(/** @type {AuditEntry} */ { sequence }) => String(sequence)} tone=${(/** @type {AuditEntry} */ { outcome }) => (outcome === "denied" || outcome === "refused" ? "failed" : "")} empty="No row is like that." />
      <${Pager} page=${{ ...list.page, next: list.page.previous, previous: query.has("before") || query.has("after") ? list.page.next : null }} />`}<//>`;
}

// The hash chain of audit rows: SHA-256 over the canonical form (RFC 8785) of a row without its hash.

/** @typedef {{rows: number, broken: number | null, why: "hash" | "link" | null}} Verdict */

/** Canonical JSON: names sorted by UTF-16 units, numbers and strings as ECMAScript writes them. @param {unknown} value @returns {string} */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!value || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}

/** @param {string} text */
async function sha256(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Rows in any order; those whose neighbour is there are held against it. @param {AuditEntry[]} entries @returns {Promise<Verdict>} */
export async function verifyChain(entries) {
  const bySequence = new Map(entries.map((entry) => [entry.sequence, entry]));
  for (const { hash, ...rest } of entries) {
    if ((await sha256(canonical(rest))) !== hash) return { rows: entries.length, broken: rest.sequence, why: "hash" };
    const before = bySequence.get(rest.sequence - 1);
    if (before && before.hash !== rest.previousHash) return { rows: entries.length, broken: rest.sequence, why: "link" };
  }
  return { rows: entries.length, broken: null, why: null };
}

// The gateway itself: what it is ready for, its accounts at Enterprise Manager, its clocks, replicas and configuration.

/** The lines of a section of the configuration. @param {unknown} value @param {string} [path] @returns {[string, string][]} */
const settings = (value, path = "") =>
  value !== null && typeof value === "object" && Object.keys(value).length
    ? Object.entries(value).flatMap(([name, member]) => settings(member, path ? `${path}.${name}` : name))
    : [[path, JSON.stringify(value)]];

/** Whether requests are sent to Enterprise Manager. @param {SystemView["em"]} em */
const breaker = ({ breaker, retryAt }) =>
  breaker === "open" ? html`<${State} word="failed" label="open" /> <span class="quiet">next request <${Ago} at=${retryAt} none="soon" /></span>`
  : breaker === "halfOpen" ? html`<${State} word="warning" label="half open" /> <span class="quiet">the next request decides</span>`
  : html`<${State} word="ok" label="closed" />`;

export function System() {
  const { system, silent } = useHealth();
  const me = useCell(who);
  const ready = useLoad("/readyz");
  const closed = html`<p class="empty">Shown to callers with audit:read who are not confined to tenants.</p>`;
  /** @type {Column<NonNullable<SystemView["accounts"]>[number]>[]} */
  const accounts = [
    { head: "Account", kind: "lead", cell: ({ name }) => name },
    { head: "Tenant", cell: ({ tenant }) => tenant ?? html`<span class="quiet">all</span>` },
    { head: "Logon sessions", kind: "number", cell: ({ sessionsUsed, sessionsLimit, sessionsConfigured }) => `${sessionsUsed} of ${sessionsLimit} here, ${sessionsConfigured} in all` },
  ];
  /** @type {Column<NonNullable<SystemView["replicas"]>[number]>[]} */
  const replicas = [
    { head: "Replica", kind: "lead", cell: (one) => html`<code>${one.id}</code>${one.self && " (this one)"}` },
    { head: "Leases", kind: "narrow", cell: ({ leases }) => leases.join(", ") || html`<span class="quiet">none</span>` },
    { head: "Started", kind: "number", cell: ({ startedAt }) => html`<${At} at=${startedAt} />` },
    { head: "Last seen", kind: "number", cell: ({ lastSeenAt }) => html`<${Ago} at=${lastSeenAt} />` },
  ];
  /** @type {Column<Readiness["checks"][number]>[]} */
  const checks = [
    { head: "Check", kind: "lead", cell: ({ name }) => name.replaceAll("-", " ") },
    { head: "Status", cell: ({ status }) => html`<${State} word=${status} />` },
    { head: "Since", kind: "number", cell: ({ since }) => html`<${At} at=${since} />` },
    { head: "Reason", kind: "said", cell: ({ reason }) => reason ?? "" },
  ];
  /** @type {Column<[string, string]>[]} */
  const keys = [
    { head: "Key", kind: "lead", cell: ([name]) => html`<code>${name}</code>` },
    { head: "Value", cell: ([, value]) => html`<code>${value}</code>` },
  ];
  const named = (/** @type {{name?: string, id?: string}} */ { name, id }) => name ?? id ?? "";
  return html`<${Heading} title="System">System<//>
    ${silent && html`<p class="trouble" role="alert">The gateway does not answer. What is shown is from before.</p>`}
    ${!system && !silent && html`<p class="quiet loading">Loading…</p>`}
    ${system && html`<div class="columns">
      <${Section} title="Gateway">
        <${Facts} of=${[
          ["Version", system.version],
          ["Up since", html`<${At} at=${system.startedAt} />`],
          ["Store", html`<${State} word=${system.store.status} label=${system.store.kind} />`],
          ["Failovers that run", system.counts.runningSessions],
          ["Operations", Object.entries(system.counts.operations ?? {}).map(([state, count]) => `${spoken(state)} ${count}`).join(", ") || null],
          ["Deliveries", system.webhooks && `${system.webhooks.pending} pending, ${system.webhooks.held} held, ${system.webhooks.exhausted} given up`],
        ]} />
        ${system.replicas && html`<${Table} caption="Replicas" columns=${replicas} rows=${system.replicas} id=${named} empty="No replica is registered." />`}
      <//>
      <${Section} title="Enterprise Manager">
        <${Facts} of=${[
          ["Answers", html`<${State} word=${system.em.reachable ? "ok" : "failed"} label=${system.em.reachable ? "yes" : "no"} /> <span class="quiet"><${Ago} at=${system.em.since} none="" /></span>`],
          ["Credentials", html`<${State} word=${system.em.refusedSince ? "failed" : "ok"} label=${system.em.refusedSince ? "refused" : "accepted"} />`],
          ["REST API", system.em.apiVersion?.replace("_", ".")],
          ["Circuit breaker", breaker(system.em)],
          ["Last complete look", html`<${Ago} at=${system.em.lastCompleteLookAt} />`],
          ["Clocks", clocks(system.em.clockAheadMs ?? 0)],
        ]} />
        ${system.accounts && html`<${Table} caption="Accounts at Enterprise Manager" columns=${accounts} rows=${system.accounts} id=${named} empty="No account is configured." />`}
      <//>
    </div>`}
    <${Section} title="Checks"><${Shown} of=${ready}>${(/** @type {Readiness} */ told) => html`<${Table} caption="Checks of readiness" columns=${checks} rows=${[...told.checks].sort((a, b) => Number(a.status === "ok") - Number(b.status === "ok"))} id=${named} empty="The gateway tells of no check." />`}<//><//>
    ${system && html`<${Section} title="Configuration">${system.configuration ? html`<details><summary>As it counts: defaults, file and environment; secrets are masked</summary><${Table} caption="Configuration" columns=${keys} rows=${settings(system.configuration)} id=${(/** @type {[string, string]} */ [name]) => name} empty="" /></details>` : closed}<//>`}
    <${Section} title="You">
      <${Facts} of=${[
        ["Subject", me.subject],
        ["Sees", me.tenants ? me.tenants.join(", ") || html`<span class="quiet">nothing of any tenant</span>` : "every tenant"],
        ["Login ends", html`<${At} at=${me.expiresAt} />`],
      ]} />
      <p><span class="quiet">Scopes</span> ${(me.scopes ?? []).join(", ")}</p>
    <//>`;
}
