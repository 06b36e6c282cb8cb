#!/usr/bin/env bash
# Takes the console's three libraries out of their npm packages into web/console/vendor, with licences and SHA-256 sums.
#
#   scripts/vendor.sh           fetches and writes
#   scripts/vendor.sh --check   compares what is there with its sums; asks nobody
#
# The files are as published but for two things: hooks.js names preact by its file, and imports and exports are lines of their
# own, as the bundles of the gateway want them (src/http/console/bundle.rs).
set -euo pipefail
cd "$(dirname "$0")/../web/console/vendor"

if [ "${1:-}" = --check ]; then
    sha256sum --check --strict --quiet SHA256SUMS
    diff <(ls | grep -v SHA256SUMS) <(awk '{print $2}' SHA256SUMS | sort)
    exit
fi

preact=11.2.0
htm=3.1.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { # PACKAGE VERSION: its files, to $work/PACKAGE/package
    mkdir -p "$work/$1"
    (cd "$work/$1" && npm pack --silent "$1@$2" >/dev/null && tar -xzf "$1-$2.tgz")
}
pack preact "$preact"
pack htm "$htm"

plain() { sed -E 's|//# sourceMappingURL=.*$||; s|^(import[^;]*;)(.)|\1\n\2|; s|(.)(export ?\{[^}]*\};?)$|\1\n\2|; s|(.)(export default )|\1\n\2|' "$1" | sed '/^$/d'; }
plain "$work/preact/package/dist/preact.mjs" >preact.js
plain "$work/preact/package/hooks/dist/hooks.mjs" | sed -E 's/from ?"preact"/from"\.\/preact.js"/' >hooks.js
plain "$work/htm/package/dist/htm.module.js" >htm.js
if grep -lE '(from|import) ?"[^.]' ./*.js; then
    echo "vendor: an import is left that names a package" >&2
    exit 1
fi
{
    printf 'preact.js and hooks.js: preact %s\n\n' "$preact"
    cat "$work/preact/package/LICENSE"
    printf '\nhtm.js: htm %s\n\n' "$htm"
    cat "$work/htm/package/LICENSE"
} >LICENSES
sha256sum LICENSES hooks.js htm.js preact.js >SHA256SUMS
