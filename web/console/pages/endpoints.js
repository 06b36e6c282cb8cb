// Who is told: every endpoint with its health. What is down stands first. A new one shows its secret once.

import { ask } from "../lib/api.js";
import { html, now, to, useState } from "../lib/base.js";
import { useLoad } from "../lib/live.js";
import { go } from "../lib/route.js";
import { Act, Ago, At, Copy, Dialog, Facts, Pager, Section, Shown, State, Table, Trouble, useSend } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

const RANK = ["down", "degraded", "up"];
const FORMATS = ["standard", "cloudevents", "slack", "teams", "mattermost", "discord", "googlechat", "pagerduty", "servicenow"];

/** @param {Endpoint} endpoint */
export const healthOf = ({ enabled, health }) => (enabled ? health : "disabled");

/** The secret, once. @param {{secret: string, close: () => void, warnings?: {pointer: string, detail: string}[]}} props */
export function Secret({ secret, close, warnings = [] }) {
  return html`<${Dialog} title="The secret, shown once" close=${close}>
    <p>Give it to the receiver now: it verifies the signatures with it. It is not kept in this page.</p>
    <p><code class="secret">${secret}</code> <${Copy} text=${secret} what="secret" /></p>
    ${warnings.map(({ detail }) => html`<p class="fine">${detail}</p>`)}
    <p class="buttons"><button type="button" class="main" onClick=${close}>I have it</button></p>
  <//>`;
}

/** @param {{types: string[], close: () => void, made: (created: EndpointCreated) => void}} props */
function Create({ types, close, made }) {
  const [form, setForm] = useState({ url: "", description: "", format: "standard" });
  const [chosen, setChosen] = useState(["failover.session.finished"]);
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => setForm({ ...form, [name]: event.currentTarget.value });
  const { run, busy, problem } = useSend(async () => {
    const { data } = await ask("/api/v1/webhook-endpoints", { method: "POST", body: { url: form.url.trim(), format: form.format, eventTypes: chosen, ...(form.description.trim() && { description: form.description.trim() }) } });
    made(data);
  });
  const toggle = (/** @type {string} */ type) => setChosen(chosen.includes(type) ? chosen.filter((one) => one !== type) : [...chosen, type]);
  return html`<${Dialog} title="New endpoint" close=${close}>
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      run();
    }}>
      <label>URL<input type="url" required placeholder="https://receiver.example/hook" value=${form.url} onInput=${set("url")} /></label>
      <label>Description<input value=${form.description} onInput=${set("description")} /></label>
      <label>Format<select onChange=${set("format")}>${FORMATS.map((format) => html`<option value=${format}>${format}</option>`)}</select></label>
      <fieldset><legend>Events</legend><div class="choices">${types.map((type) => html`<label class="choice"><input type="checkbox" checked=${chosen.includes(type)} onChange=${() => toggle(type)} />${type}</label>`)}</div></fieldset>
      <${Trouble} problem=${problem} />
      <p class="buttons"><button type="submit" class="main" disabled=${busy || !form.url.trim()}>Make it</button><button type="button" onClick=${close}>Back</button></p>
    </form><//>`;
}

