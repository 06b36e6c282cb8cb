// The receivers of docs/guides/receivers, and two by the official libraries of Standard Webhooks, each as a process: what a
// real gateway sends is believed, what is forged, old or written anew is not. Run by scripts/guides.sh.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { LIMIT, registered, tested } from "./api.mjs";

const folder = fileURLToPath(new URL("../../docs/guides/receivers/", import.meta.url));
const secret = `whsec_${randomBytes(32).toString("base64")}`;

/** A program that listens, and says where. */
async function started(command, args) {
  const child = spawn(command, args, {
    env: { ...process.env, WEBHOOK_SECRET: secret, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const said = { text: "" };
  const port = await new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`${command} says no port: ${said.text}`)), LIMIT);
    child.on("error", failed);
    child.on("exit", (code) => failed(new Error(`${command} ended with ${code}`)));
    child.stdout.on("data", (chunk) => {
      said.text += chunk;
      const port = /listening on (\d+)/.exec(said.text);
      if (port) {
        clearTimeout(timer);
        found(Number(port[1]));
      }
    });
  });
  child.removeAllListeners("exit");
  // `go run` is the parent of what listens: the group ends.
  return { port, said, stop: () => process.kill(-child.pid, "SIGTERM") };
}

/** A web server that runs a CGI program for each request. */
async function cgi(program) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const headers = Object.entries(request.headers).map(([name, value]) => [
      `HTTP_${name.toUpperCase().replaceAll("-", "_")}`,
      value,
    ]);
    const env = {
      PATH: process.env.PATH,
      WEBHOOK_SECRET: secret,
      CONTENT_LENGTH: String(body.length),
      ...Object.fromEntries(headers),
    };
    const child = spawn(program, [], { env, stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.on("error", () => {});
    child.stdin.end(body);
    let answer = "";
    for await (const part of child.stdout) answer += part;
    response.writeHead(Number(/^Status: (\d+)/.exec(answer)?.[1] ?? 500)).end();
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { port: server.address().port, stop: () => server.close() };
}

const BODY = '{"type": "webhook.test", "timestamp": "2026-03-01T12:00:00Z", "data": {"message": "grüße"}}';
const now = () => Math.floor(Date.now() / 1000); // seconds

function signature(id, timestamp, key = secret) {
  const mac = createHmac("sha256", Buffer.from(key.slice("whsec_".length), "base64"));
  return `v1,${mac.update(`${id}.${timestamp}.${BODY}`).digest("base64")}`;
}

/** The status for a request that is made by hand. */
async function status(url, { id = "evt_1", timestamp, signed = signature(id, timestamp), body = BODY }) {
  const headers = { "webhook-id": id, "webhook-timestamp": String(timestamp), "webhook-signature": signed };
  return (await fetch(url, { method: "POST", headers, body })).status;
}

const other = `whsec_${randomBytes(32).toString("base64")}`;
/** What each request is, the request, and the status that it gets. */
const requests = (at) => [
  ["signed", {}, 200],
  ["sent again", {}, 200],
  ["signed by two secrets", { signed: `${signature("evt_1", at, other)} ${signature("evt_1", at)}` }, 200],
  ["signed by Ed25519 as well", { signed: `v1a,AAAA ${signature("evt_1", at)}` }, 200],
  ["signed by another secret", { signed: signature("evt_1", at, other) }, 401],
  ["of another id", { id: "evt_2", signed: signature("evt_1", at) }, 401],
  ["ten minutes old", { timestamp: at - 600 }, 401],
  ["ten minutes ahead", { timestamp: at + 600 }, 401],
  ["with a timestamp that is none", { timestamp: "soon" }, 401],
  ["written anew", { body: JSON.stringify(JSON.parse(BODY)) }, 401],
  ["not signed", { signed: "" }, 401],
];

const here = fileURLToPath(new URL(".", import.meta.url));
const RECEIVERS = {
  "standardwebhooks of PyPI": () => started(process.env.STANDARD_WEBHOOKS_PYTHON, [`${here}official.py`]),
  "standardwebhooks of npm": () => started("node", [`${here}official.cjs`]),
  "receiver.py": () => started("python3", [`${folder}receiver.py`]),
  "receiver.mjs": () => started("node", [`${folder}receiver.mjs`]),
  "receiver.go": () => started("go", ["run", `${folder}receiver.go`]),
  "receiver.sh": () => cgi(`${folder}receiver.sh`),
};

for (const [name, start] of Object.entries(RECEIVERS)) {
  const receiver = await start();
  try {
    const url = `http://127.0.0.1:${receiver.port}/hook`;
    const settings = { url, secret, eventTypes: ["webhook.test"] };
    assert.equal(await registered(settings, tested), "delivered", name);
    const at = now();
    const table = requests(at);
    for (const [what, request, expected] of table) {
      assert.equal(await status(url, { timestamp: at, ...request }), expected, `${name}: a request ${what}`);
    }
    // The gateway's event, and evt_1 once.
    const lines = receiver.said?.text.match(/^webhook\.test /gm);
    if (lines) assert.equal(lines.length, 2, `${name}: ${receiver.said.text}`);
    console.log(`guides: ${name} believes the gateway and nobody else (${table.length} requests)`);
  } finally {
    receiver.stop();
  }
}
