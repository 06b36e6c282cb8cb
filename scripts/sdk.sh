#!/usr/bin/env bash
# Generates clients from the OpenAPI document with three generators, compiles them, and makes a curated call and one
# through the mirror with each, against a real gateway process before a simulated Enterprise Manager.
#
#   scripts/sdk.sh BINARY
#
# Nothing that is generated is kept but below .tools.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1")
document=$PWD/openapi/emgate.v1.json

scripts/tools.sh sdk
work=$PWD/.tools/sdk/check
bin=$PWD/.tools/sdk/node_modules/.bin
python=$PWD/.tools/sdk-python/bin
rm -rf "$work"
mkdir -p "$work/python"
cp tests/sdk/*.ts tests/sdk/*.py tests/sdk/*.yml "$work/"
printf '{"type":"module"}\n' >"$work/package.json"

step() { printf 'sdk: %s\n' "$*"; }

step "openapi-typescript, @hey-api/openapi-ts, openapi-python-client"
"$bin/openapi-typescript" "$document" -o "$work/schema.ts" >"$work/typescript.log" 2>&1 || { cat "$work/typescript.log"; exit 1; }
"$bin/openapi-ts" -i "$document" -o "$work/hey" -c @hey-api/client-fetch >"$work/hey.log" 2>&1 || { cat "$work/hey.log"; exit 1; }
"$python/openapi-python-client" generate --path "$document" --config "$work/python-client.yml" --meta none --output-path "$work/python/emgate_client" \
    >"$work/python.log" 2>&1 || { cat "$work/python.log"; exit 1; }
# What the generator cannot express it leaves out with a warning: an operation that is missing is a failure.
if grep -n "WARNING\|Cannot parse\|unsupported" "$work/python.log"; then
    exit 1
fi

step "tsc --strict"
(
    cd "$work"
    options=(--strict --target es2022 --module esnext --moduleResolution bundler --lib "es2022,dom,dom.iterable" --skipLibCheck)
    "$bin/tsc" --noEmit "${options[@]}" openapi-fetch.ts hey-api.ts
    # Bundled by nobody: written out once more as what node runs.
    "$bin/esbuild" --version >/dev/null
    for client in openapi-fetch hey-api; do
        "$bin/esbuild" "$client.ts" --bundle --platform=node --format=esm --log-level=error --outfile="$client.mjs"
    done
)

step "a call of each"
node tests/sdk/gateway.mjs "$binary" "
    node '$work/openapi-fetch.mjs'
    node '$work/hey-api.mjs'
    PYTHONPATH='$work/python' '$python/python' '$work/python-client.py'
"
