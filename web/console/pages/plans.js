// The plans: all of them with their last tests, one with its machines and runs, and the dialog that tests or starts it.

import { ask, asProblem, may, newKey, Problem } from "../lib/api.js";
import { axis, counted, duration, html, to, useCell, useEffect, useMemo, useState } from "../lib/base.js";
import { useLoad } from "../lib/live.js";
import { go, route } from "../lib/route.js";
import { Act, Ago, At, Day, Dialog, Elapsed, Facts, Filter, Kind, Pager, Search, Section, Shown, State, Table, Trouble, useSend } from "../ui/parts.js";
import { Heading } from "../ui/shell.js";

/** @param {Plan} plan */
export const planAddress = ({ kind, id }) => to(`/plans/${kind}/${encodeURIComponent(id)}`);

/** @param {ProgrammePlan | undefined} told */
const tested = (told) => {
  if (!told) return html`<span class="quiet">not told</span>`;
  const { lastTest, overdue } = told;
  if (!lastTest) return html`<${State} word="warning" label="never tested" />${overdue && html` <${State} word="overdue" />`}`;
  return html`<${State} word=${lastTest.verdict ?? lastTest.result ?? "unknown"} /> <a href=${to(`/failovers/${lastTest.operationId ?? lastTest.sessionId}`)}><${Ago} at=${lastTest.at} /></a>${overdue && html` <${State} word="overdue" />`}`;
};

export function Plans() {
  const { query } = useCell(route);
  const [running, run] = useState(/** @type {{plan: Plan, action: "test" | "start"} | null} */ (null));
  const kind = query.get("kind") === "onPremises" ? "failover-plans" : "cloud-failover-plans";
  const cloud = kind === "cloud-failover-plans";
  const page = query.get("page");
  const text = (query.get("q") ?? "").toLowerCase();
  const plans = useLoad(`/api/v1/${kind}?pageSize=100&sortAsc=name${page ? `&page=${encodeURIComponent(page)}` : ""}`);
  const programme = useLoad(may("reports:read") === "no" ? null : "/api/v1/reports/recovery-tests", { reloadOn: ({ type }) => type.startsWith("recovery.") });
  const told = new Map((programme.data?.items ?? []).map((/** @type {ProgrammePlan} */ one) => [one.plan.id.toLowerCase(), one]));
  const of = (/** @type {Plan} */ plan) => told.get(plan.id.toLowerCase());
  /** @type {Column<Plan>[]} */
  const columns = [
    { head: "Plan", kind: "lead", cell: (plan) => html`<a class="name" href=${planAddress(plan)}>${plan.name}</a>` },
    { head: "Tenant", cell: ({ tenant }) => tenant?.name ?? html`<span class="quiet">of nobody</span>` },
    { head: "Machines", kind: "number", cell: ({ virtualMachines }) => virtualMachines.length },
    ...(cloud ? [{ head: "Last test", cell: (/** @type {Plan} */ plan) => tested(of(plan)) }] : []),
    { head: "RTO", kind: "number less", cell: ({ objectives }) => (objectives.rtoSeconds === null ? html`<span class="quiet">not set</span>` : axis(objectives.rtoSeconds)) },
    {
      head: "",
      kind: "control",
      cell: (plan) => html`${plan.actions.includes("test") && html`<${Act} scope="plans:test" onClick=${() => run({ plan, action: "test" })}>Test…<//> `}<${Act} scope="plans:start" tone="danger" onClick=${() => run({ plan, action: "start" })}>Start…<//>`,
    },
  ];
  const wanted = (/** @type {Plan} */ { name, tenant }) => !text || name.toLowerCase().includes(text) || (tenant?.name ?? "").toLowerCase().includes(text);
  const rank = (/** @type {Plan} */ plan) => (of(plan)?.overdue ? 0 : of(plan)?.lastTest?.result === "failed" ? 1 : 2);
  return html`<${Heading} title="Plans">Plans<//>
    <div class="filters control"><${Search} name="q" label="Name or tenant" value=${query.get("q") ?? ""} />
      <${Filter} name="kind" label="Kind" value=${query.get("kind") ?? ""} options=${[["", "Cloud Connect"], ["onPremises", "On-premises"]]} /></div>
    <${Shown} of=${plans}>${(/** @type {List<Plan>} */ list) => html`
      <${Table} caption="Failover plans" columns=${columns} id=${(/** @type {Plan} */ { id }) => id}
        rows=${list.items.filter(wanted).sort((a, b) => rank(a) - rank(b))}
        empty=${list.items.length ? "No plan of this page has that name or tenant." : "Enterprise Manager shows no plan of this kind."} />
      <${Pager} page=${list.page} />`}<//>
    ${running && html`<${RunDialog} plan=${running.plan} action=${running.action} close=${() => run(null)} />`}`;
}

