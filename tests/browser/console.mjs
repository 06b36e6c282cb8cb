// The console in a real browser: what an operator does, by keyboard alone, and what goes wrong on a bad day.
//
//   node tests/browser/console.mjs BINARY [NAME]
//
// Each test is a promise; NAME picks those that hold it.

import { readdirSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { busyEvening } from "./console/scenes.mjs";
import { api, check, clean, kill, LIMIT, logIn, makeContext, makeWorld, root, run, sim, startGateway, tested, token, until } from "./console/world.mjs";

const HOSTILE = '<img src=x onerror="window.x=1"><script>window.x=1</script>';
let scene;

/** The operations that were ever asked for. */
const operations = async (world) => (await api(world, "/api/v1/operations?pageSize=100")).items;

/** Moves the focus with Tab until it is on what has this name. */
async function tabTo(page, name, key = "Tab") {
  for (let step = 0; step < 120; step++) {
    const found = await page.evaluate(() => (document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "").trim());
    if (found === name) return;
    await page.keyboard.press(key);
  }
  throw new Error(`the keyboard does not reach "${name}"`);
}

/** What a file weighs on the line, as the gateway compresses it. */
const weight = (url) =>
  new Promise((found, failed) => {
    get(url, { headers: { "accept-encoding": "gzip" } }, (answer) => {
      check(answer.statusCode === 200 && answer.headers["content-encoding"] === "gzip", `${url}: ${answer.statusCode}, ${answer.headers["content-encoding"]}`);
      let bytes = 0;
      answer.on("data", (chunk) => (bytes += chunk.length)).on("end", () => found(bytes));
    }).on("error", failed);
  });

const tests = {
  async "all files are within the budget"(world) {
    const page = await (await fetch(`${world.origin}/console/`)).text();
    const base = /\/console\/v-[^/]+\//.exec(page)[0];
    const folder = join(root, "web/console");
    const named = readdirSync(folder, { recursive: true }).map(String).filter((name) => /\.(js|css)$/.test(name));
    const served = await Promise.all(named.map(async (name) => ((await fetch(`${world.origin}${base}${name}`)).ok ? [name] : [])));
    const files = served.flat();
    check(files.length === 4, `not three scripts and a style, but ${files.join(", ")}`);
    const sizes = await Promise.all(files.map(async (name) => [name, await weight(`${world.origin}${base}${name}`)]));
    const sum = (pattern) => sizes.reduce((all, [name, bytes]) => all + (pattern.test(name) ? bytes : 0), 0);
    const [script, style, html] = [sum(/js$/), sum(/css$/), await weight(`${world.origin}/console/`)];
    check(script + style + html <= 60 * 1024, `${script + style + html} bytes`);
    check(script <= 45 * 1024, `script: ${script} bytes`);
    check(style <= 10 * 1024, `style: ${style} bytes`);
    return `${files.length} files: script ${script}, of which ${sizes.find(([name]) => name === "main.js")[1]} for the board; style ${style}, page ${html} bytes`;
  },

  async "an operator tests a plan by keyboard alone, from login to report"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await page.goto(`${world.origin}/console/`);
    await page.locator("input[name=token]").waitFor();
    await tabTo(page, "");
    await page.locator("input[name=token]").focus();
    await page.keyboard.insertText(token());
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Board", level: 1 }).waitFor();
    const plan = scene.plans[0];
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await page.getByRole("heading", { name: "Plans", level: 1 }).waitFor();
    await page.getByRole("link", { name: plan.name }).waitFor();
    await tabTo(page, plan.name);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: plan.name, level: 1 }).waitFor();
    await page.getByRole("button", { name: "Test…" }).waitFor();
    await tabTo(page, "Test…");
    await page.keyboard.press("Enter");
    await page.getByText("It would be sent to Enterprise Manager at once.").waitFor();
    await tabTo(page, "Test");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/failovers\//);
    await page.locator("svg rect").first().waitFor();
    await page.locator(".verdict.success").waitFor({ timeout: LIMIT });
    await page.locator("#speech", { hasText: plan.name }).waitFor({ state: "attached" });
    await page.getByText("failover.session.finished").first().waitFor();
    const redeliver = page.getByRole("button", { name: "Redeliver" }).first();
    await redeliver.waitFor();
    await redeliver.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Asked again" }).waitFor();
    await tabTo(page, "page");
    const [report] = await Promise.all([context.waitForEvent("page"), page.keyboard.press("Enter")]);
    await report.getByText(plan.name).first().waitFor();
    clean(context, world);
    await context.close();
  },

  async "help, pages and filter are a key away"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    for (const [letter, heading] of [["d", "Deliveries"], ["a", "Approvals"], ["b", "Board"], ["p", "Plans"]]) {
      await page.keyboard.press("g");
      await page.keyboard.press(letter);
      await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
    }
    await page.locator("tbody tr").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("klinik");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=klinik/);
    await until("one plan", async () => (await page.locator("tbody tr").count()) === 1);
    await page.goBack();
    await page.getByRole("heading", { name: "Board", level: 1 }).waitFor();
    clean(context, world);
    await context.close();
  },

  async "a double click on start is one operation"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    const plan = scene.plans.find(({ name }) => name.startsWith("R&D"));
    const before = (await operations(world)).length;
    await logIn(world, page, { subject: "hasty" }, `/plans/cloud/${plan.id}`);
    await page.getByRole("button", { name: "Start the real failover…" }).click();
    await page.getByLabel(/^Reason/).fill("Drill");
    await page.getByRole("button", { name: "Next" }).click();
    const start = page.getByRole("button", { name: "Start the real failover", exact: true });
    check(await start.isDisabled(), "it can be started without the plan's name");
    await page.getByLabel("Type the plan's name").fill(plan.name);
    await start.dblclick();
    await page.waitForURL(/\/(approvals|failovers)\//);
    const posts = context.requests.filter((request) => request.method() === "POST" && /\/start$/.test(request.url()));
    check(posts.every((request) => request.headers()["idempotency-key"] === posts[0].headers()["idempotency-key"]), "two keys for one dialog");
    check((await operations(world)).length === before + 1, "not one operation");
    await page.getByText("your own request").first().waitFor();
    clean(context, world);
    await context.close();
  },

  async "an approver decides where a chat link leads, and the requester sees it at once"(world) {
    const [mine, theirs] = [await makeContext(world), await makeContext(world)];
    const [asker, approver] = [await mine.newPage(), await theirs.newPage()];
    await logIn(world, asker, { subject: "night-shift" }, `/failovers/${scene.waiting.id}`);
    await logIn(world, approver, {}, `/approvals/${scene.waiting.id}`);
    await approver.getByRole("button", { name: "Reject…" }).click();
    await approver.getByLabel("Comment").fill("Not tonight");
    await approver.getByRole("dialog").getByRole("button", { name: "Reject" }).click();
    await approver.getByText("Decided.").waitFor();
    await asker.locator(".verdict.cancelled").waitFor();
    clean(mine, world);
    await mine.close();
    await theirs.close();
  },

  async "what a scope forbids is disabled and names the scope"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page, { scope: "plans:read sessions:read operations:read events:read tenants:all" }, `/plans/cloud/${scene.plans[0].id}`);
    await page.getByText("needs plans:start").waitFor();
    await page.getByText("needs plans:test").waitFor();
    check(await page.getByRole("button", { name: "Start the real failover…" }).isDisabled(), "start is not disabled");
    await page.goto(`${world.origin}/console/audit`);
    await page.getByText("It needs the scope audit:read").waitFor();
    clean(context, world);
    await context.close();
  },

  async "hostile names are text on every page"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await api(world, "/api/v1/webhook-endpoints", { method: "POST", body: { url: world.receiver.url, description: HOSTILE } });
    await logIn(world, page);
    const rename = async (route) => {
      const answer = await route.fetch();
      if (!/json/.test(answer.headers()["content-type"] ?? "")) return route.fulfill({ response: answer });
      const text = (await answer.text()).replace(/"(name|planName|description|failureMessage|message|text|title|detail|reason|comment|requestedBy|subject|action|type)":"(?:[^"\\]|\\.)*"/g, (_, name) => `"${name}":${JSON.stringify(HOSTILE)}`);
      return route.fulfill({ response: answer, body: text });
    };
    // A page that is left takes its questions back.
    await context.route(/\/api\/v1\/(?!events\/stream)/, (route) => rename(route).catch(() => {}));
    const paths = ["/", `/failovers/${scene.bad.id}`, "/plans", `/plans/cloud/${scene.plans[0].id}`, "/approvals", "/deliveries", `/deliveries/${scene.delivery}`, "/endpoints", `/endpoints/${scene.endpoint}`, "/events", "/reports", "/audit", "/system"];
    for (const path of paths) {
      await page.goto(`${world.origin}/console${path}`);
      await page.locator("h1").waitFor();
      await until(`${path} loads`, async () => !(await page.locator(".loading").count()));
      check(await page.evaluate(() => window.x === undefined && !document.querySelector("main img, main script")), `${path} runs a name`);
    }
    await page.goto(`${world.origin}/console/plans`);
    await page.getByText(HOSTILE).first().waitFor();
    clean(context, world);
    await context.close();
    return `${paths.length} pages`;
  },

  async "twelve tabs have one stream, and each still gets its answers"(world) {
    const context = await makeContext(world);
    const pages = [];
    for (let tab = 0; tab < 12; tab++) pages.push(await context.newPage());
    await logIn(world, pages[0], { subject: "many-tabs" });
    await Promise.all(pages.slice(1).map((page) => page.goto(`${world.origin}/console/`)));
    await Promise.all(pages.map((page) => page.locator("[data-fresh=live]").waitFor()));
    const streams = async () => Number(/emgate_streams_open\{kind="events"\} (\d+)/.exec(await (await fetch(`${world.origin}/metrics`)).text())[1]);
    await until("one stream", async () => (await streams()) === 1);
    const slowest = Math.max(...(await Promise.all(pages.map((page) => page.evaluate(async () => {
      const begin = performance.now();
      await fetch("/api/v1/me").then((answer) => answer.text());
      return performance.now() - begin;
    })))));
    await context.close();
    await until("no stream", async () => (await streams()) === 0);
    return `slowest answer ${Math.round(slowest)} ms`;
  },

  async "without a shared worker one tab reads the stream for all, and another takes over"(world) {
    const context = await makeContext(world);
    await context.addInitScript(() => delete globalThis.SharedWorker);
    const pages = [];
    for (let tab = 0; tab < 3; tab++) pages.push(await context.newPage());
    await logIn(world, pages[0], { subject: "no-worker" }, "/events");
    await Promise.all(pages.slice(1).map((page) => page.goto(`${world.origin}/console/events`)));
    const live = (some) => Promise.all(some.map((page) => page.locator("[data-fresh=live]").waitFor()));
    const streams = async () => Number(/emgate_streams_open\{kind="events"\} (\d+)/.exec(await (await fetch(`${world.origin}/metrics`)).text())[1]);
    const heard = async (some) => {
      const { id } = await api(world, `/api/v1/webhook-endpoints/${scene.endpoint}/test`, { method: "POST" });
      const { eventId } = await api(world, `/api/v1/webhook-deliveries/${id}`);
      const { timestamp } = await api(world, `/api/v1/events/${eventId}`);
      await Promise.all(some.map((page) => page.locator(`tr:has(code:text-is("webhook.test")):has(time[datetime="${timestamp}"])`).waitFor()));
    };
    await live(pages);
    await until("one stream", async () => (await streams()) === 1);
    await heard(pages);
    // The first tab has had the lock from the beginning.
    await pages[0].close();
    const left = pages.slice(1);
    await until("one stream again", async () => (await streams()) === 1);
    await live(left);
    await heard(left);
    clean(context, world);
    await context.close();
    await until("no stream", async () => (await streams()) === 0);
  },

  async "a killed gateway is told, and events go on without gap or repeat"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page, {}, "/events");
    await page.locator("[data-fresh=live]").waitFor();
    const sentinel = async () => (await api(world, `/api/v1/webhook-endpoints/${scene.endpoint}/test`, { method: "POST" })).id;
    await kill(world.gateway.child);
    await page.getByText(/stale .* offline, trying in/).waitFor();
    check(await page.locator("tbody tr").count(), "what was shown is gone");
    await startGateway(world);
    await tested(world, scene.plans[0]);
    await sentinel();
    await page.locator("[data-fresh=live]").waitFor();
    const log = async () => {
      const ids = [];
      for (let next = "/api/v1/events?pageSize=100"; next; ) {
        const list = await api(world, next);
        ids.push(...list.items.map(({ id, type, timestamp }) => `${type} ${timestamp}`));
        next = list.page.next;
      }
      return ids.reverse();
    };
    const [reached] = await log();
    // Failovers go on meanwhile: the log may be ahead of what was shown a moment before, but by nothing in between.
    await until("the page shows the log", async () => {
      const shown = await page.locator("tbody tr").evaluateAll((rows) => rows.map((row) => `${row.querySelector("code").textContent} ${row.querySelector("time").dateTime}`));
      const all = await log();
      check(shown.includes(reached), `the page has not come to ${reached}`);
      const written = all.slice(all.indexOf(shown[0])).slice(0, Math.min(shown.length, 60));
      const differs = written.findIndex((line, at) => line !== shown[at]);
      check(shown.length > 10 && differs < 0, `row ${differs} is ${shown[differs]}, the log has ${written[differs]}`);
      return true;
    }, 2 * LIMIT);
    clean(context, world);
    await context.close();
  },

  async "an expired token shows the login over what was there, and asks nothing more"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page, { seconds: 8, subject: "short" });
    await page.getByRole("heading", { name: /Finished/ }).waitFor();
    let after = -1;
    context.on("response", (response) => {
      if (/\/(api\/v1|console\/session)/.test(new URL(response.url()).pathname)) after += response.status() === 401 || after >= 0 ? 1 : 0;
    });
    await page.getByRole("heading", { name: /session has ended/ }).waitFor();
    check(await page.getByRole("heading", { name: /Finished/ }).isVisible(), "the content is gone");
    await page.locator("[data-fresh=out]").waitFor();
    check(after <= 2, `${after} requests after the first 401`);
    await page.locator("input[name=token]").fill(token());
    await page.keyboard.press("Enter");
    await page.locator("[data-fresh=live]").waitFor();
    clean(context, world);
    await context.close();
    return `${Math.max(after, 0)} requests after the first 401`;
  },

  async "a browser an hour off shows times by the gateway's clock"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await page.clock.install({ time: Date.now() - 3_600_000 });
    await logIn(world, page, {}, `/failovers/${scene.running.id}`);
    const begin = Date.parse(scene.running.requestedAt);
    await until("the elapsed time", async () => {
      await page.clock.runFor(1_000);
      const [, hours, minutes = "0", seconds = "0"] = /runs for (?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s)?/.exec(await page.locator(".verdict").innerText()) ?? [];
      const told = Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(seconds);
      return Math.abs(told - (Date.now() - begin) / 1000) < 90;
    });
    await page.goto(`${world.origin}/console/`);
    await page.getByText(/this browser is .* behind/).waitFor();
    await context.close();
  },

  async "an enterprise manager that is away is told, and the pages stay"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page);
    await page.getByText("answers").first().waitFor();
    await sim(world, "faults", { kind: "close", count: 100_000 });
    await page.getByText(/does not answer since/).waitFor();
    check(await page.getByRole("heading", { name: "Running" }).isVisible(), "the board is gone");
    await fetch(`${world.em.origin}/_sim/faults`, { method: "DELETE" });
    await page.locator(".health").getByText("answers").waitFor();
    clean(context, world);
    await context.close();
  },

  async "things that are gone are said to be gone"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    const none = "00000000-0000-4000-8000-000000000000";
    await logIn(world, page);
    for (const [path, words] of [[`/plans/cloud/${none}`, "This plan is gone"], [`/failovers/${none}`, "No such failover"], [`/approvals/${none}`, "no such request"], ["/deliveries/dlv_none", "No such delivery"], ["/endpoints/ep_none", "No such endpoint"], ["/nowhere", "There is no such page"]]) {
      await page.goto(`${world.origin}/console${path}`);
      await page.getByText(words).waitFor();
    }
    clean(context, world);
    await context.close();
  },

  async "a plan that goes while somebody looks is said to be gone, and what it did stays"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    const plan = scene.plans.at(-1);
    const past = await tested(world, plan);
    await logIn(world, page, {}, "/plans");
    await page.getByRole("link", { name: plan.name, exact: true }).click();
    await page.getByRole("heading", { name: plan.name, level: 1 }).waitFor();
    await api(world, `/api/v1/cloud-failover-plans/${plan.id}`, { method: "DELETE", as: { scope: "plans:read plans:write tenants:all" } });
    await page.getByRole("heading", { name: "This plan is gone" }).waitFor();
    await page.goto(`${world.origin}/console/failovers/${past.id}`);
    await page.locator(".verdict.success").waitFor();
    await page.getByRole("heading", { name: plan.name, level: 1 }).waitFor();
    clean(context, world);
    await context.close();
  },

  async "back and forward go through what was looked at, filters included"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    const plan = scene.plans[0];
    await logIn(world, page);
    const heading = (name) => page.getByRole("heading", { name, level: 1 }).waitFor();
    const menu = page.getByRole("navigation", { name: "Pages" });
    await menu.getByRole("link", { name: "Plans" }).click();
    await heading("Plans");
    await page.getByLabel("Kind").selectOption("onPremises");
    await page.waitForURL(/kind=onPremises/);
    await page.getByLabel("Kind").selectOption("");
    await page.getByRole("link", { name: plan.name, exact: true }).click();
    await heading(plan.name);
    await menu.getByRole("link", { name: "Deliveries" }).click();
    await heading("Deliveries");
    await page.getByLabel("State").selectOption("delivered");
    await page.waitForURL(/state=delivered/);
    await menu.getByRole("link", { name: "Audit" }).click();
    await heading("Audit");
    await page.goBack();
    await heading("Deliveries");
    check((await page.getByLabel("State").inputValue()) === "delivered", "the filter is lost on the way back");
    await page.goBack();
    await heading(plan.name);
    await page.goBack();
    await heading("Plans");
    await page.goBack();
    await heading("Board");
    await page.goForward();
    await heading("Plans");
    clean(context, world);
    await context.close();
  },

  async "a new endpoint shows its secret once"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page, {}, "/endpoints");
    await page.getByRole("button", { name: "New endpoint…" }).click();
    await page.getByLabel("URL").fill(world.receiver.url);
    await page.getByLabel("Description").fill("Second receiver");
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByText(/^whsec_/).waitFor();
    await page.getByRole("button", { name: "I have it" }).click();
    check(!(await page.content()).includes("whsec_"), "the secret is still in the page");
    await page.getByRole("link", { name: "Second receiver" }).click();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByRole("heading", { name: "Delivery" }).waitFor();
    clean(context, world);
    await context.close();
  },

  async "the first row takes at most eight questions to the api"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page);
    context.requests.length = 0;
    await page.goto(`${world.origin}/console/`);
    await page.locator("tbody tr").first().waitFor();
    // What is asked again because something happened meanwhile is not what the first row needs.
    const asked = new Set(context.requests.map((request) => request.url()).filter((url) => /\/(api|console\/session|readyz|metrics)/.test(url))).size;
    check(asked <= 8, `${asked} requests before the first row`);
    await context.close();
    return `${asked} of the API, ${context.requests.length} in all`;
  },

  async "on a wall there is nothing to press"(world) {
    const context = await makeContext(world, { viewport: { width: 3840, height: 2160 } });
    const page = await context.newPage();
    await logIn(world, page, { scope: "sessions:read operations:read events:read tenants:all" }, "/?wall=1");
    await page.locator("tbody tr").first().waitFor();
    check((await page.locator("button:visible").count()) === 0, "there are buttons on the wall");
    clean(context, world);
    await context.close();
  },
};

await run(
  "console",
  async (binary) => {
    const world = await makeWorld(binary, { history: 20 });
    scene = await busyEvening(world);
    return world;
  },
  tests,
);
