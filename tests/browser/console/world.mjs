// A world for the console: a simulated Enterprise Manager, a gateway with policies, a receiver, and a browser that logs in.
// Everything ends with `end`. Nothing waits for time to pass: `until` asks until it is so.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const root = resolve(import.meta.dirname, "../../..");
const require = createRequire(join(root, ".tools/node/package.json"));
const { chromium } = require("playwright-core");

export const LIMIT = 60_000;
const SECRET = "a secret of thirty-two bytes or more";
export const SCOPES = "plans:read plans:test plans:start plans:undo plans:approve sessions:read operations:read operations:cancel events:read webhooks:read webhooks:write audit:read reports:read reports:write em:read";
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

export function check(fact, what) {
  if (!fact) throw new Error(what);
}

export async function until(what, ask, limit = LIMIT) {
  const end = Date.now() + limit;
  let last;
  while (Date.now() < end) {
    const found = await Promise.resolve().then(ask).catch((error) => void (last = error));
    if (found) return found;
    await new Promise((later) => setTimeout(later, 40));
  }
  throw new Error(`waited in vain: ${what}${last ? ` (${last.message})` : ""}`);
}

export function token({ subject = "operator", scope = `${SCOPES} tenants:all`, seconds = 3600, tenants } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: subject, scope, exp: Math.floor(Date.now() / 1000) + seconds, ...(tenants && { tenants }) };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

const CONFIG = `
[[policies]]
name = "production"
match = { plan = "R&D*", action = ["start"] }
approvals = 1
reason_required = true
`;

