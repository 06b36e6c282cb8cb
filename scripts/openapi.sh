#!/usr/bin/env bash
# Three validators of the OpenAPI document, in parallel; each complaint fails.
set -euo pipefail
cd "$(dirname "$0")/.."
document=openapi/emgate.v1.json
node=.tools/openapi/node_modules/.bin
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

"$node/redocly" lint --config openapi/redocly.yaml "$document" >"$logs/redocly" 2>&1 &
redocly=$!
"$node/spectral" lint --fail-severity=warn --ruleset openapi/spectral.yaml "$document" >"$logs/spectral" 2>&1 &
spectral=$!
.tools/openapi-python/bin/openapi-spec-validator "$document" >"$logs/validator" 2>&1 &
validator=$!

failed=0
for judge in redocly spectral validator; do
    if wait "${!judge}"; then
        printf 'openapi: %s accepts it\n' "$judge"
    else
        failed=1
        printf 'openapi: %s refuses it\n' "$judge"
        cat "$logs/$judge"
    fi
done
exit $failed
