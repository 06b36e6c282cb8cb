// The programme of recovery tests: how many plans there are, how many were tested, which are overdue.

import { who } from "../lib/api.js";
import { age, ahead, api, axis, counted, duration, html, to, useCell, useEffect, useNow, useState, VERSION } from "../lib/base.js";
import { useLoad } from "../lib/live.js";
import { route } from "../lib/route.js";
import { useHealth } from "./board.js";
import { Ago, At, Facts, Filter, Pager, Search, Section, Shown, spoken, State, Table } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

/** @type {[string, string][]} */
const SPANS = [["", "a year"], ["90", "90 days"], ["30", "30 days"]];
const DAY = 86_400_000;

/** @param {ProgrammePlan} one */
const standing = ({ overdue, lastTest }) => (overdue ? "overdue" : lastTest ? (lastTest.verdict ?? lastTest.result ?? "unknown") : "warning");
/** @param {ProgrammePlan} one */
const rank = (one) => ["overdue", "failed", "missed", "warning", "unknown"].indexOf(standing(one)) >>> 0;

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
    { head: "Tenant", cell: ({ plan }) => plan.tenant?.name ?? html`<span class="quiet">of nobody</span>` },
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
        rows=${programme.items.filter((one) => (only === "overdue" ? one.overdue : only === "never" ? !one.lastTest : true)).sort((a, b) => rank(a) - rank(b))}
        empty=${only ? "No plan is like that." : "There is no plan to test."} />`}<//>`;
}

