// The console of emgate: finds the page of an address and draws it inside the shell. A page is fetched when it is opened first.

import { recognise, who } from "./lib/api.js";
import { html, render, useCell, useEffect, useState } from "./lib/base.js";
import { route } from "./lib/route.js";
import { Trouble } from "./ui/parts.js";
import { Heading, Login, Shell } from "./ui/shell.js";

/** First part of the address, and whether a thing follows it. @type {Record<string, () => Promise<any>>} */
const PAGES = {
  "": () => import("./pages/board.js").then(({ Board }) => Board),
  "failovers/": () => import("./pages/failover.js").then(({ Failover }) => Failover),
  plans: () => import("./pages/plans.js").then(({ Plans }) => Plans),
  "plans/": () => import("./pages/plans.js").then(({ PlanPage }) => PlanPage),
  approvals: () => import("./pages/approvals.js").then(({ Approvals }) => Approvals),
  "approvals/": () => import("./pages/approvals.js").then(({ Approvals }) => Approvals),
  deliveries: () => import("./pages/deliveries.js").then(({ Deliveries }) => Deliveries),
  "deliveries/": () => import("./pages/deliveries.js").then(({ DeliveryPage }) => DeliveryPage),
  endpoints: () => import("./pages/endpoints.js").then(({ Endpoints }) => Endpoints),
  "endpoints/": () => import("./pages/endpoints.js").then(({ EndpointPage }) => EndpointPage),
  events: () => import("./pages/records.js").then(({ Events }) => Events),
  reports: () => import("./pages/oversight.js").then(({ Reports }) => Reports),
  audit: () => import("./pages/oversight.js").then(({ Audit }) => Audit),
  system: () => import("./pages/oversight.js").then(({ System }) => System),
};

function NotFound() {
  return html`<${Heading} title="Not found">There is no such page<//><p>The address may be of another version. The board shows what runs now.</p>`;
}

/** @param {{parts: string[], name: string}} props */
function PageOf({ parts, name }) {
  const [page, setPage] = useState(/** @type {{name: string, Page: any} | null} */ (null));
  useEffect(() => {
    const open = PAGES[name];
    if (!open) return setPage({ name, Page: NotFound });
    open().then(
      (Page) => setPage({ name, Page }),
      () => setPage({ name, Page: () => html`<${Heading} title="Not loaded">This page could not be loaded<//><p>The gateway does not answer, or has been renewed. Load the console again.</p>` }),
    );
  }, [name]);
  if (page?.name !== name) return html`<p class="quiet loading">Loading…</p>`;
  return html`<${page.Page} key=${parts.join("/")} parts=${parts} />`;
}

function App() {
  const { parts, query } = useCell(route);
  const me = useCell(who);
  const [known, setKnown] = useState(false);
  const name = parts.length > 1 ? `${parts[0]}/` : (parts[0] ?? "");
  useEffect(() => document.documentElement.classList.toggle("wall", query.get("wall") === "1"), [query.get("wall")]);
  useEffect(() => {
    document.querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [parts.join("/")]);
  if (me.state === "in" && !known) setKnown(true);
  if (!known && me.state !== "in") {
    return me.state === "out" ? html`<${Shell}><${Login} again=${false} /><//>` : html`<${Shell}><${Trouble} problem=${me.problem ?? null} retry=${recognise} /><p class="quiet loading">Loading…</p><//>`;
  }
  return html`<${Shell}>${me.state === "out" && html`<${Login} again=${true} />`}<${PageOf} parts=${parts} name=${name} /><//>`;
}

const place = document.getElementById("app");
if (place) {
  place.textContent = "";
  render(html`<${App} />`, place);
}
recognise();
// The other pages are fetched when there is time, so that they open while the gateway is away.
addEventListener("load", () => setTimeout(() => Object.values(PAGES).forEach((open) => open().catch(() => {})), 3_000));
