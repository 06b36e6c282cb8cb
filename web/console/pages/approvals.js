// What waits for approval, and the one that a chat link leads to. Nobody approves their own request; it is shown all the same.

import { ask, who } from "../lib/api.js";
import { html, to, useState } from "../lib/base.js";
import { openAfter, operationAfter } from "../lib/failovers.js";
import { useLoad } from "../lib/live.js";
import { Act, Ago, Ask, At, Facts, Kind, Section, Shown, State } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

/** @param {{operation: Operation, changed: () => void}} props */
function Decide({ operation, changed }) {
  const [open, setOpen] = useState("");
  const own = operation.requestedBy !== null && operation.requestedBy === who.value.subject;
  const given = operation.approval?.given.some(({ by }) => by !== null && by === who.value.subject);
  const off = own ? "your own request: somebody else approves it" : given ? "you have approved it" : null;
  const send = (/** @type {string} */ verb) => async (/** @type {string} */ comment) => {
    await ask(`/api/v1/operations/${operation.id}/${verb}`, { method: "POST", body: comment ? { comment } : {} });
    changed();
  };
  return html`<div class="actions control">
    <${Act} scope="plans:approve" tone="main" off=${off} onClick=${() => setOpen("approve")}>Approve…<//>
    <${Act} scope="plans:approve" off=${off} onClick=${() => setOpen("reject")}>Reject…<//>
    ${open === "approve" && html`<${Ask} title=${`Approve: ${operation.action} of ${operation.plan?.name}?`} label="Comment" button="Approve" tone=${operation.action === "start" ? "danger" : ""} close=${() => setOpen("")} send=${send("approve")}>
      <p>${(operation.approval?.given.length ?? 0) + 1 >= (operation.approval?.required ?? 1) ? "This is the last approval that is needed: it is sent to Enterprise Manager at once." : "Others have to approve as well before it is sent."}</p><//>`}
    ${open === "reject" && html`<${Ask} title=${`Reject: ${operation.action} of ${operation.plan?.name}?`} label="Comment" button="Reject" tone="danger" close=${() => setOpen("")} send=${send("reject")}><p>The request ends. Nothing is sent.</p><//>`}
  </div>`;
}

/** @param {{operation: Operation, changed: () => void}} props */
function Request({ operation, changed }) {
  const { approval, plan } = operation;
  return html`<${Section} title=${html`<${Kind} action=${operation.action} /> <a class="name" href=${to(`/approvals/${operation.id}`)}>${plan?.name ?? operation.target}</a>`}>
    <${Facts} of=${[
      ["State", html`<${State} word=${operation.result ?? operation.state} />${operation.failure && html` <span class="said">${operation.failure.message}</span>`}`],
      ["Tenant", plan?.tenant?.name ?? html`<span class="quiet">of nobody</span>`],
      ["Asked by", html`${operation.requestedBy ?? "a token without a subject"}, <${Ago} at=${operation.requestedAt} />`],
      ["Reason", operation.reason ?? html`<span class="quiet">none given</span>`],
      ["Given", approval ? `${approval.given.length} of ${approval.required}` : html`<span class="quiet">none needed</span>`],
      ["Ends", html`<${At} at=${approval?.expiresAt} /> (<${Ago} at=${approval?.expiresAt} />)`],
    ]} />
    ${approval && approval.given.length > 0 && html`<ul class="lines">${approval.given.map(({ by, at, comment }) => html`<li><${State} word="passed" /> ${by ?? "somebody"} <${At} at=${at} />${comment && html` <span class="said">${comment}</span>`}</li>`)}</ul>`}
    ${operation.state === "awaitingApproval" ? html`<${Decide} operation=${operation} changed=${changed} />` : html`<p>Decided. <a href=${to(`/failovers/${operation.id}`)}>What became of it</a></p>`}
  <//>`;
}

/** @param {{id: string}} props */
function One({ id }) {
  const loaded = useLoad(`/api/v1/operations/${encodeURIComponent(id)}`, { patch: operationAfter });
  if (loaded.problem?.status === 404 && !loaded.data) return html`<p>There is no such request. It may belong to another tenant, or have left the gateway's memory.</p>`;
  return html`<${Shown} of=${loaded}>${(/** @type {Operation} */ operation) => html`<${Request} operation=${operation} changed=${loaded.reload} />`}<//>
    <p><a href=${to("/approvals")}>All that wait</a></p>`;
}

function All() {
  const loaded = useLoad("/api/v1/operations?state=awaitingApproval&pageSize=100", { patch: openAfter });
  return html`<${Shown} of=${loaded}>${(/** @type {List<Operation>} */ list) => {
    const waiting = list.items.filter(({ state }) => state === "awaitingApproval");
    return waiting.length ? waiting.map((operation) => html`<${Request} key=${operation.id} operation=${operation} changed=${loaded.reload} />`) : html`<p class="empty">Nothing waits for approval.</p>`;
  }}<//>`;
}

/** @param {{parts: string[]}} props */
export function Approvals({ parts }) {
  return html`<${Heading} title=${parts[1] ? "Approval" : "Approvals"}>${parts[1] ? "Approval" : "Approvals"}<//>${parts[1] ? html`<${One} id=${parts[1]} />` : html`<${All} />`}`;
}