// One plan: its machines in order, its commands and objectives, its last tests as a strip, and the two ways to run it.

/** @typedef {{to: string, at: string | null, word: string, ms: number | null}} Bar a test: its page, when, how, and how long */

/** The last tests as bars as high as their recovery took, oldest first. @param {{tests: Bar[], rtoSeconds: number | null}} props */
function Strip({ tests, rtoSeconds }) {
  if (!tests.length) return html`<p class="empty">No test of this plan has ended yet.</p>`;
  const rto = (rtoSeconds ?? 0) * 1000;
  const longest = Math.max(...tests.map(({ ms }) => ms ?? 0), rto, 1);
  const high = (/** @type {number} */ ms) => Math.max(3, (ms / longest) * 44);
  return html`<ol class="strip">${tests.map(({ to: page, at, word, ms }) => html`<li>
    <a href=${page}>
      <svg aria-hidden="true" width="100%" height="48"><rect class=${toneOf(word)} x="15%" width="70%" y=${46 - high(ms ?? 0)} height=${high(ms ?? 0)} rx="2" />
        ${rto > 0 && html`<line class="rto" x1="0" x2="100%" y1=${46 - high(rto)} y2=${46 - high(rto)} />`}</svg>
      <${State} word=${word} /> <span class="fine">${ms === null ? "–" : duration(ms)}</span> <span class="fine"><${Day} at=${at} /></span></a></li>`)}</ol>`;
}

/** @param {string} word */
const toneOf = (word) => (word === "success" || word === "passed" ? "good" : word === "failed" ? "bad" : "warn");

/** Tests by their reports, which reach back for years; else by the sessions of the last 30 days. @param {Plan | null} plan @param {Loaded<List<Session>>} sessions */
function useTests(plan, sessions) {
  const told = useLoad(plan && may("reports:read") === "yes" ? "/api/v1/reports/recovery-tests" : null, { reloadOn: ({ type }) => type.startsWith("recovery.") });
  const found = (told.data?.items ?? []).find((/** @type {ProgrammePlan} */ one) => one.plan.id.toLowerCase() === plan?.id.toLowerCase());
  /** @type {PastTest | null} */
  const last = found?.lastTest ?? null;
  const report = useLoad(last && (last.operationId ? `/api/v1/operations/${last.operationId}/report` : `/api/v1/failover-sessions/${encodeURIComponent(last.sessionId ?? "")}/report`));
  if (last) {
    const tests = [last, .../** @type {PastTest[]} */ (report.data?.comparison.tests ?? [])];
    return tests.map(({ operationId, sessionId, at, verdict, result, rtaMs }) => ({ to: to(`/failovers/${encodeURIComponent(operationId ?? sessionId ?? "")}`), at, word: verdict ?? result ?? "unknown", ms: rtaMs }));
  }
  const ended = (sessions.data?.items ?? []).filter((/** @type {Session} */ { action, startedAt, endedAt }) => action === "test" && startedAt && endedAt);
  return ended.map((/** @type {Session} */ { id, startedAt, endedAt, result }) => ({ to: to(`/failovers/${encodeURIComponent(id)}`), at: startedAt, word: result ?? "unknown", ms: Date.parse(endedAt ?? "") - Date.parse(startedAt ?? "") }));
}

/** @param {Plan["preFailoverCommand"]} command */
const command = (command) => (command?.enabled ? html`<code>${command.command ?? ""}</code>` : html`<span class="quiet">none</span>`);
/** @param {number | null} seconds */
const target = (seconds) => (seconds === null ? html`<span class="quiet">not set</span>` : axis(seconds));

