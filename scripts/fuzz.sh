#!/usr/bin/env bash
# Runs every fuzz target for a while, each from the tests' corpus and EM's documents. Stops at the first finding, which lies in
# fuzz/artifacts and is run again by: cargo fuzz run --sanitizer none TARGET FILE
#
#   scripts/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh cargo-fuzz
export PATH=$PWD/.tools/cargo/bin:$PATH

for target in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$target" .rs)
    mkdir -p "fuzz/corpus/$target"
    cp "tests/fixtures/fuzz/$target/"* "fuzz/corpus/$target/"
    case $target in decode | roundtrip) cp tests/fixtures/em/*.xml "fuzz/corpus/$target/" ;; esac
    printf '\n=== %s, %d s\n' "$target" "${1:-60}"
    # Without a sanitizer it runs on the stable toolchain; the code has no unsafe that one could watch.
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="${1:-60}" -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1
done
