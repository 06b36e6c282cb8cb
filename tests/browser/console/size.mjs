// The size of the console as it goes over the line: every file gzipped.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const root = resolve(import.meta.dirname, "../../../web/console");
const files = readdirSync(root, { recursive: true }).map(String).filter((name) => statSync(join(root, name)).isFile() && !/LICENSES|SHA256SUMS/.test(name));
const size = (pattern) => files.filter((name) => pattern.test(name)).reduce((sum, name) => sum + gzipSync(readFileSync(join(root, name))).length, 0);
const [all, script, style] = [size(/./), size(/\.js$/), size(/\.css$/)];
console.log(`console: ${files.length} files, ${all} bytes gzipped: script ${script}, style ${style}`);
if (all > 60 * 1024 || script > 45 * 1024 || style > 10 * 1024) {
  console.error("console: more than 60 KiB in all, 45 of script or 10 of style");
  process.exit(1);
}