/** @param {{parts: string[]}} props */
export function PlanPage({ parts }) {
  const [, kind = "", id = ""] = parts;
  const [action, run] = useState(/** @type {"test" | "start" | null} */ (null));
  const loaded = useLoad(`/api/v1/${kind === "cloud" ? "cloud-failover-plans" : "failover-plans"}/${encodeURIComponent(id)}`, {
    reloadOn: ({ type, data }) => type === "failover.operation.finished" && data.operation?.plan?.id.toLowerCase() === id.toLowerCase(),
  });
  /** @type {Plan | null} */
  const plan = loaded.data;
  const mine = (/** @type {StreamEvent} */ { data }) => Boolean(plan && (data.session?.plan?.id === plan.id || data.session?.planName === plan.name));
  const sessions = useLoad(plan && may("sessions:read") !== "no" ? `/api/v1/failover-sessions?planName=${encodeURIComponent(plan.name)}&sortDesc=startedAt&pageSize=30` : null, {
    reloadOn: (event) => mine(event) && /started|finished|lost/.test(event.type),
  });
  const tests = useTests(plan, sessions);
  if (loaded.problem?.status === 404) {
    return html`<${Heading} title="Not found">This plan is gone<//><p>Enterprise Manager no longer has it, or it belongs to another tenant. <a href=${to("/plans")}>All plans</a></p>`;
  }
  /** @type {Column<Plan["virtualMachines"][number]>[]} */
  const machines = [
    { head: "#", kind: "number", cell: ({ order }) => (order === null ? "" : order + 1) },
    { head: "Machine", kind: "lead", cell: ({ name }) => name },
  ];
  /** @type {Column<Session>[]} */
  const runs = [
    { head: "Result", cell: ({ result, state }) => html`<${State} word=${result ?? state} />` },
    { head: "Kind", kind: "narrow", cell: ({ action }) => html`<${Kind} action=${action} />` },
    { head: "Started", kind: "lead", cell: (session) => html`<a href=${to(`/failovers/${encodeURIComponent(session.id)}`)}><${At} at=${session.startedAt} /></a>` },
    { head: "Took", kind: "number", cell: ({ startedAt, endedAt }) => html`<${Elapsed} from=${startedAt} to=${endedAt} />` },
  ];
  return html`<${Heading} title=${plan?.name ?? "Plan"}>${plan?.name ?? "Plan"}<//>
    <${Shown} of=${loaded}>${(/** @type {Plan} */ plan) => html`
      ${plan.description && html`<p class="said">${plan.description}</p>`}
      <${Facts} of=${[
        ["Tenant", plan.tenant?.name ?? html`<span class="quiet">of nobody</span>`],
        ["Backup server", plan.backupServer?.name],
        ["Before", command(plan.preFailoverCommand)],
        ["After", command(plan.postFailoverCommand)],
        ["RTO", target(plan.objectives.rtoSeconds)],
        ["RPO", target(plan.objectives.rpoSeconds)],
        ["Tested every", plan.objectives.testEveryDays === null ? html`<span class="quiet">not set</span>` : `${plan.objectives.testEveryDays} days`],
        ["Owner", plan.objectives.owner],
      ]} />
      <div class="actions control">
        ${plan.actions.includes("test") && html`<${Act} scope="plans:test" tone="main" onClick=${() => run("test")}>Test…<//>`}
        <${Act} scope="plans:start" tone="danger" onClick=${() => run("start")}>Start the real failover…<//>
      </div>
      <${Section} title="Last tests"><${Strip} tests=${tests.slice(0, 12).reverse()} rtoSeconds=${plan.objectives.rtoSeconds} /><//>
      <div class="columns">
        <${Section} title="Machines" count=${plan.virtualMachines.length}><${Table} caption="Machines in start order" columns=${machines} rows=${[...plan.virtualMachines].sort((a, b) => (a.order ?? 0) - (b.order ?? 0))} id=${(/** @type {{name: string}} */ { name }) => name} empty="The plan has no machine." /><//>
        <${Section} title="Runs"><${Shown} of=${sessions}>${(/** @type {List<Session>} */ list) => html`<${Table} caption="Runs of this plan" columns=${runs} rows=${list.items} id=${(/** @type {Session} */ { id }) => id} empty="The plan has not run in the last 30 days." />`}<//><//>
      </div>
      ${action && html`<${RunDialog} plan=${plan} action=${action} close=${() => run(null)} />`}`}<//>`;
}

// The dialog that tests or starts a plan. First it shows what would happen, by a dry run; a start asks for the plan's name
// in a second step. Its key is made when it opens, so that a double click, or a lost answer, is one failover.

/** What the gateway says would happen. @param {string} address @param {object} body */
function useRehearsal(address, body) {
  const [told, tell] = useState(/** @type {{dry: DryRun | null, problem: Problem | null}} */ ({ dry: null, problem: null }));
  const text = JSON.stringify(body);
  useEffect(() => {
    let over = false;
    ask(`${address}?dryRun=true`, { method: "POST", body: JSON.parse(text) }).then(
      ({ data }) => !over && tell({ dry: data, problem: null }),
      (error) => !over && tell((before) => ({ ...before, problem: asProblem(error) })),
    );
    return () => (over = true);
  }, [address, text]);
  return told;
}

