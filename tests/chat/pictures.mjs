// Pictures of messages as a phone shows them: Teams' cards by Microsoft's renderer, the others by phone.js.
//
//   node tests/chat/pictures.mjs FOLDER TARGET
//
// FOLDER holds what `EMGATE_WRITE_MESSAGES` made; a PNG for each service and sample comes into TARGET.

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const root = resolve(here, "../..");
const require = createRequire(join(root, ".tools/node/package.json"));
const { chromium } = require("playwright-core");
const cards = join(root, ".tools/chat/node_modules");

const [folder, target] = process.argv.slice(2);
const SERVICES = ["slack", "teams", "mattermost", "discord", "googlechat"];
const SAMPLES = ["many", "failed", "good", "approval", "progress", "hostile"];
/** How tall a picture in the documentation may be; what follows is more of the same. */
const TALLEST = 1400;

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const message = (service, name) => JSON.parse(readFileSync(join(folder, `${service}_${name}.json`), "utf8"));
const hostConfig = JSON.parse(readFileSync(join(cards, "adaptivecards-designer/lib/hostConfigs/microsoft-teams-light.json"), "utf8"));

mkdirSync(target, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 380, height: 200 }, deviceScaleFactor: 1 });
const faults = [];
page.on("pageerror", (error) => faults.push(error.message));
await page.setContent('<!doctype html><html lang="en"><meta charset="utf-8"><title>emgate</title><body></body></html>');
await page.addStyleTag({ path: join(here, "phone.css") });
await page.addScriptTag({ path: join(cards, "adaptivecards/dist/adaptivecards.js") });
await page.addScriptTag({ path: join(here, "phone.js") });
for (const service of SERVICES) {
  for (const sample of SAMPLES) {
    // A bot answers in the thread of the message that it keeps up to date.
    const replies = sample === "progress" && service === "slack" ? [message(service, "machine")] : [];
    await page.evaluate((drawn) => window.show(...drawn), [service, message(service, sample), replies, hostConfig]);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 380) faults.push(`${service}_${sample} is ${wide} points wide`);
    const height = await page.evaluate(() => document.body.scrollHeight);
    const path = join(target, `${service}-${sample}.png`);
    await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width: 380, height: Math.min(height, TALLEST) } });
  }
}
await browser.close();
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log(`pictures: ${SERVICES.length * SAMPLES.length} in ${target}`);
