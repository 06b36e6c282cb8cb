#!/usr/bin/env bash
# Recovery reports: verified by the command and by an independent verifier, with 10,000 flipped bits; drawn and printed by a browser.
#
#   scripts/reports.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1")

scripts/tools.sh browser reports
python=$PWD/.tools/reports-python/bin/python
export EMGATE_LOG=error
node tests/sdk/gateway.mjs "$binary" "'$python' tests/reports/check.py '$binary'"

pages=${EMGATE_WRITE_REPORTS:-$(mktemp -d)}
EMGATE_WRITE_REPORTS=$pages cargo test --locked --quiet --test it evidence::files
node tests/reports/pages.mjs "$pages"
"$python" tests/reports/printed.py "$pages"
