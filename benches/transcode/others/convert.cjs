// XML to JSON text as a Node program would do it: convert.cjs LIBRARY FILE prints the median seconds of one conversion.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const [library, file] = process.argv.slice(2);
const installed = createRequire(join(process.cwd(), ".tools/converters/package.json"));
const xml = readFileSync(file, "utf8");

const converters = {
  "fast-xml-parser": () => {
    const { XMLParser } = installed("fast-xml-parser");
    const parser = new XMLParser({ ignoreAttributes: false });
    return () => JSON.stringify(parser.parse(xml));
  },
  xml2js: () => {
    const { Parser } = installed("xml2js");
    return () => {
      let json;
      new Parser({ async: false }).parseString(xml, (error, result) => {
        if (error) throw error;
        json = JSON.stringify(result);
      });
      return json;
    };
  },
};

const convert = converters[library]();
const times = [];
const end = process.hrtime.bigint() + 1_000_000_000n;
while (times.length < 5 || (process.hrtime.bigint() < end && times.length < 20_000)) {
  const begun = process.hrtime.bigint();
  if (convert().length < 10) throw new Error("nothing was converted");
  times.push(Number(process.hrtime.bigint() - begun));
}
times.sort((a, b) => a - b);
console.log(times[times.length >> 1] / 1e9);
