// Everybody can use the console: axe-core finds nothing on any page, light and dark, narrow and wide, and nothing is wider
// than a screen of 320 pixels.
//
//   node tests/browser/console_access.mjs BINARY

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { busyEvening } from "./console/scenes.mjs";
import { check, clean, logIn, makeContext, makeWorld, root, run } from "./console/world.mjs";

const axe = readFileSync(join(root, ".tools/console/node_modules/axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
let pages;

async function settled(page) {
  await page.locator("h1").waitFor();
  await page.locator(".loading").first().waitFor({ state: "detached" });
}

/** Faults of what is shown. The rules run in the page's isolated world, so that its content policy does not stop them. */
async function faults(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const evaluate = (expression) => session.send("Runtime.evaluate", { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  await evaluate(axe);
  const { result } = await evaluate(`axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map(({ html, any }) => html.slice(0, 160) + " " + (any[0]?.message ?? "")).join(" | ")))`);
  await session.detach();
  check(Array.isArray(result.value), `axe says nothing: ${JSON.stringify(result).slice(0, 300)}`);
  return result.value;
}

const tests = {};
for (const colorScheme of ["light", "dark"]) {
  for (const width of [390, 1280]) {
    tests[`no fault of access, ${colorScheme}, ${width} pixels wide`] = async (world) => {
      const context = await makeContext(world, { colorScheme, viewport: { width, height: 900 } });
      const page = await context.newPage();
      const found = [];
      await page.goto(`${world.origin}/console/`);
      await page.locator("input[name=token]").waitFor();
      found.push(...(await faults(page)).map((fault) => `login: ${fault}`));
      await logIn(world, page);
      for (const path of pages) {
        await page.goto(`${world.origin}/console${path}`);
        await settled(page);
        found.push(...(await faults(page)).map((fault) => `${path}: ${fault}`));
      }
      await page.goto(`${world.origin}/console${pages[3]}`);
      await page.getByRole("button", { name: "Start the real failover…" }).click();
      await page.getByText("It would be sent to Enterprise Manager at once.").waitFor();
      found.push(...(await faults(page)).map((fault) => `dialog: ${fault}`));
      check(!found.length, `\n${found.join("\n")}`);
      clean(context, world);
      await context.close();
      return `${pages.length + 2} states`;
    };
  }
}

tests["no page is wider than a screen of 320 pixels"] = async (world) => {
  const context = await makeContext(world, { viewport: { width: 320, height: 640 } });
  const page = await context.newPage();
  await logIn(world, page);
  const wide = [];
  for (const path of pages) {
    await page.goto(`${world.origin}/console${path}`);
    await settled(page);
    const over = await page.evaluate(() => (document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > innerWidth + 1).map((element) => `${element.tagName}.${element.className}`).slice(0, 3) : null));
    if (over) wide.push(`${path}: ${over.join(", ")}`);
  }
  check(!wide.length, wide.join("; "));
  await context.close();
};

tests["forced colours leave every state a word, and every bar an edge"] = async (world) => {
  const context = await makeContext(world, { forcedColors: "active" });
  const page = await context.newPage();
  await logIn(world, page, {}, pages[1]);
  await settled(page);
  await page.locator("svg rect").first().waitFor();
  const told = await page.evaluate(() => {
    const canvas = getComputedStyle(document.body).backgroundColor;
    const bars = [...document.querySelectorAll("svg rect")].map((bar) => getComputedStyle(bar));
    return {
      wordless: [...document.querySelectorAll(".state")].filter((state) => !/[a-z]/i.test(state.textContent)).length,
      unseen: bars.filter(({ fill, stroke }) => fill === canvas && stroke === "none").length,
      bars: bars.length,
    };
  });
  check(!told.wordless && !told.unseen && told.bars, JSON.stringify(told));
  const found = await faults(page);
  check(!found.length, `\n${found.join("\n")}`);
  await context.close();
};

tests["nothing moves for those who asked for that"] = async (world) => {
  for (const [reducedMotion, moves] of [["reduce", false], ["no-preference", true]]) {
    const context = await makeContext(world, { reducedMotion });
    const page = await context.newPage();
    await logIn(world, page);
    await settled(page);
    const moving = await page.evaluate(() => {
      const time = (text) => Math.max(...text.split(",").map(parseFloat));
      return [...document.querySelectorAll("*")].filter((element) => {
        const style = getComputedStyle(element);
        return time(style.transitionDuration) > 0 || time(style.animationDuration) > 0 || style.scrollBehavior === "smooth";
      }).length;
    });
    check(moving > 0 === moves, `${moving} elements move with ${reducedMotion}`);
    await context.close();
  }
};

await run(
  "access",
  async (binary) => {
    const world = await makeWorld(binary, { history: 10 });
    const scene = await busyEvening(world);
    pages = ["/", `/failovers/${scene.bad.id}`, "/plans", `/plans/cloud/${scene.plans[0].id}`, "/approvals", "/deliveries", `/deliveries/${scene.delivery}`, "/endpoints", `/endpoints/${scene.endpoint}`, "/events", "/reports", "/audit", "/system"];
    return world;
  },
  tests,
);
