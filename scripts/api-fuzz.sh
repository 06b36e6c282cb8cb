#!/usr/bin/env bash
# Holds a gateway before a simulated Enterprise Manager against its OpenAPI document, with requests that schemathesis
# generates, good and bad: see tests/api_fuzz/run.py.
#
#   scripts/api-fuzz.sh BINARY [--time SECONDS] [--seed N] [--short] [--only plans|service|mirror]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh api-fuzz
exec .tools/api-fuzz/bin/python tests/api_fuzz/run.py "$@"
