#!/usr/bin/env bash
# Checks the console's files without a browser: their types against our OpenAPI document, and the vendored
# libraries, those of the documentation page too.
#
#   scripts/console.sh
#
# Nothing that is generated is kept but below .tools.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/tools.sh sdk
scripts/vendor.sh --check
work=$PWD/.tools/sdk/console
bin=$PWD/.tools/sdk/node_modules/.bin
rm -rf "$work"
mkdir -p "$work"
cp -r web/console "$work/src"
cp tests/browser/console/types/vendor/*.d.ts "$work/src/vendor/"
cp tests/browser/console/types.d.ts "$work/src/"
"$bin/openapi-typescript" openapi/emgate.v1.json -o "$work/emgate-api.d.ts" >"$work/types.log" 2>&1 || { cat "$work/types.log"; exit 1; }
cat >"$work/tsconfig.json" <<JSON
{
  "compilerOptions": {
    "strict": true, "noUncheckedIndexedAccess": true, "noUnusedLocals": true, "allowJs": true, "checkJs": true, "noEmit": true,
    "target": "es2022", "module": "esnext", "moduleResolution": "bundler", "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
    "types": [], "paths": {"emgate-api": ["$work/emgate-api.d.ts"]}
  },
  "include": ["src/**/*.js", "src/types.d.ts"],
  "exclude": ["src/vendor/*.js"]
}
JSON
"$bin/tsc" -p "$work/tsconfig.json"
