#!/usr/bin/env bash
# Takes libraries out of their npm packages, with licences and SHA-256 sums: those of the console into web/console/vendor, the
# viewer of the documentation page into web/docs/vendor.
#
#   scripts/vendor.sh           fetches and writes; needs npm and zopfli
#   scripts/vendor.sh --check   compares what is there with its sums; asks nobody
#
# The files are as published but for this: hooks.js names preact by its file, imports and exports are lines of their own, as the
# bundles of the gateway want them (src/http/console/bundle.rs), and no file names a source map. The viewer is kept gzipped, as it
# is sent.
set -euo pipefail
cd "$(dirname "$0")/../web"

if [ "${1:-}" = --check ]; then
    for folder in */vendor; do
        (
            cd "$folder"
            sha256sum --check --strict --quiet SHA256SUMS
            diff <(ls | grep -v SHA256SUMS) <(awk '{print $2}' SHA256SUMS | sort)
        )
    done
    exit
fi
type -P npm zopfli >/dev/null || { echo "vendor: npm or zopfli is missing" >&2; exit 1; }

preact=11.2.0
htm=3.1.1
swagger=5.35.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { # PACKAGE VERSION: its files, to $work/PACKAGE/package
    mkdir -p "$work/$1"
    (cd "$work/$1" && npm pack --silent "$1@$2" >/dev/null && tar -xzf "$1-$2.tgz")
}
sums() { # of all files of the folder
    ls | grep -v SHA256SUMS | xargs sha256sum >"$work/sums"
    mv "$work/sums" SHA256SUMS
}
pack preact "$preact"
pack htm "$htm"
pack swagger-ui-dist "$swagger"

cd console/vendor
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
sums

cd ../../docs/vendor
viewer=$work/swagger-ui-dist/package
for file in swagger-ui-bundle.js swagger-ui.css; do
    sed '/^\/\*# sourceMappingURL=.*\*\/$/d' "$viewer/$file" >"$work/$file"
    zopfli -c "$work/$file" >"$file.gz"
done
{
    printf 'swagger-ui-bundle.js.gz and swagger-ui.css.gz: swagger-ui-dist %s\n\n' "$swagger"
    cat "$viewer/NOTICE"
    printf '\n'
    cat "$viewer/LICENSE"
    printf '\nIn swagger-ui-bundle.js.gz are parts of others:\n\n'
    cat "$viewer/swagger-ui-bundle.js.LICENSE.txt"
} >LICENSES
sums
