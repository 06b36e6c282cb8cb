// What was sent to whom: the list by endpoint, state and type, and one delivery with its attempts.

import { ask } from "../lib/api.js";
import { html, to, useCell, useState } from "../lib/base.js";
import { useLoad } from "../lib/live.js";
import { route } from "../lib/route.js";
import { Act, Ago, At, Copy, Facts, Filter, Pager, Section, Shown, State, Table, useSend } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

const STATES = ["pending", "sending", "delivered", "held", "exhausted", "cancelled", "quarantined"];
const KEPT = ["endpointId", "state", "eventType", "after", "before"];

export function Deliveries() {
  const { query } = useCell(route);
  const asked = new URLSearchParams([...query].filter(([name]) => KEPT.includes(name)));
  const loaded = useLoad(`/api/v1/webhook-deliveries?pageSize=50&${asked}`, { reloadOn: ({ type }) => /finished|started|webhook\./.test(type) });
  const endpoints = useLoad("/api/v1/webhook-endpoints?pageSize=100");
  const types = useLoad("/api/v1/event-types");
  const names = new Map((endpoints.data?.items ?? []).map((/** @type {Endpoint} */ { id, description, url }) => [id, description || url]));
  /** @type {Column<Delivery>[]} */
  const columns = [
    { head: "State", cell: ({ state }) => html`<${State} word=${state} />` },
    { head: "Event", kind: "lead", cell: ({ id, eventType }) => html`<a href=${to(`/deliveries/${id}`)}>${eventType}</a>` },
    { head: "To", cell: ({ endpointId, operationId }) => (endpointId ? html`<a href=${to(`/endpoints/${endpointId}`)}>${names.get(endpointId) ?? endpointId}</a>` : html`<a href=${to(`/failovers/${operationId}`)}>callback</a>`) },
    { head: "Made", kind: "number", cell: ({ createdAt }) => html`<${At} at=${createdAt} />` },
    { head: "Attempts", kind: "number", cell: ({ attempts }) => attempts.length },
    { head: "Last answer", cell: ({ attempts }) => attempts.at(-1)?.error ?? attempts.at(-1)?.status ?? "" },
    { head: "Next", kind: "number", cell: ({ nextAttemptAt }) => nextAttemptAt && html`<${Ago} at=${nextAttemptAt} />` },
    { head: "", kind: "control", cell: (delivery) => html`<${Redeliver} delivery=${delivery} done=${loaded.reload} />` },
  ];
  return html`<${Heading} title="Deliveries">Deliveries<//>
    <div class="filters control">
      <${Filter} name="endpointId" label="Endpoint" value=${query.get("endpointId") ?? ""} options=${[["", "all"], ...names]} />
      <${Filter} name="state" label="State" value=${query.get("state") ?? ""} options=${[["", "all"], ["pending,sending,held,exhausted,quarantined", "not delivered"], ...STATES.map((state) => [state, state])]} />
      <${Filter} name="eventType" label="Event" value=${query.get("eventType") ?? ""} options=${[["", "all"], ...(types.data?.items ?? []).map((/** @type {{type: string}} */ { type }) => [type, type])]} />
    </div>
    <${Shown} of=${loaded}>${(/** @type {List<Delivery>} */ list) => html`<${Table} caption="Deliveries" columns=${columns} rows=${list.items} id=${(/** @type {Delivery} */ { id }) => id} tone=${(/** @type {Delivery} */ { state }) => (state === "exhausted" ? "failed" : "")} empty="No delivery is like that. What goes to your endpoints shows up here." />
      <${Pager} page=${list.page} />`}<//>`;
}

// One delivery with every attempt: when, where the time went, and what the receiver said.

const PHASES = /** @type {const} */ (["dns", "connect", "tls", "firstByte"]);

/** @param {{attempt: Attempt}} props */
function Phases({ attempt }) {
  const { phases } = attempt;
  if (!phases) return html`<span class="quiet">no connection</span>`;
  const told = PHASES.flatMap((name) => (phases[name] === null || phases[name] === undefined ? [] : [`${name === "firstByte" ? "first byte" : name} ${phases[name].toFixed(1)} ms`]));
  return html`<span class="fine">${told.join(" · ")} · total ${phases.total.toFixed(1)} ms</span>`;
}

/** @param {{parts: string[]}} props */
export function DeliveryPage({ parts }) {
  const id = parts[1] ?? "";
  const loaded = useLoad(`/api/v1/webhook-deliveries/${encodeURIComponent(id)}`, { reloadOn: ({ type }) => type.startsWith("webhook.") });
  if (loaded.problem?.status === 404 && !loaded.data) return html`<${Heading} title="Not found">No such delivery<//><p><a href=${to("/deliveries")}>All deliveries</a></p>`;
  return html`<${Heading} title="Delivery">Delivery<//>
    <${Shown} of=${loaded}>${(/** @type {Delivery} */ delivery) => html`
      <${Facts} of=${[
        ["State", html`<${State} word=${delivery.state} />`],
        ["Event", html`<a href=${to(`/events?type=${delivery.eventType}`)}>${delivery.eventType}</a>`],
        ["To", delivery.endpointId ? html`<a href=${to(`/endpoints/${delivery.endpointId}`)}>the endpoint</a>` : html`<a href=${to(`/failovers/${delivery.operationId}`)}>callback of an operation</a>`],
        ["webhook-id", html`<code>${delivery.eventId}</code> <${Copy} text=${delivery.eventId} what="webhook-id" />`],
        ["Made", html`<${At} at=${delivery.createdAt} />`],
        ["Next attempt", delivery.nextAttemptAt ? html`<${Ago} at=${delivery.nextAttemptAt} />` : html`<span class="quiet">none</span>`],
      ]} />
      <div class="actions control"><${Redeliver} delivery=${delivery} done=${loaded.reload} /></div>
      <${Section} title="Attempts" count=${delivery.attempts.length}>
        ${!delivery.attempts.length && html`<p class="empty">Nothing was sent yet.</p>`}
        <ol class="attempts">${[...delivery.attempts].reverse().map((attempt) => html`<li>
          <div><span class="number">#${attempt.number}</span> <${At} at=${attempt.at} /> <${State} word=${attempt.error ? "failed" : "delivered"} /> ${attempt.status ?? ""} ${attempt.error ?? ""} <${Phases} attempt=${attempt} /></div>
          <div class="fine">${[attempt.remoteAddress, attempt.tlsVersion, attempt.connectionReused ? "connection reused" : null, attempt.location && `redirects to ${attempt.location}`, attempt.warning, attempt.note].filter(Boolean).join(" · ")}</div>
          ${attempt.response && html`<pre>${attempt.response}</pre>`}</li>`)}</ol>
      <//>`}<//>`;
}

// The button that sends a delivery once more.

/** @param {{delivery: Delivery, done: () => void}} props */
export function Redeliver({ delivery, done }) {
  const [sent, setSent] = useState(false);
  const { run, busy, problem } = useSend(async () => {
    await ask(`/api/v1/webhook-deliveries/${delivery.id}/redeliver`, { method: "POST" });
    setSent(true);
    done();
  });
  return html`<${Act} scope="webhooks:write" busy=${busy} onClick=${run}>${sent ? "Asked again" : "Redeliver"}<//>${problem && html` <span class="bad">${problem.detail}</span>`}`;
}
