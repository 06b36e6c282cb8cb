// The workflows of docs/guides/n8n: their nodes beside the descriptions of n8n's own, and run by a model of n8n in which
// expressions are evaluated, requests sent, and signatures made by Node's crypto. Run by scripts/guides.sh.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

import { EMGATE_TOKEN, EMGATE_SERVER, api, listening, registered, tested } from "./api.mjs";

const file = (name) => JSON.parse(readFileSync(new URL(`../../docs/guides/n8n/${name}.json`, import.meta.url)));
/** The descriptions of n8n's nodes, as its editor has them. */
const DESCRIPTIONS = JSON.parse(readFileSync(process.env.N8N_NODES));

// Part 1: every parameter is one that the node of this version has, shows, and accepts.

const versions = ({ version }) => [version].flat();

function shown(display, node) {
  const holds = ([name, wanted]) => {
    const value = name === "@version" ? node.typeVersion : node.parameters[name.replace(/^\//, "")];
    return wanted.some((one) => (one?._cnd ? value >= one._cnd.gte : one === value));
  };
  // What is left out has its default, which no workflow here depends on.
  const known = ([name]) => name === "@version" || name.replace(/^\//, "") in node.parameters;
  const show = Object.entries(display?.show ?? {}).filter(known).every(holds);
  return show && !Object.entries(display?.hide ?? {}).filter(known).some(holds);
}

function check(node) {
  const name = node.type.replace("n8n-nodes-base.", "");
  const named = DESCRIPTIONS.filter((one) => one.name === name && versions(one).includes(node.typeVersion));
  assert.equal(named.length, 1, `${node.name}: ${node.type} ${node.typeVersion}`);
  for (const [parameter, value] of Object.entries(node.parameters)) {
    const of = named[0].properties.filter((one) => one.name === parameter && shown(one.displayOptions, node));
    assert.ok(of.length > 0, `${node.name} has no ${parameter}`);
    const known = of.flatMap(({ options }) => options ?? []);
    if (of[0].type === "options") {
      assert.ok(known.some((one) => one.value === value), `${node.name}: ${parameter} is ${value}`);
    }
    if (of[0].type === "collection") {
      for (const option of Object.keys(value)) {
        assert.ok(known.some((one) => one.name === option), `${node.name} has no option ${option}`);
      }
    }
  }
  for (const credential of Object.keys(node.credentials ?? {})) {
    const own = named[0].credentials?.some((one) => one.name === credential);
    assert.ok(own || node.parameters.genericAuthType === credential, `${node.name}: ${credential}`);
  }
}

// Part 2: a run.

/** A parameter's value where `=` makes it an expression. */
function value(parameter, scope) {
  if (typeof parameter !== "string" || !parameter.startsWith("=")) return parameter;
  const evaluated = (code) => new Function(...Object.keys(scope), `return (${code})`)(...Object.values(scope));
  const whole = /^=\{\{((?:(?!\}\}).)*)\}\}$/s.exec(parameter);
  if (whole) return evaluated(whole[1]);
  return parameter.slice(1).replace(/\{\{(.*?)\}\}/gs, (_, code) => String(evaluated(code)));
}

async function request(node, scope) {
  const { url, method = "GET", headerParameters, jsonBody } = node.parameters;
  const headers = { authorization: `Bearer ${EMGATE_TOKEN}` };
  for (const header of headerParameters?.parameters ?? []) headers[header.name] = value(header.value, scope);
  if (jsonBody) headers["content-type"] = "application/json";
  const address = value(url, scope).replace("https://dr.example", EMGATE_SERVER);
  const response = await fetch(address, { method, headers, body: value(jsonBody, scope) });
  assert.ok(response.ok, `${node.name}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

function holds({ combinator, conditions }, scope) {
  const each = conditions.map(({ leftValue, rightValue, operator }) => {
    const left = value(leftValue, scope);
    if (operator.type === "boolean") return left === true;
    assert.equal(operator.operation, "equals");
    return left === rightValue;
  });
  return combinator === "or" ? each.some(Boolean) : each.every(Boolean);
}

class Stopped extends Error {}

/** What the nodes do: each gets its node, the run, and the item before it; the item that comes out, and of which output. */
const NODES = {
  scheduleTrigger: async (_, run) => run.item,
  webhook: async (_, run) => run.item,
  httpRequest: async (node, run, scope) => {
    const json = await request(node, scope);
    // n8n repeats what fails; the answer may be what failed.
    if (node.retryOnFail) assert.equal((await request(node, scope)).id, json.id, `${node.name} acts once`);
    await run.after?.(node, json);
    return { json };
  },
  wait: async (_, run) => ({ json: await run.resumed }),
  if: async (node, run, scope) => ({ ...run.item, output: holds(node.parameters.conditions, scope) ? 0 : 1 }),
  stopAndError: async (node, _, scope) => {
    throw new Stopped(value(node.parameters.errorMessage, scope));
  },
  extractFromFile: async ({ parameters }, { item }) => {
    assert.equal(parameters.options.keepSource, "json");
    const bytes = Buffer.from(item.binary[parameters.binaryPropertyName].data, "base64");
    return { json: { ...item.json, [parameters.destinationKey]: bytes.toString(parameters.options.encoding) } };
  },
  crypto: async ({ parameters: { type, value: text, encoding, dataPropertyName } }, { item, hmacSecret }, scope) => {
    const made = createHmac(type, hmacSecret).update(value(text, scope)).digest(encoding);
    return { json: { ...item.json, [dataPropertyName]: made } };
  },
  respondToWebhook: async ({ parameters }, run) => {
    run.status = parameters.options.responseCode;
    return run.item;
  },
  removeDuplicates: async ({ parameters }, run, scope) => {
    const key = value(parameters.dedupeValue, scope);
    if (run.seen.has(key)) return undefined;
    run.seen.add(key);
    return run.item;
  },
  set: async ({ parameters }, _, scope) => ({ json: JSON.parse(value(parameters.jsonOutput, scope)) }),
};

/** Runs a workflow from its first node on; the last item, or nothing where it ended before. */
async function play(workflow, run) {
  const items = {};
  let node = workflow.nodes[0];
  for (;;) {
    const scope = {
      $json: run.item.json,
      $execution: run.execution,
      $: (name) => ({ item: items[name] }),
    };
    const item = await NODES[node.type.replace("n8n-nodes-base.", "")](node, run, scope);
    if (item === undefined) return undefined;
    items[node.name] = run.item = item;
    const next = workflow.connections[node.name]?.main[item.output ?? 0]?.[0];
    if (next === undefined) return item;
    node = workflow.nodes.find(({ name }) => name === next.node);
  }
}

const testPlan = file("test-plan");
const receive = file("receive");
for (const workflow of [testPlan, receive]) workflow.nodes.forEach(check);
console.log("guides: the nodes of the n8n workflows are as n8n describes them");

/** A run of test-plan.json; `after` sees the answers. */
async function testRun(id, after) {
  let resume;
  const resumed = new Promise((called) => (resume = called));
  const waiting = await listening((headers, body) => {
    resume({ headers, body: JSON.parse(body) });
    return 200;
  });
  const execution = { id, resumeUrl: `${waiting.url}/webhook-waiting/${id}` };
  try {
    return await play(testPlan, { item: { json: {} }, execution, resumed, after });
  } finally {
    waiting.stop();
  }
}

const done = await testRun("231");
assert.equal(done.json.metadata.execution, "231");
assert.equal(done.json.result, "success");
const cancel = (node, { id }) => node.name === "Test the plan" && api("POST", `/operations/${id}/cancel`);
await assert.rejects(testRun("232", cancel), (error) => {
  assert.ok(error instanceof Stopped, error);
  assert.match(error.message, /^ABC Company Failover Plan: (failed|cancelled) ./);
  return true;
});
console.log("guides: the n8n workflow tests a plan once, is called back, and fails as the test does");

const asItStands = file("endpoint");
await assert.rejects(registered(asItStands, () => {}), /422.*secretText/s, "whoever forgets the secret is told");
const settings = { ...asItStands, secretText: randomBytes(24).toString("base64") };
const seen = new Set();
const events = [];
async function arrive(headers, body, hmacSecret = settings.secretText) {
  const item = { json: { headers }, binary: { data: { data: body.toString("base64") } } };
  const run = { item, hmacSecret, seen };
  const event = await play(receive, run);
  if (run.status === 204 && event) events.push(event.json);
  return run.status;
}
let arrived;
const hook = await listening((headers, body) => {
  arrived = [headers, body];
  return arrive(headers, body);
});
const types = ["webhook.test"];
assert.equal(await registered({ ...settings, url: hook.url, eventTypes: types }, tested), "delivered");
hook.stop();
const [headers, body] = arrived;
assert.equal(await arrive(headers, body), 204, "the same again is taken");
assert.equal(events.length, 1, "and told once");
assert.equal(events[0].type, "webhook.test");
const written = Buffer.from(JSON.stringify(JSON.parse(body), null, 1));
assert.equal(await arrive(headers, written), 401, "a body that was written anew");
assert.equal(await arrive(headers, body, "another secret of 24 characters"), 401, "another secret");
const signed = (at, text) => {
  const signature = createHmac("sha256", settings.secretText).update(`evt_1.${at}.${text}`).digest("base64");
  return { "webhook-id": "evt_1", "webhook-timestamp": String(at), "webhook-signature": `v1,AAAA v1,${signature}` };
};
const now = Math.floor(Date.now() / 1000);
const text = '{"type": "webhook.test", "data": {"message": "grüße"}}';
assert.equal(await arrive(signed(now, text), Buffer.from(text)), 204, "signed by two secrets");
assert.equal(await arrive(signed(now - 600, text), Buffer.from(text)), 401, "ten minutes old");
console.log("guides: the n8n receiver believes the gateway and nobody else");
