#!/usr/bin/env bash
# The examples of docs/guides, played against a real gateway before a simulated Enterprise Manager.
#
#   scripts/guides.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1")

scripts/tools.sh guides
python=$PWD/.tools/guides-python/bin/python
STANDARD_WEBHOOKS=$PWD/.tools/guides/node_modules/standardwebhooks
export STANDARD_WEBHOOKS
export STANDARD_WEBHOOKS_PYTHON=$python
export GO111MODULE=off GOCACHE=$PWD/.tools/go-cache

"$python" tests/guides/syntax.py docs/guides/receivers/*.ps1
node tests/sdk/gateway.mjs "$binary" "
    node tests/guides/receivers.mjs
    '$python' tests/guides/automation.py
"
