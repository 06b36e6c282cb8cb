#!/usr/bin/env bash
# Recovery reports: verified by the command and by an independent verifier, with 10,000 flipped bits; drawn and printed by a browser.
#
#   scripts/reports.sh BINARY [--full]     --full: 10,000 random documents beside another library's canonical form, not 1,000
#   scripts/reports.sh BINARY --pictures   the same, and the pictures of docs/pictures drawn anew
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1")

scripts/tools.sh browser reports
python=$PWD/.tools/reports-python/bin/python
export EMGATE_LOG=error
node tests/sdk/gateway.mjs "$binary" "'$python' tests/reports/check.py '$binary'"

canonical=$(mktemp -d)
count=1000
[ "${2:-}" = --full ] && count=10000
"$python" tests/reports/canonical.py "$canonical" "$count"
EMGATE_CANONICAL=$canonical cargo test --locked --quiet --test it the_canonical_form -- --nocapture
rm -rf "$canonical"

pages=${EMGATE_WRITE_REPORTS:-$(mktemp -d)}
EMGATE_WRITE_REPORTS=$pages cargo test --locked --quiet --test it -- evidence::files the_programme_is_a_page
node tests/reports/pages.mjs "$pages"
"$python" tests/reports/printed.py "$pages"

if [ "${2:-}" = --pictures ]; then
    for name in good failed programme; do
        cp "$pages/$name.png" "docs/pictures/report-$name.png"
    done
fi
