// The gateway that the checks of docs/guides talk to, as scripts/guides.sh says where it is.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

export const LIMIT = 60_000; // milliseconds
export const { EMGATE_SERVER, EMGATE_TOKEN } = process.env;
/** The plan that the demo has. */
export const PLAN = "3f56fa52-c902-4655-9774-2022fde214d2";

export async function api(method, path, body) {
  const response = await fetch(`${EMGATE_SERVER}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${EMGATE_TOKEN}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return response.status === 204 ? undefined : response.json();
}

/** Asks until the answer is as wished. */
export async function until(path, wished) {
  for (const end = Date.now() + LIMIT; Date.now() < end; await pause(100)) {
    const answer = await api("GET", path);
    if (wished(answer)) return answer;
  }
  throw new Error(`${path}: waited in vain`);
}

/** A server on loopback; `take` gets the headers and the bytes of a request, and says with which status it is answered. */
export async function listening(take) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    response.writeHead(await take(request.headers, Buffer.concat(parts))).end();
  });
  await new Promise((begun) => server.listen(0, "127.0.0.1", begun));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

/** Registers the endpoint of a file, at another address; `act` gets it, and it is removed afterwards. */
export async function registered(settings, act) {
  const endpoint = await api("POST", "/webhook-endpoints", settings);
  try {
    return await act(endpoint);
  } finally {
    await api("DELETE", `/webhook-endpoints/${endpoint.id}`);
  }
}

/** Sends a test to an endpoint; the state of its delivery, once it was attempted. */
export async function tested(endpoint) {
  const { id } = await api("POST", `/webhook-endpoints/${endpoint.id}/test`);
  const attempted = ({ state, attempts }) => state !== "sending" && attempts.length > 0;
  return (await until(`/webhook-deliveries/${id}`, attempted)).state;
}
