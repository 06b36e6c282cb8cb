// One failover, by the id of its session or of its operation: the verdict, who and why, machines, and what can be done.

import { ask, may, newKey } from "../lib/api.js";
import { api, axis, html, to, useEffect, useMemo, useNow, useState } from "../lib/base.js";
import { isOpen, isOver, operationAfter, sessionAfter, verdict } from "../lib/failovers.js";
import { useLoad } from "../lib/live.js";
import { go } from "../lib/route.js";
import { Evidence, Records } from "./records.js";
import { Act, Ask, At, Elapsed, Facts, Kind, Section, Shown, State, Table, Trouble } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

/** Operation ids are uuids of version 7; those of sessions are whatever Enterprise Manager makes. @param {string} id */
const looksLikeOperation = (id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7/i.test(id);

/** Session and operation of either's id. @param {string} id */
function useFailover(id) {
  const [swapped, swap] = useState(false);
  const byOperation = looksLikeOperation(id) !== swapped;
  const [joined, join] = useState(/** @type {{session: string | null, operation: string | null}} */ ({ session: null, operation: null }));
  const operationId = byOperation ? id : joined.operation;
  const sessionId = byOperation ? joined.session : id;
  const operation = useLoad(operationId && `/api/v1/operations/${encodeURIComponent(operationId)}`, { patch: operationAfter, reloadOn: ({ data, type }) => type.startsWith("failover.approval") && data.operation?.id === operationId });
  const session = useLoad(sessionId && `/api/v1/failover-sessions/${encodeURIComponent(sessionId)}`, { patch: sessionAfter });
  const [one, other] = byOperation ? [operation, session] : [session, operation];
  useEffect(() => {
    if (one.problem?.status === 404 && !one.data && !swapped) swap(true);
  }, [one.problem]);
  const found = byOperation ? operation.data?.session?.id : session.data?.operationId;
  useEffect(() => {
    if (found) join(byOperation ? { session: found, operation: null } : { session: null, operation: found });
  }, [found, byOperation]);
  return { main: one, operation: operation.data, session: session.data ?? operation.data?.session ?? null, trouble: other.problem, reload: () => (operation.reload(), session.reload()) };
}

/** Machines in the order in which the plan starts them. @param {Session} session @param {Plan | null} plan */
function inOrder({ virtualMachines }, plan) {
  const order = new Map((plan?.virtualMachines ?? []).map(({ name, order }) => [name, order ?? Infinity]));
  const rank = (/** @type {Machine} */ { name }) => order.get(name) ?? Infinity;
  const sorted = [...virtualMachines].sort((a, b) => rank(a) - rank(b) || (a.startedAt ?? "9").localeCompare(b.startedAt ?? "9"));
  return sorted.map((machine) => ({ ...machine, order: order.get(machine.name) ?? null }));
}

/** When a machine was begun. One that waits for its turn has a time as well: that of its row. @param {Machine} machine */
const begun = ({ state, startedAt }) => (state === "starting" ? null : startedAt);

/** @param {{session: Session, plan: Plan | null}} props */
function Machines({ session, plan }) {
  const machines = inOrder(session, plan);
  const rto = plan?.objectives.rtoSeconds ?? null;
  /** @type {Column<ReturnType<typeof inOrder>[number]>[]} */
  const columns = [
    { head: "#", kind: "number less", cell: ({ order }) => (order === null || order === Infinity ? "" : order + 1) },
    { head: "Machine", kind: "lead", cell: ({ name }) => name },
    { head: "State", cell: ({ result, state }) => html`<${State} word=${result ?? state} />` },
    { head: "Progress", kind: "number", cell: ({ progress }) => (progress === null ? "EM reports none" : `${progress} %`) },
    { head: "Started", kind: "number", cell: (machine) => html`<${At} at=${begun(machine)} none="waiting" />` },
    { head: "Took", kind: "number", cell: (machine) => html`<${Elapsed} from=${begun(machine)} to=${machine.endedAt} />` },
    { head: "Restore point", kind: "less", cell: ({ replicaPoint }) => replicaPoint?.name ?? html`<span class="quiet">not told</span>` },
    { head: "Message", kind: "said", cell: ({ failureMessage }) => failureMessage ?? "" },
  ];
  return html`<${Section} title="Machines" count=${machines.length}>
    ${rto !== null && html`<p class="quiet">Recovery time objective: ${axis(rto)}. ${isOver(session) && "The evidence says whether it was met."}</p>`}
    <${Timeline} session=${session} machines=${machines} rtoSeconds=${rto} />
    <${Table} caption="Machines of this failover" columns=${columns} rows=${machines} id=${(/** @type {Machine} */ { name }) => name} tone=${(/** @type {Machine} */ { result }) => (result === "failed" ? "failed" : "")} empty="Enterprise Manager has told no machine yet." />
  <//>`;
}

/** @param {{operation: Operation}} props */
function Request({ operation }) {
  const { approval } = operation;
  return html`<${Section} title="Request">
    <${Facts} of=${[
      ["Asked by", operation.requestedBy ?? html`<span class="quiet">a token without a subject</span>`],
      ["Asked", html`<${At} at=${operation.requestedAt} />`],
      ["Reason", operation.reason ?? html`<span class="quiet">none given</span>`],
      ["Approvals", approval ? html`${approval.given.length} of ${approval.required}${approval.given.map(({ by, at, comment }) => html`<div class="fine">${by ?? "somebody"} <${At} at=${at} />${comment && ` — ${comment}`}</div>`)}` : html`<span class="quiet">none needed</span>`],
      ["Operation", html`<code>${operation.id}</code>`],
      ...Object.entries(operation.metadata).map(([name, value]) => [name, value]),
    ]} />
    <ol class="history">${operation.history.map(({ state, at, reason }) => html`<li><${At} at=${at} /> <${State} word=${state} />${reason && html` <span class="said">${reason}</span>`}</li>`)}</ol>
  <//>`;
}

/** @param {{parts: string[]}} props */
export function Failover({ parts }) {
  const id = parts[1] ?? "";
  const { main, operation, session, trouble, reload } = useFailover(id);
  const now = useNow();
  const at = session?.plan ?? operation?.plan ?? null;
  const plan = useLoad(at && `/api/v1/${at.kind === "cloud" ? "cloud-failover-plans" : "failover-plans"}/${encodeURIComponent(at.id)}`);
  const name = session?.planName ?? operation?.plan?.name ?? operation?.target ?? "Failover";
  const failures = [session?.failureMessage, operation?.failure?.message].filter((text, index, all) => text && all.indexOf(text) === index);
  const word = session ? (session.result ?? session.state) : operation ? (operation.result ?? operation.state) : null;
  const over = session ? isOver(session) : Boolean(operation && !isOpen(operation));
  if (main.problem?.status === 404 && !main.data) return html`<${Heading} title="Not found">No such failover<//><p>Its id is ${id}. It may have left the gateway's memory, or belong to another tenant. <a href=${to("/")}>To the board</a></p>`;
  return html`<${Heading} title=${name}><${Kind} action=${operation?.action ?? session?.action} /> ${name}<//>
    <${Shown} of=${main}>${() => html`
      <p class="verdict ${word}"><${State} word=${word ?? "unknown"} /> <span>${verdict(operation, session, now)}</span></p>
      ${failures.map((text) => html`<blockquote class="said"><span>${text}</span></blockquote>`)}
      <${Facts} of=${[
        ["Plan", at ? html`<a href=${to(`/plans/${at.kind}/${encodeURIComponent(at.id)}`)}>${at.name}</a>` : name],
        ["Tenant", (session?.tenant ?? at?.tenant)?.name ?? html`<span class="quiet">of nobody</span>`],
        ["Started", html`<${At} at=${session?.startedAt} none="not yet" />`],
        ["Ended", html`<${At} at=${session?.endedAt ?? operation?.finishedAt} none="not yet" />`],
        ["Backup server", session?.backupServer?.name],
      ]} />
      <${Actions} operation=${operation} session=${session} plan=${plan.data} over=${over} changed=${reload} />
      <${Trouble} problem=${trouble} />
      ${session && html`<${Machines} session=${session} plan=${plan.data} />`}
      ${operation && html`<${Request} operation=${operation} />`}
      <${Evidence} operation=${operation} session=${session} over=${over} />
      <${Records} operation=${operation} session=${session} />`}<//>`;
}

// The time line of a failover: one bar per machine from its start to its end, against the time since the failover began.
// The bars are a picture for eyes; the table beside them says the same in words.

const ROW = 24;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const MARKS = 6;

/** @param {Machine} machine */
const tone = ({ result, state }) => (result === "success" ? "good" : result === "warning" ? "warn" : result === "failed" ? "bad" : result ? "quiet" : state === "working" ? "busy" : "waiting");

/** @param {{session: Session, machines: Machine[], rtoSeconds: number | null}} props `machines` in start order */
export function Timeline({ session, machines, rtoSeconds }) {
  const now = useNow();
  if (!session.startedAt || !machines.length) return null;
  const begin = Date.parse(session.startedAt);
  const end = session.endedAt ? Date.parse(session.endedAt) : now;
  // A line for an objective far to the right would crush the bars: it is told in words then.
  const took = Math.max(end - begin, 1_000);
  const rto = rtoSeconds && rtoSeconds * 1000 < took * 3 ? rtoSeconds * 1000 : null;
  const whole = Math.max(took, rto ?? 0) * 1.04;
  const at = (/** @type {number} */ ms) => `${Math.min(100, Math.max(0, (ms / whole) * 100)).toFixed(2)}%`;
  const step = STEPS.find((seconds) => (whole / 1000 / seconds) <= MARKS) ?? 86400;
  const crowds = (/** @type {number} */ second) => rto !== null && Math.abs(second * 1000 - rto) < whole / 8;
  // A mark at the right edge has no room for its words.
  const marks = Array.from({ length: Math.floor((whole * 0.94) / 1000 / step) + 1 }, (_, index) => index * step).filter((second) => !crowds(second));
  const height = machines.length * ROW;
  return html`<div class="timeline">
    <ol class="names">${machines.map(({ name }) => html`<li title=${name}>${name}</li>`)}</ol>
    <svg role="img" aria-label=${`Time line of ${machines.length} machines; the table below has the same in words`} width="100%" height=${height + 26}>
      ${marks.map((second) => html`<g class="mark"><line x1=${at(second * 1000)} x2=${at(second * 1000)} y1="0" y2=${height} /><text x=${at(second * 1000)} y=${height + 17} dx="2">${second ? axis(second) : "T+0"}</text></g>`)}
      ${machines.map((machine, index) => {
        const started = begun(machine);
        if (!started) return html`<text class="none" x="6" y=${index * ROW + 16}>waiting</text>`;
        const from = Date.parse(started) - begin;
        const till = (machine.endedAt ? Date.parse(machine.endedAt) : end) - begin;
        return html`<g class="wait"><line x1="0" x2=${at(from)} y1=${index * ROW + 12} y2=${index * ROW + 12} /></g>
          <rect class=${tone(machine)} x=${at(from)} y=${index * ROW + 4} width=${at(Math.max(till - from, whole / 250))} height=${ROW - 8} rx="2"><title>${machine.name}</title></rect>`;
      })}
      ${rto !== null && html`<g class="rto"><line x1=${at(rto)} x2=${at(rto)} y1="0" y2=${height + 6} /><text x=${at(rto)} y=${height + 17} dx="-2" text-anchor="end">RTO ${axis(rto / 1000)}</text></g>`}
      ${!session.endedAt && html`<g class="now"><line x1=${at(now - begin)} x2=${at(now - begin)} y1="0" y2=${height} /></g>`}
    </svg>
  </div>`;
}

// What can be done with a failover: cancel while it runs, undo afterwards, and its report in three formats.

/** @param {{operation: Operation | null, session: Session | null, plan: Plan | null, over: boolean, changed: () => void}} props */
export function Actions({ operation, session, plan, over, changed }) {
  const [open, setOpen] = useState(/** @type {"" | "cancel" | "undo"} */ (""));
  const key = useMemo(newKey, [open]);
  const close = () => setOpen("");
  const report = operation ? `/api/v1/operations/${operation.id}/report` : session && `/api/v1/failover-sessions/${encodeURIComponent(session.id)}/report`;
  const cancel = async () => {
    await ask(`/api/v1/operations/${operation?.id}/cancel`, { method: "POST" });
    changed();
  };
  const undo = async (/** @type {string} */ reason) => {
    const { data } = await ask(`${plan?.links.self}/undo`, { method: "POST", body: reason ? { reason } : {}, headers: { "idempotency-key": key } });
    go(to(`/failovers/${data.id}`));
  };
  const stops = operation && isOpen(operation);
  return html`<div class="actions control">
    ${stops && html`<${Act} scope="operations:cancel" off=${operation.cancelRequestedAt ? "cancel was asked" : null} onClick=${() => setOpen("cancel")}>Cancel…<//>`}
    ${over && (operation ?? session)?.action === "start" && plan?.actions.includes("undo") && html`<${Act} scope="plans:undo" onClick=${() => setOpen("undo")}>Undo…<//>`}
    ${over && report && may("reports:read") !== "no" && html`<span class="act">Report
      <a href=${api(`${report}?format=html`)} target="_blank">page</a>
      <a href=${api(`${report}?format=json`)} target="_blank">JSON</a>
      <a href=${api(`${report}?format=csv`)} download>table</a></span>`}
    ${over && may("reports:read") === "no" && html`<span class="why">The report needs reports:read</span>`}
    ${open === "cancel" && html`<${Ask} title="Cancel this operation?" label="" button="Cancel it" tone="danger" close=${close} send=${cancel}>
      <p>Enterprise Manager is asked to stop. Machines that already run at the other site keep running: an undo takes them back.</p><//>`}
    ${open === "undo" && html`<${Ask} title=${`Undo ${plan?.name}?`} label="Reason (a policy may require it)" button="Undo" tone="danger" close=${close} send=${undo}>
      <p>The machines at the other site are switched off and the replicas go back to where they were. What was written there since the failover is lost.</p><//>`}
  </div>`;
}
