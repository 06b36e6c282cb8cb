#!/usr/bin/env bash
# Builds a binary that runs with glibc 2.28 (Debian 10, RHEL 8) and newer, on a machine whose own is newer: zig links
# against the symbols of that version.
#
#   scripts/portable.sh [PROFILE]     release, or dev for a quick look
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh zigbuild

oldest=2.28
profile=${1:-release}
target=x86_64-unknown-linux-gnu
PATH=$PWD/.tools/zigbuild/bin:$PATH cargo-zigbuild zigbuild --locked --profile "$profile" --target "$target.$oldest" \
    --no-default-features --features postgres,manual,jemalloc --bin emgate
folder=$profile
[ "$profile" != dev ] || folder=debug
binary=${CARGO_TARGET_DIR:-target}/$target/$folder/emgate
newest=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
[ "$(printf '%s\n' "$newest" "$oldest" | sort -V | tail -n 1)" = "$oldest" ] || {
    printf 'portable: %s needs glibc %s\n' "$binary" "$newest" >&2
    exit 1
}
"$binary" --version >/dev/null
printf 'portable: %s needs glibc %s\n' "$binary" "$newest"