// The audit log, newest first, and whether the shown rows hang together: hashed anew in this browser, row by row.

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
  const loaded = useLoad(`/api/v1/audit?pageSize=50&${asked}`);
  const filtered = ["actor", "action", "operationId"].some((name) => query.get(name));
  /** @type {Column<AuditEntry>[]} */
  const columns = [
    { head: "#", kind: "number", cell: ({ sequence }) => sequence },
    { head: "At", kind: "number", cell: ({ at }) => html`<${At} at=${at} />` },
    { head: "Who", cell: ({ actor }) => html`${actor.subject ?? html`<span class="quiet">the gateway</span>`}${actor.address && html` <span class="fine">${actor.address}</span>`}` },
    { head: "Action", cell: ({ action }) => html`<code>${action}</code>` },
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
      <${Table} caption="Audit log, newest first" columns=${columns} rows=${list.items} id=${(/** @type {AuditEntry} */ { sequence }) => String(sequence)} tone=${(/** @type {AuditEntry} */ { outcome }) => (outcome === "denied" || outcome === "refused" ? "failed" : "")} empty="No row is like that." />
      <${Pager} page=${list.page} />`}<//>`;
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

// The gateway itself: what it is ready for, its accounts at Enterprise Manager, its clocks, replicas and version.

/** @typedef {{account: string, used: number | undefined, limit: number | undefined, waiting: number | undefined}} Account */

export function System() {
  const { ready, gauges, failed } = useHealth();
  const me = useCell(who);
  const now = useNow();
  const of = (/** @type {string} */ name, /** @type {string} */ account) => gauges?.all(name).find(({ labels }) => labels.account === account)?.value;
  const accounts = (gauges?.all("emgate_upstream_logon_sessions_limit") ?? []).map(({ labels }) => labels.account ?? "");
  const one = (/** @type {string} */ name) => gauges?.one(name);
  const told = (/** @type {number | undefined} */ value, /** @type {(value: number) => unknown} */ say) => (value === undefined ? html`<span class="quiet">not told</span>` : say(value));
  const labels = gauges?.all("emgate_config_info")[0]?.labels ?? {};
  const looked = one("emgate_watch_last_complete_timestamp_seconds");
  const started = one("process_start_time_seconds");
  const leases = (gauges?.all("emgate_lease_held") ?? []).map(({ labels, value }) => `${labels.lease}: ${value ? "here" : "elsewhere"}`);
  /** @type {Column<Account>[]} */
  const columns = [
    { head: "Account", kind: "lead", cell: ({ account }) => account },
    { head: "Logon sessions", kind: "number", cell: ({ used, limit }) => `${used ?? "?"} of ${limit ?? "?"}` },
    { head: "Requests waiting", kind: "number", cell: ({ waiting }) => waiting ?? "?" },
  ];
  /** @type {Column<Readiness["checks"][number]>[]} */
  const checks = [
    { head: "Check", kind: "lead", cell: ({ name }) => spoken(name.replaceAll("-", " ")) },
    { head: "Status", cell: ({ status }) => html`<${State} word=${status} />` },
    { head: "Since", kind: "number", cell: ({ since }) => html`<${At} at=${since} />` },
    { head: "Reason", kind: "said", cell: ({ reason }) => reason ?? "" },
  ];
  return html`<${Heading} title="System">System<//>
    ${failed && html`<p class="trouble" role="alert">The gateway does not answer. What is shown is from before.</p>`}
    <div class="columns">
      <${Section} title="Gateway">
        <${Facts} of=${[
          ["Ready", html`<${State} word=${ready?.status ?? "unknown"} />`],
          ["Version", gauges?.all("emgate_build_info")[0]?.labels.version ?? VERSION],
          ["Up since", told(started, (at) => html`<${At} at=${new Date(at * 1000).toISOString()} />`)],
          ["Replicas", told(one("emgate_replicas"), String)],
          ["Leases", leases.length ? leases.join(", ") : null],
          ["Open streams", told(one("emgate_streams_open"), () => String((gauges?.all("emgate_streams_open") ?? []).reduce((sum, { value }) => sum + value, 0)))],
          ...Object.entries(labels).map(([name, value]) => /** @type {[string, any]} */ ([`Configured ${name}`, value])),
        ]} />
      <//>
      <${Section} title="Enterprise Manager">
        <${Facts} of=${[
          ["Answers", told(one("emgate_upstream_available"), (up) => html`<${State} word=${up ? "ok" : "failed"} /> ${up ? "yes; the breaker is closed" : "no; the breaker is open"}`)],
          ["Credentials", told(one("emgate_upstream_logon_refused"), (refused) => (refused ? html`<${State} word="failed" /> refused` : html`<${State} word="ok" /> accepted`))],
          ["Last complete look", told(looked, (at) => age(now - at * 1000))],
          ["Its clock", told(one("emgate_upstream_clock_skew_seconds"), (skew) => (Math.abs(skew) < 1 ? "agrees with the gateway's" : `${duration(Math.abs(skew) * 1000)} ${skew > 0 ? "ahead" : "behind"}`))],
          ["This browser's clock", Math.abs(ahead()) < 5_000 ? "agrees with the gateway's" : `${duration(Math.abs(ahead()))} ${ahead() > 0 ? "behind" : "ahead"}; the console goes by the gateway's`],
        ]} />
        <${Table} caption="Accounts at Enterprise Manager" columns=${columns} rows=${accounts.map((account) => ({ account, used: of("emgate_upstream_logon_sessions", account), limit: of("emgate_upstream_logon_sessions_limit", account), waiting: of("emgate_upstream_requests_waiting", account) }))} id=${(/** @type {Account} */ { account }) => account} empty="The gateway tells nothing of its accounts here." />
      <//>
    </div>
    <${Section} title="Checks"><${Table} caption="Checks of readiness" columns=${checks} rows=${[...(ready?.checks ?? [])].sort((a, b) => Number(a.status === "ok") - Number(b.status === "ok"))} id=${(/** @type {{name: string}} */ { name }) => name} empty="No answer yet." /><//>
    <${Section} title="You">
      <${Facts} of=${[
        ["Subject", me.subject],
        ["Confined to", me.tenant ?? html`<span class="quiet">no tenant</span>`],
        ["Login ends", html`<${At} at=${me.expiresAt} />`],
        ["Scopes", (me.scopes ?? []).join(", ")],
      ]} />
    <//>`;
}
