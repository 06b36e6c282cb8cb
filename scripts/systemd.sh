#!/usr/bin/env bash
# Holds the units of systemd against systemd itself: what it verifies, and how exposed it finds a service.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh systemd

fail() {
    printf 'systemd: %s\n' "$*" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for unit in packaging/systemd/*.service; do
    # The program is not installed here: something that is stands for it.
    sed 's|^ExecStart=/usr/bin/emgate|ExecStart=/bin/true|' "$unit" >"$work/$(basename "$unit")"
    # The manual page is not installed either.
    systemd-analyze verify --man=no "$work/$(basename "$unit")" 2>"$work/said" || true
    [ ! -s "$work/said" ] || { cat "$work/said" >&2; fail "$unit is not silent in systemd-analyze verify"; }
    systemd-analyze security --offline=true --threshold=15 --no-pager "$unit" >"$work/security" || {
        grep '✗' "$work/security" >&2
        fail "$unit is exposed by more than 1.5"
    }
    printf 'systemd: %s: %s\n' "$unit" "$(tail -n 1 "$work/security")"
done

# The two units differ in names alone, so that a fence in one is in the other.
names() { sed -E 's/ ?\(%i\)//; s/-%i//; s/%i\.secrets/secrets/; s/%i\.toml/emgate.toml/' "$1"; }
diff <(names packaging/systemd/emgate.service) <(names packaging/systemd/emgate@.service) || fail "the units differ"
