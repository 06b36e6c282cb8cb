#!/usr/bin/env bash
# Runs make targets one after the other, says how long each took, and stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

begin=$SECONDS
summary=()
for step in "$@"; do
    printf '\n=== %s\n' "$step"
    start=$SECONDS
    if ! "${MAKE:-make}" --no-print-directory "$step"; then
        printf '\n=== FAILED: %s (make %s runs it alone)\n' "$step" "$step" >&2
        exit 1
    fi
    summary+=("$(printf '%4d s  %s' $((SECONDS - start)) "$step")")
done
printf '\n=== done in %d s\n' $((SECONDS - begin))
printf '%s\n' "${summary[@]}"
