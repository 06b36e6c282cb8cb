// The documentation page in a real browser: it shows the operations and the webhooks, sends what is tried out with the token that
// was entered, and asks nobody but the gateway.
//
//   node tests/browser/docs.mjs BINARY
//
// Once as it is, and once behind a proxy that takes a prefix off, with and without `server.public_url`.
//
// Starts the binary with a configuration of its own (no Enterprise Manager is needed for the page). Ends with 1 and a
// sentence when anything is not as it should be.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer, request as ask } from "node:http";
import { mkdtempSync, rmSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const require = createRequire(join(root, ".tools/node/package.json"));
const { chromium } = require("playwright-core");

const binary = resolve(process.argv[2] ?? join(root, "target/debug/emgate"));
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const LIMIT = 90_000;
const SECRET = "a secret of thirty-two bytes or more";

/** A token that the gateway accepts. */
function token() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: "reader", scope: "plans:read tenants:all", exp: Math.floor(Date.now() / 1000) + 3600 };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

/** Starts the gateway in an empty folder, with more variables, and resolves to its origin, read from its log. */
function startGateway(folder, variables = {}) {
  const child = spawn(binary, ["serve"], {
    cwd: folder,
    env: {
      EMGATE_LOG: "info",
      EMGATE_SERVER__LISTEN: "127.0.0.1:0",
      EMGATE_UPSTREAM__URL: "http://127.0.0.1:9",
      EMGATE_UPSTREAM__ACCOUNTS__0__NAME: "operators",
      EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME: "nobody",
      EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD: "nothing",
      EMGATE_AUTH__KEYS__0__KIND: "hs256",
      EMGATE_AUTH__KEYS__0__SECRET: SECRET,
      ...variables,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const log = [];
  const origin = new Promise((found, failed) => {
    const say = (why) => failed(new Error(`${why}; its log:\n${log.join("\n")}`));
    const timer = setTimeout(() => say("the gateway did not say where it listens"), LIMIT);
    child.on("error", (error) => say(`cannot start ${binary}: ${error.message}`));
    child.on("exit", (code) => say(`the gateway ended with ${code}`));
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      try {
        const entry = JSON.parse(line);
        if (entry.message === "listening") {
          clearTimeout(timer);
          found(`http://${entry.listen}`);
        }
      } catch {
        // A line that is no JSON is shown if the start fails.
      }
    });
  });
  return { child, origin };
}

/** A proxy that serves what it finds at `target` below `prefix`, which it takes off, and nothing else. */
async function startProxy(prefix, target) {
  const server = createServer((incoming, answer) => {
    if (!incoming.url.startsWith(`${prefix}/`)) return answer.writeHead(404).end("not below the prefix");
    const to = new URL(incoming.url.slice(prefix.length), target());
    const outgoing = ask(to, { method: incoming.method, headers: incoming.headers }, (found) => {
      answer.writeHead(found.statusCode, found.headers);
      found.pipe(answer);
    });
    outgoing.on("error", () => answer.writeHead(502).end());
    incoming.pipe(outgoing);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { server, address: `http://127.0.0.1:${server.address().port}${prefix}` };
}

/** Waits until the page's text contains all of `texts`, going down the page again and again, because only what is near the view is
 * drawn. The text of a page with hundreds of operations is dear: it is taken once a round, not once for each. */
async function shows(page, ...texts) {
  const end = Date.now() + LIMIT;
  let missing = texts;
  while (Date.now() < end) {
    missing = await page.evaluate((wanted) => {
      const text = document.body.innerText;
      const isEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
      scrollTo(0, isEnd ? 0 : scrollY + innerHeight * 0.8);
      return wanted.filter((each) => !text.includes(each));
    }, missing);
    if (missing.length === 0) return;
    await page.waitForTimeout(50);
  }
  throw new Error(`the page never shows "${missing.join('", "')}"`);
}

/** Opens all tags, so that all operations are drawn. */
async function unfold(page) {
  await page.evaluate(() => document.querySelectorAll('.opblock-tag[data-is-open="false"]').forEach((tag) => tag.click()));
}

/** Filters by a path: what is found is drawn, in tags that were folded. */
async function filter(page, path, found) {
  await page.fill(".operation-filter-input", path, { timeout: LIMIT });
  await page.waitForFunction((found) => document.querySelectorAll(".opblock-tag").length === found, found, { timeout: LIMIT });
}

/** Opens an operation or a webhook, and waits until what it refers to was found. */
async function open(page, { tags, operationId }) {
  const place = `[id="operations-${tags[0]}-${operationId}"]`;
  await page.click(`${place} .opblock-summary-control`, { timeout: LIMIT });
  await page.waitForSelector(`${place} .responses-table tbody tr`, { timeout: LIMIT });
}

/** Enters a token and asks who its bearer is: the answer and the status are on the page. */
async function tryOut(page, base) {
  const bearer = token();
  await filter(page, "/api/v1/me", 1);
  await page.click(".btn.authorize", { timeout: LIMIT });
  await page.fill(".auth-container input", bearer);
  await page.click(".auth-container .authorize");
  await page.click(".btn-done");
  const asked = page.waitForRequest((request) => request.url() === `${base}/api/v1/me`, { timeout: LIMIT });
  const operation = '[id="operations-identity-getMe"]';
  await page.click(`${operation} .try-out__btn`, { timeout: LIMIT });
  await page.click(`${operation} .execute`, { timeout: LIMIT });
  const sent = (await asked).headers().authorization;
  if (sent !== `Bearer ${bearer}`) throw new Error(`the page asks with the token ${sent}`);
  const live = page.locator(`${operation} .live-responses-table`);
  await live.waitFor({ timeout: LIMIT });
  const status = await live.locator("tbody .response-col_status").first().innerText();
  const text = await live.innerText();
  if (status.trim() !== "200" || !text.includes('"reader"')) throw new Error(`what was tried out is answered by ${status}: ${text}`);
}

/** `base`: where the gateway is found, a prefix included. `whole`: every operation has to be drawn. */
async function check(base, whole) {
  const origin = new URL(base).origin;
  const answer = await fetch(`${base}/openapi.json`);
  const document = await answer.json();
  const operations = Object.entries(document.paths).flatMap(([path, verbs]) =>
    Object.entries(verbs)
      .filter(([verb]) => ["get", "post", "put", "patch", "delete"].includes(verb))
      .map(([verb, operation]) => ({ ...operation, path, verb, title: operation.summary })),
  );
  const webhooks = Object.keys(document.webhooks ?? {});
  const test = operations.find(({ path, verb }) => verb === "post" && path.endsWith("/cloud-failover-plans/{planId}/test"));
  if (!test) throw new Error("the document has no operation that tests a cloud failover plan");
  const untitled = operations.filter(({ title }) => !title);
  if (untitled.length) throw new Error(`operations without a summary: ${untitled.map((o) => `${o.verb} ${o.path}`).join(", ")}`);
  if (!webhooks.includes("failover.session.finished")) throw new Error("the document has no webhook failover.session.finished");

  const browser = await chromium.launch({
    executablePath: browserPath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    const requested = [];
    const elsewhere = [];
    const complaints = [];
    await page.context().route("**/*", (route) => {
      const url = route.request().url();
      requested.push(url);
      if (new URL(url).origin === origin) return route.continue();
      elsewhere.push(url);
      return route.abort();
    });
    page.on("websocket", (socket) => elsewhere.push(socket.url()));
    page.on("pageerror", (error) => complaints.push(`error on the page: ${error.message}`));
    page.on("console", (entry) => {
      // Also how a request shows that the content policy stopped before it was one.
      if (entry.type() === "error") complaints.push(entry.text());
    });

    // By an operation's own address, which opens it.
    await page.goto(`${base}/docs#/identity/getMe`, { waitUntil: "load", timeout: LIMIT });
    await shows(page, document.info.title);
    await page.waitForSelector('[id="operations-identity-getMe"] .responses-table', { timeout: LIMIT });
    if (whole) {
      await filter(page, test.path.toUpperCase(), 1);
      await open(page, test);
      await open(page, document.webhooks["failover.session.finished"].post);
      await filter(page, "", document.tags.length);
      await unfold(page);
      await shows(page, ...operations.map(({ title }) => title));
      await shows(page, ...webhooks.map((name) => document.webhooks[name].post?.summary ?? name));
      await shows(page, "failover.session.finished");
    }
    // Where the page sends a request that is tried out.
    const server = await page.inputValue(".servers select", { timeout: LIMIT });
    if (server !== base) throw new Error(`the page's server is ${server}`);
    await tryOut(page, base);
    const faults = await page.locator(".errors-wrapper").allInnerTexts();
    if (faults.length) throw new Error(`the viewer complains: ${faults.join("; ")}`);
    await page.waitForLoadState("networkidle", { timeout: LIMIT });

    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
    if (elsewhere.length) throw new Error(`the page asked elsewhere: ${[...new Set(elsewhere)].join(", ")}`);
    if (complaints.length) throw new Error(`the page complains: ${[...new Set(complaints)].join("; ")}`);
    const outside = requested.filter((url) => url.startsWith("http") && !url.startsWith(`${base}/`));
    if (outside.length) throw new Error(`the page asked outside of ${base}: ${[...new Set(outside)].join(", ")}`);
    if (!requested.some((url) => url === `${base}/openapi.json`)) throw new Error(`the page did not read ${base}/openapi.json`);
    const shown = whole ? `${operations.length} operations and ${webhooks.length} webhooks` : "the document";
    console.log(`docs: ${shown} shown at ${base}/docs, ${requested.length} requests, none elsewhere`);
  } finally {
    await browser.close();
  }
}

const folders = [];
const gateways = [];
let behind;
const proxy = await startProxy("/dr/emgate", () => behind);

async function start(variables) {
  const folder = mkdtempSync(join(tmpdir(), "emgate-docs-"));
  folders.push(folder);
  const gateway = startGateway(folder, variables);
  gateways.push(gateway);
  return gateway.origin;
}

try {
  if (!browserPath) throw new Error("there is no Chromium; scripts/tools.sh browser installs one");
  behind = await start();
  await check(behind, true);
  await check(proxy.address, false);
  behind = await start({ EMGATE_SERVER__PUBLIC_URL: proxy.address });
  await check(proxy.address, false);
} catch (error) {
  console.error(`docs: ${error.message}`);
  process.exitCode = 1;
} finally {
  for (const gateway of gateways) {
    gateway.child.removeAllListeners("exit");
    gateway.child.kill("SIGKILL");
  }
  proxy.server.close();
  proxy.server.closeAllConnections();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
process.exit();
