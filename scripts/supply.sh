#!/usr/bin/env bash
# Dependencies against deny.toml: by cargo-deny where it is installed, else by a script that holds the same rules.
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v cargo-deny >/dev/null 2>&1; then
    exec cargo deny --offline --all-features check bans licenses sources
fi
scripts/tools.sh python
exec python3 scripts/supply.py
