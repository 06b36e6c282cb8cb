// The pictures of the console that the docs show, and with a folder given, one of every page in every dress to look at.
//
//   node tests/browser/console_pictures.mjs BINARY [FOLDER]
//
// Writes docs/pictures/console-*.png, or all of them into FOLDER. They are small: 8-bit palettes.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { palette } from "./console/palette.mjs";
import { busyEvening } from "./console/scenes.mjs";
import { api, end, kill, logIn, makeContext, makeWorld, plansOf, root, sim, until } from "./console/world.mjs";

const [binary, folder] = process.argv.slice(2);
const target = folder ?? join(root, "docs/pictures");
mkdirSync(target, { recursive: true });

const DRESSES = { "": {}, "-dark": { dark: true }, "-phone": { phone: true }, "-dark-phone": { dark: true, phone: true } };
const dressed = (pages) => pages.flatMap(([name, page, open]) => Object.entries(DRESSES).map(([dress, how]) => [name + dress, page, { ...how, open }]));

/** Name, page, dress: what the docs show. */
const shown = (scene) => [
  ["board", "/", {}],
  ["board-dark", "/", { dark: true }],
  ["board-phone", "/", { phone: true }],
  ["failover", `/failovers/${scene.bad.id}`, {}],
  ["failover-dark", `/failovers/${scene.running.id}`, { dark: true }],
  ["plans", "/plans", {}],
  ["start", `/plans/cloud/${scene.plans[0].id}`, { open: "Start the real failover…" }],
  ["approvals", `/approvals/${scene.waiting.id}`, {}],
];
const every = (scene) => [
  ...dressed([
    ["login", null],
    ["board", "/"],
    ["failover", `/failovers/${scene.bad.id}`],
    ["failover-good", `/failovers/${scene.good.id}`],
    ["failover-running", `/failovers/${scene.running.id}`],
    ["plans", "/plans"],
    ["plan", `/plans/cloud/${scene.plans[0].id}`],
    ["approvals", "/approvals"],
    ["approval", `/approvals/${scene.waiting.id}`],
    ["deliveries", "/deliveries"],
    ["delivery", `/deliveries/${scene.delivery}`],
    ["endpoints", "/endpoints"],
    ["endpoint", `/endpoints/${scene.endpoint}`],
    ["events", "/events"],
    ["reports", "/reports"],
    ["audit", "/audit"],
    ["system", "/system"],
    ["start", `/plans/cloud/${scene.plans[0].id}`, "Start the real failover…"],
  ]),
  ["forced", "/", { forced: true }],
  ["forced-failover", `/failovers/${scene.bad.id}`, { forced: true }],
  ["wall", "/?wall=1", { wall: true }],
];

/** Takes pictures of pages in a world, one page of the browser for each dress. */
async function take(world, pictures, { whole = Boolean(folder), before = async () => {} } = {}) {
  const pages = {};
  for (const [name, path, { dark = false, phone = false, forced = false, wall = false, open }] of pictures) {
    const dress = `${path === null} ${dark} ${phone} ${forced} ${wall}`;
    if (!pages[dress]) {
      const viewport = phone ? { width: 390, height: 844 } : wall ? { width: 1920, height: 1080 } : { width: 1280, height: 800 };
      const context = await makeContext(world, { colorScheme: dark ? "dark" : "light", viewport, ...(forced && { forcedColors: "active" }) });
      pages[dress] = await context.newPage();
      if (path !== null) await logIn(world, pages[dress]);
    }
    const page = pages[dress];
    await page.goto(`${world.origin}/console${path ?? "/"}`);
    await page.locator(path === null ? "input[name=token]" : "h1").waitFor().catch(async () => {
      throw new Error(`${name} shows: ${await page.locator("body").innerText()}`);
    });
    if (path !== null) await page.locator("[data-fresh=live]").waitFor();
    await page.locator(".loading").first().waitFor({ state: "detached" });
    await page.getByText("Asking the gateway how it is").waitFor({ state: "detached" });
    if (open) await page.getByRole("button", { name: open }).click().then(() => page.getByText("asking…").first().waitFor({ state: "detached" }));
    await before(page);
    writeFileSync(join(target, `console-${name}.png`), palette(await page.screenshot({ fullPage: whole && !open })));
  }
  for (const page of Object.values(pages)) await page.context().close();
}

/** A gateway that has nothing to show yet, and one with two thousand failovers. */
async function extremes() {
  const quiet = await makeWorld(binary, { plans: 2 });
  await take(quiet, dressed([["empty-board", "/"], ["empty-plan", `/plans/cloud/${(await plansOf(quiet))[0].id}`], ["empty-deliveries", "/deliveries"], ["empty-approvals", "/approvals"], ["empty-endpoints", "/endpoints"]]));
  await end(quiet);
  const busy = await makeWorld(binary, { plans: 6, machines: 20 });
  const plans = await plansOf(busy);
  for (let at = 0; at < 2_000; at += 50) await Promise.all(Array.from({ length: 50 }, (_, one) => sim(busy, "failovers", { planId: plans[one % plans.length].id, seconds: 9_000_000, result: "success" })));
  await until("all of them", async () => /^emgate_failover_sessions_active\S* 2000/m.test(await (await fetch(`${busy.origin}/metrics`)).text()), 600_000);
  await take(busy, dressed([["many-board", "/"]]), { whole: false });
  const cut = async (page) => {
    await kill(busy.gateway.child);
    await page.getByText(/offline, trying in/).waitFor();
  };
  await take(busy, [["offline-board", "/", {}]], { whole: false, before: cut });
  await end(busy);
}

let world;
try {
  world = await makeWorld(binary, { history: 40 });
  const scene = await busyEvening(world, { seconds: 5_000 });
  await until("machines that work", async () => (await api(world, `/api/v1/operations/${scene.running.id}`)).session.virtualMachines.filter(({ state }) => state === "working").length > 1);
  await take(world, folder ? every(scene) : shown(scene));
  if (folder) await extremes();
} catch (error) {
  console.error(`pictures: ${error.stack}`);
  process.exitCode = 1;
} finally {
  await end(world);
}
process.exit();