/** @param {{dry: DryRun | null, plan: Plan}} props */
function Rehearsal({ dry, plan }) {
  const machines = dry?.machines ?? plan.virtualMachines.map(({ name }) => ({ name, newestPoint: undefined }));
  return html`<p><strong>${counted(machines.length, "machine")}</strong> of ${plan.tenant?.name ? html`tenant <strong>${plan.tenant.name}</strong>` : "no tenant"}, and how old what they would come up with is:</p>
    <ul class="points" tabindex="0" aria-label="Machines and their newest restore points">${machines.map(({ name, newestPoint }) => html`<li><span class="name">${name}</span> ${newestPoint === undefined ? html`<span class="quiet">asking…</span>` : newestPoint ? html`<${Ago} at=${newestPoint.createdAt} />` : html`<${State} word="warning" /> no restore point`}</li>`)}</ul>
    ${dry && html`<p>${dry.wouldBe === "awaitingApproval" ? html`<${State} word="awaitingApproval" /> ${counted(dry.approvers, "other person", "other people")} must approve before anything is sent (policy ${dry.policies.join(", ")}).` : dry.wouldBe === "refused" ? html`<${State} word="refused" /> The gateway would refuse this now.` : "It would be sent to Enterprise Manager at once."}</p>
    ${dry.problems.map((problem) => html`<${Trouble} problem=${new Problem(/** @type {any} */ (problem))} />`)}`}`;
}

/** @param {{plan: Plan, action: "test" | "start", close: () => void}} props */
export function RunDialog({ plan, action, close }) {
  const real = action === "start";
  const key = useMemo(newKey, []);
  const [reason, setReason] = useState("");
  const [before, setBefore] = useState("");
  const [checked, setChecked] = useState({ reason: "", before: "" });
  const [step, setStep] = useState(1);
  const [typed, setTyped] = useState("");
  const body = (/** @type {{reason: string, before: string}} */ form) => ({
    ...(form.reason.trim() && { reason: form.reason.trim() }),
    ...(real && form.before && { restorePoint: { before: new Date(form.before).toISOString() } }),
  });
  const address = `${plan.links.self}/${action}`;
  const { dry, problem } = useRehearsal(address, body(checked));
  const { run, busy, problem: refused } = useSend(async () => {
    const { data } = await ask(address, { method: "POST", body: body({ reason, before }), headers: { "idempotency-key": key } });
    close();
    go(to(data.state === "awaitingApproval" ? `/approvals/${data.id}` : `/failovers/${data.id}`));
  });
  const named = typed.trim() === plan.name.trim();
  const check = () => setChecked({ reason, before });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (real && step === 1) {
      check();
      setStep(2);
    } else if (!real || named) run();
  };
  const title = real ? (step === 1 ? `Start ${plan.name}: what would happen` : `Start ${plan.name}: this is real`) : `Test ${plan.name}`;
  return html`<${Dialog} title=${title} close=${close} tone=${real ? "real" : ""}>
    <form onSubmit=${submit}>
      ${step === 1 && html`
        <p>${real ? "A real failover: the machines at the other site are started and take over." : "A test: the machines are started in an isolated network, checked and taken down again. Production goes on."}</p>
        <${Rehearsal} dry=${dry} plan=${plan} />
        <${Trouble} problem=${problem} />
        <label>Reason${dry?.policies.length ? " (a policy may require it)" : ""}<textarea rows="2" maxlength="500" value=${reason} onInput=${(/** @type {any} */ event) => setReason(event.currentTarget.value)} onChange=${check}></textarea></label>
        ${real && html`<label>Restore points not younger than (empty: the newest)<input type="datetime-local" step="1" value=${before} onInput=${(/** @type {any} */ event) => setBefore(event.currentTarget.value)} onChange=${check} /></label>`}`}
      ${step === 2 && html`
        <p class="warning"><strong>This is real.</strong> ${counted(plan.virtualMachines.length, "machine")} of ${plan.tenant?.name ?? "no tenant"} will be started at the other site. It cannot be taken back by closing this page.</p>
        <p>The plan's name is <strong class="name">${plan.name}</strong></p>
        <label>Type the plan's name<input autocomplete="off" spellcheck="false" value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.currentTarget.value)} ref=${(/** @type {HTMLElement | null} */ field) => field && !typed && field.focus()} /></label>`}
      <${Trouble} problem=${refused} />
      <p class="buttons">
        ${real && step === 1 ? html`<button type="submit" class="main">Next</button>` : html`<button type="submit" class=${real ? "danger" : "main"} disabled=${busy || (real && !named)}>${busy ? "Sending…" : real ? "Start the real failover" : "Test"}</button>`}
        <button type="button" onClick=${step === 2 ? () => setStep(1) : close}>Back</button>
      </p>
    </form>
  <//>`;
}
