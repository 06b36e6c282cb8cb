// Validates custom resources by the schemas of their definitions, which @kubernetes-models carries.
//
//     node chart_crds.mjs NODE_MODULES CUSTOM.json
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
  "monitoring.coreos.com": "prometheus-operator",
};

const [modules, file] = process.argv.slice(2);
const load = async ({ apiVersion, kind }) => {
  const [group] = apiVersion.split("/");
  const path = resolve(modules, `@kubernetes-models/${PACKAGES[group]}/${apiVersion}/${kind}.js`);
  return (await import(pathToFileURL(path)))[kind];
};
const refusal = (Kind, document) => {
  try {
    new Kind(document).validate();
    return null;
  } catch (error) {
    return error.message;
  }
};

let wrong = 0;
const documents = JSON.parse(readFileSync(file, "utf8"));
for (const document of documents) {
  const Kind = await load(document);
  const message = refusal(Kind, document);
  if (message) {
    console.error(`${document.kind} ${document.metadata.name}: ${message}`);
    wrong += 1;
  }
  // A validator that accepts anything proves nothing.
  if (!refusal(Kind, { ...document, spec: "none" })) {
    console.error(`${document.kind}: its validator accepts a spec that is a text`);
    wrong += 1;
  }
}
console.log(`${documents.length} custom resources`);
process.exit(wrong ? 1 : 0);
