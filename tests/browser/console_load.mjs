// The console under load: numbers to read, and the budgets of a board of 2,000 failovers, of a slow line, and of memory.
//
//   node tests/browser/console_load.mjs BINARY
//
// EVENTS=100000 says over how many events memory is watched. Times are of this machine: only budgets far above them fail.

import { check, logIn, makeContext, makeWorld, plansOf, run, sim, until } from "./console/world.mjs";

const RUNNING = Number(process.env.RUNNING ?? 2_000);
const EVENTS = Number(process.env.EVENTS ?? 100_000);
const MEGABYTE = 1024 * 1024;
const FOREVER = 9_000_000;

const metric = async (world, pattern) => [...(await (await fetch(`${world.origin}/metrics`)).text()).matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
const written = (world) => metric(world, /^emgate_events_total\{[^}]*\} (\d+)/gm);

async function start(world, count, seconds) {
  const plans = await plansOf(world);
  for (let at = 0; at < count; at += 50) await Promise.all(Array.from({ length: Math.min(50, count - at) }, (_, one) => sim(world, "failovers", { planId: plans[(at + one) % plans.length].id, seconds, result: "success" })));
}

/** Notes in every page when its first row is drawn. */
const noteFirstRow = (context) =>
  context.addInitScript(() => {
    const seen = new MutationObserver(() => {
      if (!document.querySelector("tbody tr")) return;
      seen.disconnect();
      requestAnimationFrame(() => (window.firstRow = performance.now()));
    });
    seen.observe(document, { childList: true, subtree: true });
  });

/** Milliseconds from the navigation to the first row, by the page's own clock: nobody who looks slows it down. */
async function firstRow(page, url) {
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForFunction(() => window.firstRow);
  return Math.round(await page.evaluate(() => window.firstRow));
}

const heap = async (session) => {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
};

const tests = {
  async "memory is flat while events come"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await logIn(world, page);
    const session = await context.newCDPSession(page);
    await session.send("Performance.enable");
    await page.locator("[data-fresh=live]").waitFor();
    const [begin, first, at] = [await written(world), await heap(session), Date.now()];
    const marks = [];
    let asked = 0;
    while (marks.length < 5) {
      const goal = begin + (EVENTS / 5) * (marks.length + 1);
      await until(`${goal} events`, async () => {
        if (asked - (await metric(world, /^emgate_events_total\{type="failover.session.finished"\} (\d+)/gm)) <= 20) {
          asked += 100;
          await start(world, 100, 500);
        }
        return (await written(world)) >= goal;
      }, 1_800_000);
      marks.push(Math.round((await heap(session)).JSHeapUsedSize / MEGABYTE));
    }
    const last = await heap(session);
    const seconds = (Date.now() - at) / 1000;
    check(Math.max(...marks) <= 120, `${Math.max(...marks)} MB`);
    check(marks.at(-1) <= marks[0] + 20, `memory grows: ${marks.join(", ")} MB`);
    await context.close();
    const busy = ((last.TaskDuration - first.TaskDuration) / seconds) * 100;
    return `${marks.join(", ")} MB over ${EVENTS} events at ${Math.round((EVENTS / seconds))} a second, ${busy.toFixed(0)} % of a core`;
  },

  async [`the board shows ${RUNNING} that run`](world) {
    await start(world, RUNNING, FOREVER);
    await until("all of them", async () => (await metric(world, /^emgate_failover_sessions_active\S* (\d+)/gm)) >= RUNNING, 600_000);
    const context = await makeContext(world);
    await noteFirstRow(context);
    const page = await context.newPage();
    await logIn(world, page);
    const times = [];
    for (let round = 0; round < 3; round++) times.push(await firstRow(page, `${world.origin}/console/`));
    await page.getByText(new RegExp(`^${RUNNING.toString().replace(/(\d)(\d{3})$/, "$1,?$2")}`)).first().waitFor();
    check(Math.min(...times) <= 10_000, `first row after ${times.join(", ")} ms`);
    await context.close();
    return `first row after ${times.join(", ")} ms`;
  },

  async "the first row comes soon on a slow line and machine"(world) {
    await start(world, 5, FOREVER);
    const context = await makeContext(world);
    await noteFirstRow(context);
    const page = await context.newPage();
    await logIn(world, page);
    const session = await context.newCDPSession(page);
    await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    await session.send("Network.enable");
    const told = [];
    for (const latency of [0, 150]) {
      await session.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: 200_000, uploadThroughput: 100_000 });
      const times = [];
      for (const cacheDisabled of [true, true, true, false, false]) {
        await session.send("Network.setCacheDisabled", { cacheDisabled });
        times.push(await firstRow(page, `${world.origin}/console/`));
      }
      const [cold, warm] = [Math.min(...times.slice(0, 3)), times.at(-1)];
      check(cold <= 5_000, `first row after ${cold} ms`);
      told.push(`${latency} ms of delay: nothing cached ${cold} ms, files cached ${warm} ms`);
    }
    await context.close();
    return `a quarter of the machine, 1.6 Mbit/s; ${told.join("; ")}`;
  },
};

await run("load", (binary) => makeWorld(binary, { speed: 50, plans: 6, machines: 20 }), tests);
