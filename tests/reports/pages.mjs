// Reports in a real browser: they ask nobody for anything, are drawn on screen, judged by axe-core for people who see or hear
// them otherwise, and printed on A4 and Letter.
//
//   node tests/reports/pages.mjs FOLDER
//
// For each page in FOLDER: a picture, a PDF for each size of paper, and a complaint for whatever is not as it should be.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const require = createRequire(join(root, ".tools/node/package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(join(root, ".tools/reports-node/node_modules/axe-core/axe.min.js"), "utf8");

const folder = resolve(process.argv[2]);
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (!browserPath) throw new Error("there is no Chromium; scripts/tools.sh browser installs one");

const complaints = [];
let judged = 0;
const browser = await chromium.launch({ executablePath: browserPath, args: ["--headless", "--no-sandbox", "--disable-gpu"] });
try {
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".html"))) {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on("console", (message) => complaints.push(`${name}: ${message.text()}`));
    page.on("dialog", (dialog) => { complaints.push(`${name}: a dialog`); dialog.dismiss(); });
    page.on("pageerror", (error) => complaints.push(`${name}: ${error}`));
    await page.route("**/*", (route) => {
      if (route.request().url() === "http://report.example/") {
        return route.fulfill({ contentType: "text/html; charset=utf-8", body: readFileSync(join(folder, name)) });
      }
      if (!route.request().url().endsWith("/favicon.ico")) complaints.push(`${name}: asks for ${route.request().url()}`);
      return route.abort();
    });
    await page.goto("http://report.example/");
    const stem = join(folder, name.replace(/\.html$/, ""));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    if (wide) complaints.push(`${name}: wider than its window`);
    // Light and dark; a thousand rows alike are judged once.
    for (const colorScheme of name === "thousand.html" ? ["light"] : ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const { violations } = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
      judged += 1;
      for (const { id, nodes } of violations) complaints.push(`${name} (${colorScheme}): ${id}: ${nodes.length} times, such as ${nodes[0].html.slice(0, 160)}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.emulateMedia({ media: "print" });
    const cut = await page.evaluate(() => [...document.querySelectorAll("tr")].filter((row) => getComputedStyle(row).breakInside !== "avoid").length);
    if (cut) complaints.push(`${name}: ${cut} rows may be cut where a printed page ends`);
    await page.emulateMedia({ media: "screen" });
    await page.screenshot({ path: `${stem}.png`, fullPage: name !== "thousand.html" });
    for (const format of ["A4", "Letter"]) await page.pdf({ path: `${stem}-${format}.pdf`, format, printBackground: true, landscape: name === "programme.html", preferCSSPageSize: false });
    await page.close();
  }
} finally {
  await browser.close();
}
for (const complaint of complaints) console.error(complaint);
console.log(`reports: axe-core found ${complaints.length ? "something" : "nothing"} in ${judged} pages`);
process.exit(complaints.length ? 1 : 0);
