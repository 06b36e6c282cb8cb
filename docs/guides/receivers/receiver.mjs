// Receives webhooks of emgate with nothing but Node's standard library.
//
// WEBHOOK_SECRET=whsec_… PORT=8090 node receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const TOLERANCE = 5 * 60; // seconds
const LIMIT = 8 * 1024 * 1024; // bytes
const seen = new Set(); // keep it in a database: an event may arrive more than once

/** Why the request is not to be believed; undefined if it is. */
function refusal(headers, body) {
  const { "webhook-id": id = "", "webhook-timestamp": timestamp = "", "webhook-signature": signatures = "" } = headers;
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE) {
    return "the timestamp is missing or more than 5 minutes off";
  }
  // The bytes as they came: JSON that was parsed and written again has another signature.
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // While a secret is being rotated there are two signatures.
  const given = signatures.split(" ").map((part) => Buffer.from(part.replace(/^v1,/, ""), "base64"));
  if (!given.some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected))) {
    return "the signature is wrong";
  }
}

const server = createServer(async (request, response) => {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length <= LIMIT) parts.push(part);
  }
  const body = Buffer.concat(parts);
  const reason = refusal(request.headers, body);
  if (!reason && !seen.has(request.headers["webhook-id"])) {
    seen.add(request.headers["webhook-id"]);
    const event = JSON.parse(body);
    console.log(event.type, event.timestamp);
  }
  response.writeHead(reason ? 401 : 200).end(reason);
});
server.listen(Number(process.env.PORT ?? 8090), "127.0.0.1", () => console.log("listening on", server.address().port));
