// A browser's EventSource reads the stream of events, through a crash of the gateway: nothing is missed, nothing comes twice.
//
//   node tests/browser/streams.mjs BINARY
//
// Starts a simulator and a gateway of its own. Ends with 1 and a sentence when anything is not as it should be.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const require = createRequire(join(root, ".tools/node/package.json"));
const { chromium } = require("playwright-core");

const binary = resolve(process.argv[2] ?? join(root, "target/debug/emgate"));
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const LIMIT = 60_000;
const SECRET = "a secret of thirty-two bytes or more";
const PLAN = "3f56fa52-c902-4655-9774-2022fde214d2";
const processes = [];

/** Starts the binary and resolves to its process and its origin, read from its log. */
function start(args, env, cwd) {
  const child = spawn(binary, args, { cwd, env: { EMGATE_LOG: "info", ...env }, stdio: ["ignore", "ignore", "pipe"] });
  processes.push(child);
  return new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`${args[0]} did not say where it listens`)), LIMIT);
    child.on("error", failed);
    let last = "nothing";
    child.on("exit", (code) => {
      clearTimeout(timer);
      failed(new Error(`${args[0]} ended with ${code}, and said last: ${last}`));
    });
    createInterface({ input: child.stderr }).on("line", (line) => {
      last = line;
      try {
        const entry = JSON.parse(line);
        if (entry.message === "listening") {
          clearTimeout(timer);
          found({ child, listen: entry.listen, origin: `http://${entry.listen}` });
        }
      } catch {
        // A line that is no JSON.
      }
    });
  });
}

function token() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const scope = "plans:test operations:read events:read tenants:all";
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "browser", scope, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

const bearer = { authorization: `Bearer ${token()}` };

async function until(what, ask) {
  const end = Date.now() + LIMIT;
  while (Date.now() < end) {
    const found = await ask().catch(() => undefined);
    if (found) return found;
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error(`waited in vain: ${what}`);
}

/** Tests the plan to its end. */
async function tested(origin) {
  const asked = await fetch(`${origin}/api/v1/cloud-failover-plans/${PLAN}/test`, { method: "POST", headers: bearer });
  if (asked.status !== 202) throw new Error(`the test was answered ${asked.status}`);
  const { id } = await asked.json();
  await until("the end of the test", async () => {
    const answer = await fetch(`${origin}/api/v1/operations/${id}`, { headers: bearer });
    return (await answer.json()).state === "finished";
  });
}

/** The ids of all events, once each test has its report, which comes last; nothing before. */
async function log(origin, tests) {
  const answer = await fetch(`${origin}/api/v1/events?pageSize=100`, { headers: bearer });
  const { items } = await answer.json();
  const reports = items.filter((item) => item.type === "recovery.report.ready").length;
  return reports === tests ? items.map((item) => item.id) : undefined;
}

const folder = mkdtempSync(join(tmpdir(), "emgate-streams-"));
let browser;
try {
  if (!browserPath) throw new Error("there is no Chromium; scripts/tools.sh browser installs one");
  const account = ["--user", "u", "--password", "p"];
  const em = await start(["simulate", "--listen", "127.0.0.1:0", "--speed", "50", ...account], {}, folder);
  const settings = {
    EMGATE_SERVER__LISTEN: "127.0.0.1:0",
    EMGATE_UPSTREAM__URL: em.origin,
    EMGATE_UPSTREAM__ACCOUNTS__0__NAME: "operators",
    EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME: "u",
    EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD: "p",
    EMGATE_AUTH__KEYS__0__KIND: "hs256",
    EMGATE_AUTH__KEYS__0__SECRET: SECRET,
    EMGATE_WATCH__INTERVAL: "100ms",
    EMGATE_WATCH__IDLE_INTERVAL: "300ms",
  };
  const isReady = (origin) => until("readiness", async () => (await fetch(`${origin}/readyz`)).status === 200);
  let gateway = await start(["serve"], settings, folder);
  const origin = gateway.origin;
  await isReady(origin);
  browser = await chromium.launch({
    executablePath: browserPath,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const page = await browser.newPage();
  await page.goto(`${origin}/docs`, { waitUntil: "load", timeout: LIMIT });
  // What an application does: a ticket for each stream, and after the end of one another, from the last event on.
  await page.evaluate((headers) => {
    window.seen = [];
    window.opened = 0;
    let last = "start";
    const open = async () => {
      try {
        const issued = await fetch("/api/v1/stream-tickets", { method: "POST", headers });
        const { ticket } = await issued.json();
        const source = new EventSource(`/api/v1/events/stream?ticket=${ticket}&lastEventId=${last}`);
        source.onopen = () => window.opened++;
        for (const type of ["failover.session.started", "failover.session.progressed", "failover.vm.finished", "failover.session.finished", "recovery.report.ready"]) {
          source.addEventListener(type, (event) => {
            last = event.lastEventId;
            window.seen.push(last);
            if (JSON.parse(event.data).id !== last) window.wrong = event.data;
          });
        }
        source.onerror = () => {
          if (source.readyState === EventSource.CLOSED) setTimeout(open, 100);
        };
      } catch {
        setTimeout(open, 100);
      }
    };
    open();
  }, bearer);
  await tested(origin);
  await until("the first events in the browser", async () => {
    const [seen, written] = [await page.evaluate(() => window.seen), await log(origin, 1)];
    return seen.length === written?.length;
  });
  gateway.child.kill("SIGKILL");
  // Until somebody else has the port, for a connection of their own, no longer.
  const again = { ...settings, EMGATE_SERVER__LISTEN: gateway.listen };
  await until("the second start", async () => (gateway = await start(["serve"], again, folder)));
  await isReady(origin);
  await tested(origin);
  const written = await until("both reports", () => log(origin, 2));
  await until("all events in the browser", async () => (await page.evaluate(() => window.seen.length)) >= written.length);
  const { seen, opened, wrong } = await page.evaluate(() => ({ seen: window.seen, opened: window.opened, wrong: window.wrong }));
  if (wrong) throw new Error(`an event's id is not that of its data: ${wrong}`);
  if (JSON.stringify(seen) !== JSON.stringify(written)) throw new Error(`the browser saw\n${seen}\nand the log has\n${written}`);
  if (opened < 2) throw new Error("the stream was never opened again");
  console.log(`streams: ${seen.length} events in an EventSource, ${opened} streams, none missed, none twice`);
} catch (error) {
  console.error(`streams: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
  for (const child of processes) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
process.exit();
