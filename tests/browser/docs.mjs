// The documentation page in a real browser: it shows the operations and the webhooks, and asks nobody but the gateway.
//
//   node tests/browser/docs.mjs BINARY
//
// Starts the binary with a configuration of its own (no Enterprise Manager is needed for the page). Ends with 1 and a
// sentence when anything is not as it should be.

import { spawn } from "node:child_process";
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

/** Starts the gateway in an empty folder and resolves to its origin, read from its log. */
function startGateway(folder) {
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
      EMGATE_AUTH__KEYS__0__SECRET: "a secret of thirty-two bytes or more",
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

/** Waits until the page's text contains all of `texts`, scrolling on so that parts which are drawn late come up. The
 * text of a page with hundreds of operations is dear: it is taken once a round, not once for each. */
async function shows(page, ...texts) {
  const end = Date.now() + LIMIT;
  let missing = texts;
  while (Date.now() < end) {
    missing = await page.evaluate((wanted) => {
      const text = document.body.innerText;
      return wanted.filter((each) => !text.includes(each));
    }, missing);
    if (missing.length === 0) return;
    await page.mouse.wheel(0, 1500);
    await page.waitForTimeout(50);
  }
  throw new Error(`the page never shows "${missing.join('", "')}"`);
}

/** Opens whatever is folded, so that all operations are drawn. */
async function unfold(page) {
  for (let round = 0; round < 20; round++) {
    const opened = await page.evaluate(() => {
      const folded = [...document.querySelectorAll('[aria-expanded="false"]')].filter(
        (element) => element.closest("aside, nav") && !element.closest('[role="dialog"]'),
      );
      folded.forEach((element) => element.click());
      return folded.length;
    });
    if (opened === 0) return;
    await page.waitForTimeout(50);
  }
}

async function check(origin) {
  const answer = await fetch(`${origin}/openapi.json`);
  const document = await answer.json();
  const operations = Object.entries(document.paths).flatMap(([path, verbs]) =>
    Object.entries(verbs)
      .filter(([verb]) => ["get", "post", "put", "patch", "delete"].includes(verb))
      .map(([verb, operation]) => ({ path, verb, title: operation.summary })),
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

    await page.goto(`${origin}/docs`, { waitUntil: "load", timeout: LIMIT });
    await shows(page, document.info.title);
    await unfold(page);
    await shows(page, ...operations.map(({ title }) => title));
    await shows(page, ...webhooks.map((name) => document.webhooks[name].post?.summary ?? name));
    await shows(page, "failover.session.finished");
    await page.waitForLoadState("networkidle", { timeout: LIMIT });

    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
    if (elsewhere.length) throw new Error(`the page asked elsewhere: ${[...new Set(elsewhere)].join(", ")}`);
    if (complaints.length) throw new Error(`the page complains: ${[...new Set(complaints)].join("; ")}`);
    if (!requested.some((url) => url === `${origin}/openapi.json`)) throw new Error("the page did not read /openapi.json");
    console.log(
      `docs: ${operations.length} operations and ${webhooks.length} webhooks shown, ${requested.length} requests, none elsewhere`,
    );
  } finally {
    await browser.close();
  }
}

const folder = mkdtempSync(join(tmpdir(), "emgate-docs-"));
let gateway;
try {
  if (!browserPath) throw new Error("there is no Chromium; scripts/tools.sh browser installs one");
  gateway = startGateway(folder);
  await check(await gateway.origin);
} catch (error) {
  console.error(`docs: ${error.message}`);
  process.exitCode = 1;
} finally {
  if (gateway) {
    gateway.child.removeAllListeners("exit");
    gateway.child.kill("SIGKILL");
  }
  rmSync(folder, { recursive: true, force: true });
}
