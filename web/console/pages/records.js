// What is on record: the log and deliveries of one failover, its evidence, and the log of all as it grows.

import { ask, may } from "../lib/api.js";
import { axis, duration, html, to, useCell, useEffect, useRef, useState } from "../lib/base.js";
import { onEvents, useLoad } from "../lib/live.js";
import { route } from "../lib/route.js";
import { Redeliver } from "./deliveries.js";
import { Act, Ask, At, Dialog, Facts, Filter, Pager, Section, Shown, spoken, State, Table, Trouble, useSend } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

/** The filter that names this failover in lists. @param {Operation | null} operation @param {Session | null} session */
const filterOf = (operation, session) => (session ? `sessionId=${encodeURIComponent(session.id)}` : operation && `operationId=${operation.id}`);

/** What an event says, in a few words. @param {StreamEvent} event */
export function gist({ type, data }) {
  const { session, operation, machines, endpoint, decision, message, account, reason } = data;
  if (type === "failover.vm.finished") return `${session?.virtualMachines[0]?.name}: ${session?.virtualMachines[0]?.result ?? "ended"}${machines ? ` (${machines.ended} of ${machines.total})` : ""}`;
  if (type === "failover.approval.decided") return `${decision?.outcome ?? ""} by ${decision?.by ?? "the gateway"}`;
  if (session) return `${session.planName}: ${session.result ?? session.state}${session.state === "working" && session.progress !== null ? `, ${session.progress} %` : ""}`;
  if (operation) return `${operation.plan?.name ?? operation.target ?? ""}: ${operation.result ?? spoken(operation.state)}`;
  if (endpoint) return `${endpoint.description ?? endpoint.id}: ${endpoint.reason ?? endpoint.health}`;
  return [account, reason ?? message ?? ""].filter(Boolean).join(": ");
}

/** @param {{operation: Operation | null, session: Session | null}} props */
export function Records({ operation, session }) {
  const filter = filterOf(operation, session);
  const mine = (/** @type {StreamEvent} */ { data }) => Boolean((session && data.session?.id === session.id) || (operation && data.operation?.id === operation.id));
  const log = useLoad(filter && `/api/v1/events?${filter}&pageSize=100`, {
    patch: (/** @type {List<StreamEvent>} */ list, event) => (mine(event) && !list.page.next && !list.items.some(({ id }) => id === event.id) ? { ...list, items: [...list.items, event] } : list),
  });
  const deliveries = useLoad(filter && `/api/v1/webhook-deliveries?${filter}&pageSize=50`, { reloadOn: (event) => mine(event) || event.type.startsWith("webhook.") });
  /** @type {Column<StreamEvent>[]} */
  const events = [
    { head: "#", kind: "number", cell: ({ data }) => data.sequence ?? "" },
    { head: "Seen", kind: "number", cell: ({ timestamp }) => html`<${At} at=${timestamp} />` },
    { head: "Event", cell: ({ type }) => html`<code>${type}</code>` },
    { head: "What it says", kind: "lead", cell: gist },
  ];
  /** @type {Column<Delivery>[]} */
  const sent = [
    { head: "State", cell: ({ state }) => html`<${State} word=${state} />` },
    { head: "Event", kind: "lead", cell: ({ id, eventType }) => html`<a href=${to(`/deliveries/${id}`)}>${eventType}</a>` },
    { head: "To", cell: ({ endpointId }) => (endpointId ? html`<a href=${to(`/endpoints/${endpointId}`)}>endpoint</a>` : "callback") },
    { head: "Attempts", kind: "number", cell: ({ attempts }) => attempts.length },
    { head: "Last answer", cell: ({ attempts }) => attempts.at(-1)?.error ?? attempts.at(-1)?.status ?? "" },
    { head: "", kind: "control", cell: (delivery) => html`<${Redeliver} delivery=${delivery} done=${deliveries.reload} />` },
  ];
  return html`<${Section} title="Log">
      <${Shown} of=${log}>${(/** @type {List<StreamEvent>} */ list) => html`<div class="scroll" tabindex="0" role="group" aria-label="Log"><${Table} caption="Events of this failover" columns=${events} rows=${list.items} id=${(/** @type {StreamEvent} */ { id }) => id} empty="No event yet." /></div>
        ${list.page.next && html`<p class="fine">The first 100 events. <a href=${to(`/events?${filter}`)}>All of them</a></p>`}`}<//>
    <//>
    <${Section} title="Deliveries">
      <${Shown} of=${deliveries}>${(/** @type {List<Delivery>} */ list) => html`<${Table} caption="Deliveries of this failover" columns=${sent} rows=${list.items} id=${(/** @type {Delivery} */ { id }) => id} tone=${(/** @type {Delivery} */ { state }) => (state === "exhausted" ? "failed" : "")} empty="Nothing was sent: no endpoint wants the events of this failover." />`}<//>
    <//>`;
}

