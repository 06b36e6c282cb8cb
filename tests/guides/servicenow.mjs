// The scripts of docs/guides/servicenow, run with doubles of the platform's objects: the client sends real requests, the
// receiver gets real deliveries. Run by scripts/guides.sh.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import vm from "node:vm";

import { EMGATE_TOKEN, EMGATE_SERVER, PLAN, api, listening, registered, until } from "./api.mjs";

const text = (name) => readFileSync(new URL(`../../docs/guides/servicenow/${name}`, import.meta.url), "utf8");
const properties = { "emgate.url": EMGATE_SERVER, "emgate.token": EMGATE_TOKEN };

/** An outbound REST message, which blocks as the platform's does. */
class RESTMessageV2 {
  #headers = [];
  #body = "";
  #substitutes = true;
  setHttpMethod(method) {
    this.method = method.toUpperCase();
  }
  setEndpoint(url) {
    this.url = url;
  }
  setHttpTimeout(milliseconds) {
    this.seconds = milliseconds / 1000;
  }
  disableForcedVariableSubstitution() {
    this.#substitutes = false;
  }
  setRequestHeader(name, value) {
    this.#headers.push("--header", `${name}: ${value}`);
  }
  setRequestBody(body) {
    this.#body = body;
  }
  execute() {
    const body = this.#substitutes ? this.#body.replace(/\$\{.*?\}/g, "") : this.#body;
    const sent = body ? ["--data-binary", body] : [];
    const limits = ["--silent", "--max-time", String(this.seconds), "--write-out", "\n%{http_code}"];
    const played = spawnSync("curl", [...limits, "--request", this.method, ...this.#headers, ...sent, this.url]);
    const [, answer, status] = /^(.*)\n(\d+)$/s.exec(played.stdout.toString());
    return {
      getStatusCode: () => Number(status),
      getBody: () => answer,
      getErrorMessage: () => (status === "000" ? "the gateway was not reached" : ""),
    };
  }
}

/** The change requests by number. */
const changes = { CHG0030001: { notes: [] } };
class GlideRecord {
  constructor(table) {
    assert.equal(table, "change_request");
  }
  get(name, value) {
    assert.equal(name, "number");
    this.change = changes[value];
    this.work_notes = { getJournalEntry: (count) => (assert.equal(count, -1), this.change.notes.join("\n")) };
    return this.change !== undefined;
  }
  update() {
    this.change.notes.push(this.work_notes);
  }
}

const platform = {
  gs: { getProperty: (name) => properties[name] },
  sn_ws: { RESTMessageV2 },
  GlideRecord,
  GlideCertificateEncryption: class {
    generateMac(key, algorithm, data) {
      assert.equal(algorithm, "HmacSHA256");
      return createHmac("sha256", Buffer.from(key, "base64")).update(data).digest("base64");
    }
  },
  Class: {
    create: () =>
      function (...given) {
        this.initialize(...given);
      },
  },
};
const run = (script, more) => vm.runInNewContext(script, { ...platform, ...more });

const client = run(`${text("EmgateClient.js")}; new EmgateClient()`);
const receiver = text("receiver.js");
function arrive(headers, body) {
  let status = 200;
  const request = { getHeader: (name) => headers[name], body: { dataString: body.toString() } };
  run(receiver, { request, response: { setStatus: (value) => (status = value) } });
  return status;
}

const arrived = [];
const hook = await listening((headers, body) => {
  arrived.push([headers, body]);
  return arrive(headers, body);
});
const settings = JSON.parse(text("endpoint.json"));
await registered({ ...settings, url: hook.url }, async (endpoint) => {
  properties["emgate.secret"] = endpoint.secret;
  const started = client.test(PLAN, "CHG0030001");
  assert.equal(client.test(PLAN, "CHG0030001").id, started.id, "a change that asks again is the same operation");
  const ended = await until(`/operations/${started.id}`, ({ state }) => state === "finished");
  assert.deepEqual({ ...client.read(started.id).metadata }, { change: "CHG0030001" });
  assert.equal(client.read(started.id).result, ended.result);
  assert.throws(() => client.read("latest"), /emgate 404: ./);
  const delivered = ({ items }) => items.length > 0 && items.every(({ state }) => state === "delivered");
  await until(`/webhook-deliveries?endpointId=${endpoint.id}`, delivered);
});
hook.stop();
const [headers, body] = arrived.find(([, body]) => JSON.parse(body).type === "failover.session.finished");
assert.equal(headers["x-sn-apikey"], settings.headers["x-sn-apikey"]);
assert.deepEqual(changes.CHG0030001.notes, [`ABC Company Failover Plan: success [${headers["webhook-id"]}]`]);
assert.equal(arrive(headers, body), 204, "an event that comes again");
assert.equal(changes.CHG0030001.notes.length, 1, "is written once");
assert.equal(arrive(headers, body.toString().replace("success", "warning")), 401, "a changed body");
const signed = (at) => {
  const key = Buffer.from(properties["emgate.secret"].replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${headers["webhook-id"]}.${at}.${body}`).digest("base64");
  return { ...headers, "webhook-timestamp": String(at), "webhook-signature": `v1,AAAA v1,${signature}` };
};
const now = Math.floor(Date.now() / 1000);
assert.equal(arrive(signed(now), body), 204, "signed by two secrets");
assert.equal(arrive(signed(now - 600), body), 401, "a request that is ten minutes old");
assert.equal(arrive({}, body), 401, "a request without signature");
properties["emgate.secret"] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
assert.equal(arrive(headers, body), 401, "another secret");
console.log("guides: the ServiceNow scripts test once for a change and write the end into it once");
