// The console of emgate: finds the page of an address and draws it inside the shell. The board is part of what is loaded first;
// the other pages come together when one of them is opened, or when there is time.

import { recognise, wasIn, who } from "./lib/api.js";
import { html, render, useCell, useEffect, useState } from "./lib/base.js";
import { route } from "./lib/route.js";
import { Board } from "./pages/board.js";
import { Trouble } from "./ui/parts.js";
import { Heading, Login, Shell } from "./ui/shell.js";

/** First part of the address, and whether a thing follows it. @type {Record<string, keyof typeof import("./pages.js")>} */
const PAGES = {
  "failovers/": "Failover",
  plans: "Plans",
  "plans/": "PlanPage",
  approvals: "Approvals",
  "approvals/": "Approvals",
  deliveries: "Deliveries",
  "deliveries/": "DeliveryPage",
  endpoints: "Endpoints",
  "endpoints/": "EndpointPage",
  events: "Events",
  reports: "Reports",
  audit: "Audit",
  system: "System",
};
const others = () => import("./pages.js");

function NotFound() {
  return html`<${Heading} title="Not found">There is no such page<//><p>The address may be of another version.</p>`;
}

function NotLoaded() {
  return html`<${Heading} title="Not loaded">This page could not be loaded<//><p>The gateway does not answer, or has been renewed. Load the console again.</p>`;
}

/** @param {{parts: string[], name: string}} props */
function PageOf({ parts, name }) {
  const [loaded, setLoaded] = useState(/** @type {Record<string, any> | "failed" | null} */ (null));
  const wanted = PAGES[name];
  useEffect(() => {
    if (!wanted || (loaded && loaded !== "failed")) return;
    others().then(setLoaded, () => setLoaded("failed"));
  }, [name]);
  const Page = name === "" ? Board : !wanted ? NotFound : loaded === "failed" ? NotLoaded : loaded?.[wanted];
  if (!Page) return html`<p class="quiet loading">Loading…</p>`;
  return html`<${Page} key=${parts.join("/")} parts=${parts} />`;
}

function App() {
  const { parts, query } = useCell(route);
  const me = useCell(who);
  const [known, setKnown] = useState(wasIn);
  const name = parts.length > 1 ? `${parts[0]}/` : (parts[0] ?? "");
  useEffect(() => document.documentElement.classList.toggle("wall", query.get("wall") === "1"), [query.get("wall")]);
  useEffect(() => {
    document.querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [parts.join("/")]);
  // Who this is may stay without an answer while all else is answered: pages are drawn, and what depends on it is called unknown.
  if (!known && (me.state === "in" || (me.state === "unknown" && me.problem))) setKnown(true);
  if (!known) return html`<${Shell}>${me.state === "out" ? html`<${Login} again=${false} />` : html`<p class="quiet loading">Loading…</p>`}<//>`;
  return html`<${Shell}>
    ${me.state === "out" && html`<${Login} again=${true} />`}
    ${me.state === "unknown" && html`<${Trouble} problem=${me.problem ?? null} retry=${recognise} />`}
    <${PageOf} parts=${parts} name=${name} /><//>`;
}

const place = document.getElementById("app");
if (place) {
  place.textContent = "";
  render(html`<${App} />`, place);
}
recognise();
// With time to spare the other pages are fetched, so that they open while the gateway is away.
addEventListener("load", () => setTimeout(() => others().catch(() => {}), 3_000));