// What is kept about a failover for later: objectives and what was measured, checks, notes, findings.

/** @param {RecoveryReport["measures"]["rto"]} measure */
const judged = ({ value, verdict, targetSeconds, reason }) =>
  html`<${State} word=${verdict} /> ${value === null ? html`<span class="quiet">(${spoken(reason ?? "notMeasured")})</span>` : duration(value)}${targetSeconds !== null && html` <span class="quiet">target ${axis(targetSeconds)}</span>`}`;

/** @param {{operationId: string, machines: string[], close: () => void, done: () => void}} props */
function AddCheck({ operationId, machines, close, done }) {
  const [check, setCheck] = useState({ name: "", machine: "", result: "pass", detail: "" });
  const { run, busy, problem } = useSend(async () => {
    const body = Object.fromEntries(Object.entries(check).filter(([, value]) => value.trim()));
    await ask(`/api/v1/operations/${operationId}/checks`, { method: "POST", body });
    done();
    close();
  });
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => setCheck({ ...check, [name]: event.currentTarget.value });
  return html`<${Dialog} title="Add a check" close=${close}>
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      run();
    }}>
      <label>What was checked<input required maxlength="200" placeholder="Log in to the application" value=${check.name} onInput=${set("name")} /></label>
      <label>Machine<select onChange=${set("machine")}><option value="">the whole plan</option>${machines.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      <label>Result<select onChange=${set("result")}><option value="pass">pass</option><option value="fail">fail</option></select></label>
      <label>Detail<textarea rows="2" value=${check.detail} onInput=${set("detail")}></textarea></label>
      <${Trouble} problem=${problem} />
      <p class="buttons"><button type="submit" class="main" disabled=${busy || !check.name.trim()}>Add</button><button type="button" onClick=${close}>Back</button></p>
    </form><//>`;
}

/** @param {{operation: Operation | null, session: Session | null, over: boolean}} props */
export function Evidence({ operation, session, over }) {
  const [open, setOpen] = useState("");
  const [mine, setMine] = useState(/** @type {string[]} */ ([]));
  const at = operation ? `/api/v1/operations/${operation.id}/report` : session && `/api/v1/failover-sessions/${encodeURIComponent(session.id)}/report`;
  const kept = operation ? operation.kind === "failover" : Boolean(session);
  const report = useLoad(over && kept && may("reports:read") === "yes" ? at : null, { reloadOn: ({ type }) => type === "recovery.report.ready" });
  const close = () => setOpen("");
  const told = (/** @type {string} */ text) => {
    setMine([...mine, text]);
    report.reload();
  };
  if (!kept) return null;
  /** @type {RecoveryReport | null} */
  const data = report.data;
  const note = async (/** @type {string} */ text) => {
    await ask(`/api/v1/operations/${operation?.id}/notes`, { method: "POST", body: { text } });
    told(`Note added: ${text}`);
  };
  return html`<${Section} title="Evidence" actions=${operation && html`<span class="control"><${Act} scope="reports:write" onClick=${() => setOpen("check")}>Add a check…<//> <${Act} scope="reports:write" onClick=${() => setOpen("note")}>Add a note…<//></span>`}>
    ${!over && html`<p class="empty">The report is made when the failover has ended.${operation && " Checks and notes can be added now."}</p>`}
    ${over && may("reports:read") === "no" && html`<p class="why">Reading reports needs reports:read</p>`}
    <${Trouble} problem=${report.problem} retry=${report.reload} />
    ${data && html`<${Facts} of=${[
      ["Verdict", html`<${State} word=${data.summary.verdict} />`],
      ["Recovery time", judged(data.measures.rto)],
      ["Data loss", judged(data.measures.rpa)],
      ["Cleaned up", data.return.cleanedUp ?? html`<span class="quiet">not told</span>`],
      ["Revision", String(data.report.revision)],
    ]} />
    <ul class="lines">
      ${data.checks.map((check) => html`<li><${State} word=${check.result} /> <span class="grow">${check.name}${check.machine && ` on ${check.machine}`}${check.detail && html` <span class="said">${check.detail}</span>`}</span> <span class="quiet">${check.by ?? ""} <${At} at=${check.at} /></span></li>`)}
      ${data.notes.map(({ text, by, at }) => html`<li><span class="state quiet">note</span> <span class="grow">${text}</span> <span class="quiet">${by ?? ""} <${At} at=${at} /></span></li>`)}
      ${data.findings.map(({ title, severity, detail, state, machine }) => html`<li><${State} word=${severity === "error" ? "failed" : severity} /> <span class="grow">${machine && `${machine}: `}${title}${detail && html` <span class="fine">${detail}</span>`}</span> <span class="quiet">${state ?? ""}</span></li>`)}
    </ul>`}
    ${!data && mine.map((text) => html`<p>${text}</p>`)}
    ${open === "check" && operation && html`<${AddCheck} operationId=${operation.id} machines=${(session?.virtualMachines ?? []).map(({ name }) => name)} close=${close} done=${() => told("Check added.")} />`}
    ${open === "note" && html`<${Ask} title="Add a note" label="Note" required button="Add" close=${close} send=${note} />`}
  <//>`;
}