/** Starts the binary and resolves to its process and address, read from its log. */
function start(world, args, env) {
  const child = spawn(world.binary, args, { cwd: world.folder, env: { EMGATE_LOG: "info", ...world.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
  world.processes.push(child);
  const log = [];
  return new Promise((found, failed) => {
    const say = (why) => failed(new Error(`${args[0]}: ${why}:\n${log.slice(-20).join("\n")}`));
    const timer = setTimeout(() => say("did not say where it listens"), LIMIT);
    child.on("error", failed);
    child.on("exit", (code) => say(`ended with ${code}`));
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      if (!line.includes('"listening"')) return;
      const entry = JSON.parse(line);
      clearTimeout(timer);
      found({ child, listen: entry.listen, origin: `http://${entry.listen}` });
    });
  });
}

/** @param binary the program @param options of the simulator and more settings of the gateway */
export async function makeWorld(binary, { speed = 20, plans = 4, machines = 4, history = 0, settings = {} } = {}) {
  if (!browserPath) throw new Error("there is no Chromium; scripts/tools.sh browser installs one");
  const files = process.env.EMGATE_CONSOLE_FILES;
  const world = { binary: resolve(binary), folder: mkdtempSync(join(tmpdir(), "emgate-console-")), processes: [], env: files ? { EMGATE_CONSOLE_FILES: resolve(files) } : {} };
  writeFileSync(join(world.folder, "emgate.toml"), CONFIG);
  const seed = ["--seed", "7", "--plans", String(plans), "--vms", String(machines), "--history", String(history)];
  world.em = await start(world, ["simulate", "--listen", "127.0.0.1:0", "--speed", String(speed), "--user", "u", "--password", "p", ...seed], {});
  world.settings = {
    EMGATE_SERVER__LISTEN: "127.0.0.1:0",
    EMGATE_UPSTREAM__URL: world.em.origin,
    EMGATE_UPSTREAM__ACCOUNTS__0__NAME: "operators",
    EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME: "u",
    EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD: "p",
    EMGATE_AUTH__KEYS__0__KIND: "hs256",
    EMGATE_AUTH__KEYS__0__SECRET: SECRET,
    EMGATE_WATCH__INTERVAL: "200ms",
    EMGATE_WATCH__IDLE_INTERVAL: "300ms",
    EMGATE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS: "true",
    EMGATE_WEBHOOKS__ALLOW_HTTP: "true",
    EMGATE_LIMITS__REQUESTS_PER_MINUTE: "6000",
    EMGATE_LIMITS__BURST: "600",
    EMGATE_LIMITS__ANONYMOUS_PER_MINUTE: "6000",
    ...settings,
  };
  await startGateway(world);
  world.receiver = await startReceiver();
  world.browser = await chromium.launch({ executablePath: browserPath, args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"] });
  return world;
}

export async function startGateway(world) {
  const again = world.gateway ? { EMGATE_SERVER__LISTEN: world.gateway.listen } : {};
  world.gateway = await start(world, ["serve", "--config", "emgate.toml"], { ...world.settings, ...again });
  world.origin = world.gateway.origin;
  await until("readiness", async () => (await fetch(`${world.origin}/readyz`)).status === 200);
}

export const kill = (child) => {
  child.removeAllListeners("exit");
  const gone = new Promise((over) => child.once("exit", over));
  child.kill("SIGKILL");
  return gone;
};

/** A receiver of webhooks that answers 204, or what `status` says. */
async function startReceiver() {
  const receiver = { status: 204, got: [] };
  receiver.server = createServer((incoming, answer) => {
    receiver.got.push(incoming.headers["webhook-id"]);
    incoming.resume().on("end", () => answer.writeHead(receiver.status).end());
  });
  await new Promise((listening) => receiver.server.listen(0, "127.0.0.1", listening));
  receiver.url = `http://127.0.0.1:${receiver.server.address().port}/hook`;
  return receiver;
}

export async function api(world, path, { method = "GET", body, as = {} } = {}) {
  const answer = await fetch(`${world.origin}${path}`, { method, headers: { authorization: `Bearer ${token(as)}`, "content-type": "application/json" }, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
  return text ? JSON.parse(text) : null;
}

export const sim = (world, path, body) => fetch(`${world.em.origin}/_sim/${path}`, { method: "POST", body: JSON.stringify(body) }).then(async (answer) => check(answer.ok, `the simulator says ${answer.status} to ${path}`));
export const plansOf = async (world) => (await api(world, "/api/v1/cloud-failover-plans?sortAsc=name")).items;
export const tested = async (world, plan, body) => {
  const { id } = await api(world, `/api/v1/cloud-failover-plans/${plan.id}/test`, { method: "POST", body });
  return until("the end of a test", async () => {
    const operation = await api(world, `/api/v1/operations/${id}`);
    return operation.state === "finished" && operation;
  });
};

/** A browser's own context, with what goes wrong in it: complaints of pages, requests to elsewhere, violations of the policy. */
export async function makeContext(world, options = {}) {
  const context = await world.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.complaints = [];
  context.requests = [];
  context.on("request", (request) => context.requests.push(request));
  context.on("console", (message) => {
    // Answers that a test provokes are no complaints; what the content policy stops is one.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) context.complaints.push(message.text());
  });
  context.on("weberror", (error) => context.complaints.push(String(error.error())));
  return context;
}

export async function logIn(world, page, as = {}, path = "/") {
  await page.goto(`${world.origin}/console${path}`, { timeout: LIMIT });
  await page.locator("input[name=token]").fill(token(as));
  await page.keyboard.press("Enter");
  await page.locator(".fresh").waitFor();
  await page.locator("input[name=token]").waitFor({ state: "detached" });
}

export function clean(context, world) {
  const elsewhere = context.requests.map((request) => request.url()).filter((url) => url.startsWith("http") && !url.startsWith(`${world.origin}/`));
  check(!elsewhere.length, `asked elsewhere: ${elsewhere[0]}`);
  check(!context.complaints.length, `the page complains: ${[...new Set(context.complaints)].join("; ")}`);
}

export async function end(world) {
  await world?.browser?.close().catch(() => {});
  world?.receiver?.server.close();
  world?.receiver?.server.closeAllConnections();
  for (const child of world?.processes ?? []) {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
  }
  if (world) rmSync(world.folder, { recursive: true, force: true });
}

/** Runs `tests` by name, each in the same world; ends the process with 1 and sentences when one fails. */
export async function run(title, makeOne, tests) {
  const only = process.argv[3];
  let world;
  let failed = 0;
  try {
    world = await makeOne(process.argv[2] ?? join(root, "target/debug/emgate"));
    for (const [name, test] of Object.entries(tests)) {
      if (only && !only.split("|").some((part) => name.includes(part))) continue;
      const begin = Date.now();
      try {
        const told = await test(world);
        console.log(`${title}: ${name}${told ? ` (${told})` : ""}, ${((Date.now() - begin) / 1000).toFixed(1)} s`);
      } catch (error) {
        failed++;
        const complaints = world.browser.contexts().flatMap((context) => context.complaints ?? []);
        console.error(`${title}: NOT SO: ${name}: ${error.stack}${complaints.length ? `\nThe page complains: ${complaints.join("; ")}` : ""}`);
      } finally {
        for (const context of world.browser.contexts()) await context.close();
        if (world.gateway.child.exitCode !== null || world.gateway.child.signalCode) await startGateway(world);
      }
    }
  } catch (error) {
    failed++;
    console.error(`${title}: ${error.stack}`);
  } finally {
    await end(world);
  }
  process.exit(failed ? 1 : 0);
}
