// Cards for Teams against the schema of Adaptive Cards 1.4, as Microsoft's own parser has it.
//
//   node tests/chat/cards.mjs FOLDER
//
// FOLDER holds what `EMGATE_WRITE_MESSAGES` made. The parser must report nothing, the card must pass its own validation, and
// must come back from it as it went in: a member that the parser does not know would be lost on the way.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const require = createRequire(join(root, ".tools/chat/package.json"));
globalThis.self = globalThis;
const cards = require("adaptivecards/dist/adaptivecards.js");

/** Teams' own limit, which counts bytes as long as the request says that it is UTF-8. */
const WHOLE = 28 * 1024;
/** What stands around the card, or means something to Teams alone. */
const OWN = new Set(["$schema", "msteams"]);

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** The members of `sent` that `back` lacks or has otherwise. */
function lost(sent, back, place = "") {
  if (Array.isArray(sent)) {
    if (sent.length !== back?.length) return [`${place}: ${sent.length} items, of which ${back?.length} came back`];
    return sent.flatMap((item, at) => lost(item, back[at], `${place}/${at}`));
  }
  if (sent === null || typeof sent !== "object") {
    return String(sent).toLowerCase() === String(back).toLowerCase() ? [] : [`${place}: ${sent} came back as ${back}`];
  }
  return Object.keys(sent)
    .filter((key) => !(place === "" && OWN.has(key)))
    .flatMap((key) => lost(sent[key], back?.[key], `${place}/${key}`));
}

function faults(text) {
  const message = JSON.parse(text);
  const found = [];
  if (Buffer.byteLength(text) > WHOLE) found.push(`${Buffer.byteLength(text)} bytes`);
  const [attachment] = message.attachments;
  if (message.type !== "message" || message.attachments.length !== 1) found.push("not a message with one attachment");
  if (attachment.contentType !== "application/vnd.microsoft.card.adaptive") found.push(attachment.contentType);
  const sent = attachment.content;
  if (sent.version !== "1.4") found.push(`version ${sent.version}`);
  if (!sent.fallbackText) found.push("no fallbackText");
  const context = new cards.SerializationContext(cards.Versions.v1_4);
  const card = new cards.AdaptiveCard();
  card.parse(sent, context);
  for (let at = 0; at < context.eventCount; at += 1) {
    const event = context.getEventAt(at);
    found.push(`${cards.ValidationEvent?.[event.event] ?? event.event}: ${event.message}`);
  }
  for (const one of card.validateProperties().validationEvents) found.push(one.message);
  for (let at = 0; at < card.getItemCount(); at += 1) {
    if (card.getItemAt(at).getJsonTypeName() === "Unknown") found.push(`element ${at} is unknown`);
  }
  const back = card.toJSON(new cards.SerializationContext(cards.Versions.v1_4));
  found.push(...lost(sorted(sent), sorted(back)));
  for (const action of sent.actions ?? []) {
    if (action.type !== "Action.OpenUrl" || !action.url.startsWith("https://")) found.push(`action ${JSON.stringify(action)}`);
  }
  return found;
}

const folder = process.argv[2];
const files = readdirSync(folder).filter((name) => name.startsWith("teams_")).sort();
if (files.length <= 30) throw new Error(`${files.length} cards in ${folder}`);
let bad = 0;
for (const name of files) {
  const found = faults(readFileSync(join(folder, name), "utf8"));
  if (found.length > 0) {
    bad += 1;
    console.error(`${name}: ${found.slice(0, 5).join("; ")}`);
  }
}
// A checker that finds nothing wrong with anything is none.
const broken = JSON.parse(readFileSync(join(folder, files[0]), "utf8"));
for (const [what, harm] of [
  ["an element that is not in 1.4", (card) => card.body.push({ type: "Table", columns: [], rows: [], invented: 1 })],
  ["a weight that does not exist", (card) => (card.body[0].items[0].inlines[0].weight = "Heavy")],
  ["a member that does not exist", (card) => (card.body[0].colour = "red")],
]) {
  const copy = structuredClone(broken);
  harm(copy.attachments[0].content);
  if (faults(JSON.stringify(copy)).length === 0) {
    bad += 1;
    console.error(`${what} passed`);
  }
}
if (bad > 0) process.exit(1);
console.log(`cards: ${files.length} cards are right, and three broken ones are not`);
