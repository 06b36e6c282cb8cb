// The pictures of the console that the docs show, and with a folder given, one of every page in every dress to look at.
//
//   node tests/browser/console_pictures.mjs BINARY [FOLDER]
//
// Writes docs/pictures/console-*.png, or all of them into FOLDER. They are small: 8-bit palettes.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { palette } from "./console/palette.mjs";
import { busyEvening } from "./console/scenes.mjs";
import { end, logIn, makeContext, makeWorld, root } from "./console/world.mjs";

const [binary, folder] = process.argv.slice(2);
const target = folder ?? join(root, "docs/pictures");
mkdirSync(target, { recursive: true });

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
const every = (scene) =>
  [
    ["login", null],
    ["board", "/"],
    ["failover", `/failovers/${scene.bad.id}`],
    ["failover-good", `/failovers/${scene.good.id}`],
    ["failover-running", `/failovers/${scene.running.id}`],
    ["plans", "/plans"],
    ["plan", `/plans/cloud/${scene.plans[0].id}`],
    ["approvals", "/approvals"],
    ["deliveries", "/deliveries"],
    ["delivery", `/deliveries/${scene.delivery}`],
    ["endpoints", "/endpoints"],
    ["endpoint", `/endpoints/${scene.endpoint}`],
    ["events", "/events"],
    ["reports", "/reports"],
    ["audit", "/audit"],
    ["system", "/system"],
    ["start", `/plans/cloud/${scene.plans[0].id}`, "Start the real failover…"],
  ].flatMap(([name, page, open]) => [{}, { dark: true }, { phone: true }].map((dress) => [`${name}${dress.dark ? "-dark" : dress.phone ? "-phone" : ""}`, page, { ...dress, open }]));

let world;
try {
  world = await makeWorld(binary, { history: 40 });
  const scene = await busyEvening(world);
  const contexts = {};
  for (const [name, path, { dark = false, phone = false, open }] of folder ? every(scene) : shown(scene)) {
    const dress = path === null ? "out" : `${dark} ${phone}`;
    if (!contexts[dress]) {
      const context = await makeContext(world, { colorScheme: dark ? "dark" : "light", viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 800 } });
      const page = await context.newPage();
      if (path !== null) await logIn(world, page);
      contexts[dress] = page;
    }
    const page = contexts[dress];
    if (path === null) await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await page.goto(`${world.origin}/console${path ?? "/"}`);
    await page.locator(path === null ? "input[name=token]" : "h1").waitFor().catch(async () => {
      throw new Error(`${name} shows: ${await page.locator("body").innerText()}`);
    });
    await page.locator(".loading").first().waitFor({ state: "detached" });
    if (open) await page.getByRole("button", { name: open }).click().then(() => page.getByText("asking…").first().waitFor({ state: "detached" }));
    const picture = await page.screenshot({ fullPage: Boolean(folder) && !open });
    writeFileSync(join(target, `console-${name}.png`), palette(picture));
  }
} catch (error) {
  console.error(`pictures: ${error.stack}`);
  process.exitCode = 1;
} finally {
  await end(world);
}
process.exit();