// The log as it grows: the newest on top, with pause and filter. Memory is bounded, the log is not: older pages are a link.

const KEPT = 300;
const ASKED = ["type", "sessionId", "operationId", "planId", "after", "before"];

/** Is an event one of those that the address asks for? @param {URLSearchParams} query @param {StreamEvent} event */
function wanted(query, { type, data }) {
  const is = (/** @type {string} */ name, /** @type {(string | undefined)[]} */ ...found) => !query.get(name) || found.includes(query.get(name) ?? "");
  const types = query.get("type");
  return (!types || types.split(",").includes(type)) && is("sessionId", data.session?.id) && is("operationId", data.operation?.id, data.session?.operationId ?? undefined) && is("planId", data.session?.plan?.id, data.operation?.plan?.id);
}

export function Events() {
  const { query } = useCell(route);
  const asked = new URLSearchParams([...query].filter(([name]) => ASKED.includes(name)));
  const loaded = useLoad(`/api/v1/events?pageSize=100&order=desc&${asked}`);
  const types = useLoad("/api/v1/event-types");
  const [paused, setPaused] = useState(false);
  const [fresh, setFresh] = useState(/** @type {StreamEvent[]} */ ([]));
  const missed = useRef(0);
  const paging = query.has("after") || query.has("before");
  useEffect(() => {
    setFresh([]);
    return onEvents((events) => {
      const mine = events.filter((event) => wanted(query, event)).reverse();
      if (mine.length) setFresh((before) => [...mine, ...before].slice(0, KEPT));
    });
  }, [asked.toString()]);
  const held = useRef(/** @type {StreamEvent[]} */ ([]));
  if (!paused) held.current = fresh;
  missed.current = fresh.length - held.current.length;
  /** @type {Column<StreamEvent>[]} */
  const columns = [
    { head: "Seen", kind: "number", cell: ({ timestamp }) => html`<${At} at=${timestamp} />` },
    { head: "Event", cell: ({ type }) => html`<code>${type}</code>` },
    { head: "What it says", kind: "lead", cell: gist },
    { head: "Failover", cell: ({ data }) => (data.session || data.operation ? html`<a href=${to(`/failovers/${encodeURIComponent(data.session?.id ?? data.operation?.id ?? "")}`)}>open</a>` : "") },
  ];
  const rowsOf = (/** @type {List<StreamEvent>} */ list) => {
    const known = new Set(held.current.map(({ id }) => id));
    return [...(paging ? [] : held.current), ...list.items.filter(({ id }) => paging || !known.has(id))];
  };
  return html`<${Heading} title="Events">Events<//>
    <div class="filters control">
      <${Filter} name="type" label="Event" value=${query.get("type") ?? ""} options=${[["", "all"], ["failover.session.finished,failover.session.lost,failover.operation.finished", "ends of failovers"], ...(types.data?.items ?? []).map((/** @type {{type: string}} */ { type }) => [type, type])]} />
      ${["sessionId", "operationId", "planId"].map((name) => query.get(name) && html`<span class="chip">${name.replace("Id", "")} <code>${query.get(name)}</code> <a href=${to("/events")}>all</a></span>`)}
      ${!paging && html`<button type="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>${paused ? `Go on${missed.current ? ` (${missed.current} new)` : ""}` : "Pause"}</button>`}
    </div>
    <${Shown} of=${loaded}>${(/** @type {List<StreamEvent>} */ list) => html`<${Table} caption="Events, newest first" columns=${columns} rows=${rowsOf(list)} id=${(/** @type {StreamEvent} */ { id }) => id} tone=${(/** @type {StreamEvent} */ { data, type }) => (data.session?.result === "failed" && type === "failover.session.finished" ? "failed" : "")} empty="No event is like that. What happens from now on shows up here." />
      <${Pager} page=${list.page} />`}<//>`;
}
