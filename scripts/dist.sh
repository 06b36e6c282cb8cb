#!/usr/bin/env bash
# Makes what is handed out, in one folder: the program, packages, the chart, the list of their parts, the statement of how they
# were built, and their sums, signed.
#
#   scripts/dist.sh [FOLDER]          into dist/; needs a clean tree
#   scripts/dist.sh --check           the same with a development build below target/, and all that can be checked of it
#   scripts/dist.sh --short           without a build: a stand-in for the program, and what can be checked then
#   scripts/dist.sh --reproducible    two builds in two folders are one, byte for byte (PROFILE=release)
#
# MINISIGN_KEY names the file of the secret key (minisign -G makes one). Without it a key is made for this once, which is enough
# to check and for nothing else. REPOSITORY and BUILDER_ID are told in the statement.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'dist: %s\n' "$*" >&2
    exit 1
}
export FEATURES=postgres,manual,jemalloc TARGET=x86_64-unknown-linux-gnu
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=emgate-$version-$TARGET
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

auditable() { # PROFILE ARGUMENT...
    PATH=$tools/cargo/bin:$PATH cargo auditable build --quiet --locked --profile "$1" --no-default-features \
        --features "$FEATURES" --bin emgate "${@:2}" >&2
}

# build FOLDER PROFILE: the program from the source in that folder, without the names of this machine's folders in it, for which
# whatever it depends on is built anew.
build() (
    cd "$1"
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    export RUSTFLAGS="--remap-path-prefix=$PWD=/emgate --remap-path-prefix=$cargo_home=/cargo"
    export CFLAGS="-fno-asynchronous-unwind-tables -ffile-prefix-map=$PWD=/emgate -ffile-prefix-map=$cargo_home=/cargo"
    auditable "$2" --target "$TARGET"
    echo "$PWD/target/$TARGET/$2/emgate"
)

# fill FOLDER PROGRAM: everything around the program, and the signature.
fill() {
    local folder=$1 key=${MINISIGN_KEY:-}
    install -m 0755 "$2" "$folder/$name"
    tar --create --directory helm --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" emgate |
        gzip -9n >"$folder/emgate-chart-$version.tgz"
    (
        PATH=$tools/cargo/bin:$PATH cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$TARGET" \
            --no-default-features --features "$FEATURES" --override-filename "${work##*/}"
    )
    mv "${work##*/}.json" "$work/base.json"
    python3 scripts/dist.py sbom "$work/base.json" "$folder/$name.cdx.json"
    python3 scripts/dist.py provenance "$folder" "$work/provenance"
    mv "$work/provenance" "$folder/$name.intoto.jsonl"
    (cd "$folder" && sha256sum -- * >"$work/SHA256SUMS")
    mv "$work/SHA256SUMS" "$folder/SHA256SUMS"
    if [ -z "$key" ]; then
        minisign -G -W -p "$folder/minisign.pub" -s "$work/key" >/dev/null
        key=$work/key
        printf 'dist: signed by a key that was made for this once; MINISIGN_KEY names one to keep\n' >&2
    fi
    minisign -S -s "$key" -m "$folder/SHA256SUMS" -x "$folder/SHA256SUMS.minisig" -t "emgate $version" >/dev/null
}

check() { # FOLDER [PROGRAM]
    "$tools/dist-python/bin/python" scripts/dist.py check "$1" "${MINISIGN_PUBLIC_KEY:-$1/minisign.pub}" "${@:2}"
}

scripts/tools.sh dist
tools=$PWD/.tools
case ${1:-dist} in
--short)
    export PROFILE=none
    mkdir "$work/dist"
    printf 'a stand-in for the program\n' >"$work/program"
    fill "$work/dist" "$work/program"
    check "$work/dist"
    ;;
--check)
    export PROFILE=dev
    auditable dev
    program=$PWD/target/debug/emgate
    rm -rf target/dist && mkdir -p target/dist
    COMPRESSION=gzip scripts/package.sh "$program" target/dist >/dev/null
    fill target/dist "$program"
    check target/dist "$program"
    # The packages' program is the same without its symbols, and says of what it was built as well.
    mkdir "$work/deb"
    dpkg-deb --extract target/dist/*.deb "$work/deb"
    diff <(python3 scripts/dist.py crates "$program") <(python3 scripts/dist.py crates "$work/deb/usr/bin/emgate")
    ;;
--reproducible)
    for folder in one two/deeper; do
        mkdir -p "$work/$folder"
        git archive HEAD | tar --extract --directory "$work/$folder"
        sha256sum "$(build "$work/$folder" "${PROFILE:-release}")" | cut -d ' ' -f 1 >>"$work/sums"
        rm -rf "${work:?}/$folder/target"
    done
    [ "$(sort -u "$work/sums" | wc -l)" = 1 ] || fail "two builds in two folders differ: $(tr '\n' ' ' <"$work/sums")"
    printf 'dist: two builds in two folders are one: %s\n' "$(head -n 1 "$work/sums")"
    ;;
--*) fail "no such option: $1" ;;
*)
    export PROFILE=release
    [ -z "$(git status --porcelain)" ] || fail "the tree has changes; commit them first"
    program=$(build "$PWD" release)
    rm -rf "${1:-dist}" && mkdir -p "${1:-dist}"
    scripts/package.sh "$program" "${1:-dist}" >/dev/null
    fill "${1:-dist}" "$program"
    [ -n "${MINISIGN_KEY:-}" ] || check "${1:-dist}" "$program"
    ls -l "${1:-dist}"
    ;;
esac
