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
# Endpoints that are refused on purpose are no news.
export EMGATE_LOG=error
export N8N_NODES=$PWD/.tools/n8n/nodes.json

"$python" tests/guides/index.py
"$python" tests/guides/syntax.py docs/guides/receivers/*.ps1 docs/guides/powershell/*.psm1
node tests/sdk/gateway.mjs "$binary" "
    node tests/guides/receivers.mjs
    node tests/guides/n8n.mjs
    node tests/guides/servicenow.mjs
    '$python' tests/guides/automation.py
    '$python' tests/guides/event_driven_ansible.py
    '$python' tests/guides/stackstorm.py
    '$python' tests/guides/rundeck.py
    '$python' tests/guides/terraform.py
    '$python' tests/guides/chat.py
"