export function Endpoints() {
  const [open, setOpen] = useState(false);
  const [created, setCreated] = useState(/** @type {EndpointCreated | null} */ (null));
  const loaded = useLoad("/api/v1/webhook-endpoints?pageSize=100", { reloadOn: ({ type }) => type.startsWith("webhook.") });
  const types = useLoad(open ? "/api/v1/event-types" : null);
  /** @type {Column<Endpoint>[]} */
  const columns = [
    { head: "Health", cell: (endpoint) => html`<${State} word=${healthOf(endpoint)} />` },
    { head: "Endpoint", kind: "lead", cell: (endpoint) => html`<a class="name" href=${to(`/endpoints/${endpoint.id}`)}>${endpoint.description || endpoint.url}</a>${endpoint.description && html`<div class="fine">${endpoint.url}</div>`}` },
    { head: "Format", kind: "less", cell: ({ format }) => format },
    { head: "Last success", kind: "number", cell: ({ lastSuccessAt }) => html`<${Ago} at=${lastSuccessAt} />` },
    { head: "Fails since", kind: "number", cell: ({ firstFailureAt }) => html`<${Ago} at=${firstFailureAt} none="–" />` },
    { head: "Last error", kind: "said", cell: ({ lastError, disabledReason }) => disabledReason ?? lastError ?? "" },
  ];
  return html`<${Heading} title="Endpoints">Endpoints<//>
    <${Section} title="Who is told" actions=${html`<span class="control"><${Act} scope="webhooks:write" onClick=${() => setOpen(true)}>New endpoint…<//></span>`}>
      <${Shown} of=${loaded}>${(/** @type {List<Endpoint>} */ list) => html`
        <${Table} caption="Webhook endpoints" columns=${columns} id=${(/** @type {Endpoint} */ { id }) => id} rows=${[...list.items].sort((a, b) => RANK.indexOf(healthOf(a)) - RANK.indexOf(healthOf(b)))} tone=${(/** @type {Endpoint} */ endpoint) => (healthOf(endpoint) === "down" ? "failed" : "")} empty="Nobody is told when a failover ends. A new endpoint changes that." />
        <${Pager} page=${list.page} />`}<//>
    <//>
    ${open && types.data && html`<${Create} types=${types.data.items.map((/** @type {{type: string}} */ { type }) => type)} close=${() => setOpen(false)} made=${(/** @type {EndpointCreated} */ data) => {
      setOpen(false);
      setCreated(data);
      loaded.reload();
    }} />`}
    ${created && html`<${Secret} secret=${created.secret} warnings=${created.warnings} close=${() => setCreated(null)} />`}`;
}

// One endpoint: how it is, what it gets, and what can be done: test, pause, a new secret, sending again what it missed.

const DAY = 86_400_000;

/** @param {{at: string, kind: "recover" | "replay", close: () => void, done: () => void}} props */
function Resend({ at, kind, close, done }) {
  const [since, setSince] = useState(() => new Date(now() - DAY - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16));
  const { run, busy, problem } = useSend(async () => {
    await ask(`${at}/${kind}`, { method: "POST", body: { since: new Date(since).toISOString() } });
    done();
    close();
  });
  return html`<${Dialog} title=${kind === "recover" ? "Send again what was given up" : "Send what it never got"} close=${close}>
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      run();
    }}>
      <p>${kind === "recover" ? "Deliveries that were given up since then are sent once more, with the same webhook-id." : "What the event log holds since then, and this endpoint never got, is sent to it."}</p>
      <label>Since<input type="datetime-local" required value=${since} onInput=${(/** @type {any} */ event) => setSince(event.currentTarget.value)} /></label>
      <${Trouble} problem=${problem} />
      <p class="buttons"><button type="submit" class="main" disabled=${busy || !since}>Send</button><button type="button" onClick=${close}>Back</button></p>
    </form><//>`;
}

/** @param {{parts: string[]}} props */
export function EndpointPage({ parts }) {
  const id = parts[1] ?? "";
  const at = `/api/v1/webhook-endpoints/${encodeURIComponent(id)}`;
  const loaded = useLoad(at, { reloadOn: ({ type }) => type.startsWith("webhook.") });
  const jobs = useLoad(`${at}/jobs?pageSize=10`);
  const [open, setOpen] = useState(/** @type {"" | "recover" | "replay" | "rotate"} */ (""));
  const [secret, setSecret] = useState("");
  const test = useSend(async () => {
    const { data } = await ask(`${at}/test`, { method: "POST" });
    go(to(`/deliveries/${data.id}`));
  });
  const toggle = useSend(async (/** @type {boolean} */ enabled) => {
    await ask(at, { method: "PATCH", body: { enabled }, merge: true });
    loaded.reload();
  });
  const rotate = useSend(async () => {
    const { data } = await ask(`${at}/rotate-secret`, { method: "POST", body: {} });
    setOpen("");
    setSecret(data.secret);
  });
  const close = () => setOpen("");
  /** @type {Column<Job>[]} */
  const columns = [
    { head: "Job", kind: "lead", cell: ({ kind }) => kind },
    { head: "State", cell: ({ state }) => html`<${State} word=${state} />` },
    { head: "Done", kind: "number", cell: ({ done, total }) => `${done} of ${total}` },
    { head: "Since", kind: "number", cell: ({ since }) => html`<${At} at=${since} />` },
    { head: "Asked", kind: "number", cell: ({ createdAt }) => html`<${Ago} at=${createdAt} />` },
  ];
  if (loaded.problem?.status === 404 && !loaded.data) return html`<${Heading} title="Not found">No such endpoint<//><p><a href=${to("/endpoints")}>All endpoints</a></p>`;
  return html`<${Heading} title="Endpoint">${loaded.data?.description || loaded.data?.url || "Endpoint"}<//>
    <${Shown} of=${loaded}>${(/** @type {Endpoint & {pausedUntil?: string | null}} */ endpoint) => html`
      <${Facts} of=${[
        ["Health", html`<${State} word=${healthOf(endpoint)} />`],
        ["URL", html`<code>${endpoint.url}</code>`],
        ["Format", endpoint.format],
        ["Last success", html`<${Ago} at=${endpoint.lastSuccessAt} />`],
        ["Fails since", html`<${Ago} at=${endpoint.firstFailureAt} none="it does not" />`],
        ["Last error", endpoint.disabledReason ?? endpoint.lastError],
        ["Paused until", endpoint.pausedUntil ? html`<${At} at=${endpoint.pausedUntil} />` : html`<span class="quiet">not paused</span>`],
        ["Events", endpoint.eventTypes.length ? endpoint.eventTypes.join(", ") : "all that are not opt-in"],
        ["Only", [...endpoint.filter.results, ...endpoint.filter.tenants, ...endpoint.filter.planIds].join(", ") || html`<span class="quiet">no filter</span>`],
        ["Receiver's certificate", endpoint.certificate ? html`ends <${Ago} at=${endpoint.certificate.notAfter} />` : html`<span class="quiet">not told</span>`],
        ["Belongs to", endpoint.owner.subject],
      ]} />
      <div class="actions control">
        <${Act} scope="webhooks:write" tone="main" busy=${test.busy} onClick=${test.run}>Send a test<//>
        <${Act} scope="webhooks:write" busy=${toggle.busy} onClick=${() => toggle.run(!endpoint.enabled)}>${endpoint.enabled ? "Disable" : "Enable"}<//>
        <${Act} scope="webhooks:write" onClick=${() => setOpen("rotate")}>New secret…<//>
        <${Act} scope="webhooks:write" onClick=${() => setOpen("recover")}>Recover…<//>
        <${Act} scope="webhooks:write" onClick=${() => setOpen("replay")}>Replay…<//>
        <a href=${to(`/deliveries?endpointId=${id}`)}>Its deliveries</a>
      </div>
      ${[test, toggle].map(({ problem }) => html`<${Trouble} problem=${problem} />`)}
      <${Section} title="Jobs"><${Shown} of=${jobs}>${(/** @type {List<Job>} */ list) => html`<${Table} caption="Jobs of this endpoint" columns=${columns} rows=${list.items} id=${(/** @type {Job} */ { id }) => id} empty="Nothing was sent again." />`}<//><//>`}<//>
    ${(open === "recover" || open === "replay") && html`<${Resend} at=${at} kind=${open} close=${close} done=${jobs.reload} />`}
    ${open === "rotate" && html`<${Dialog} title="Make a new secret?" close=${close}><p>For 24 hours both secrets sign, then the old one ends.</p><${Trouble} problem=${rotate.problem} /><p class="buttons"><button type="button" class="main" disabled=${rotate.busy} onClick=${rotate.run}>Make it</button><button type="button" onClick=${close}>Back</button></p><//>`}
    ${secret && html`<${Secret} secret=${secret} close=${() => setSecret("")} />`}`;
}
