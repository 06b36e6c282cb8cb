#!/usr/bin/env bash
# Measures everything and prints one table (make bench), or what a change did to a revision before it (make bench-compare).
#
#   scripts/bench.sh
#   scripts/bench.sh --compare main
set -euo pipefail
cd "$(dirname "$0")/.."

left=target/bench

compare() {
    local revision tree=target/bench-base program
    revision=$(git rev-parse --verify --quiet "$1^{commit}") || {
        echo "bench: no such revision: $1" >&2
        exit 1
    }
    program=$PWD/$left/emgate-$revision
    mkdir -p "$left"
    if [ ! -x "$program" ]; then
        git worktree prune
        [ -d "$tree" ] || git worktree add --quiet --detach "$tree" "$revision"
        git -C "$tree" checkout --quiet --detach "$revision"
        # With its own lock file, and what was built of another base before.
        (cd "$tree" && CARGO_TARGET_DIR=$PWD/target cargo build --locked --release --bin emgate)
        cp "$tree/target/release/emgate" "$program"
    fi
    echo "base: $(git log -1 --format='%h %s' "$revision")"
    BASE_PROGRAM=$program cargo bench --locked --bench load
}

if [ "${1-}" = --compare ]; then
    compare "${2:?the revision to compare with}"
    exit
fi
# Streams and pollers have thousands of connections, each a descriptor here and there.
files=$(ulimit -n)
[ "$files" = unlimited ] || [ "$files" -ge 20000 ] || ulimit -S -n 20000 || {
    echo "bench: 20,000 open files are needed, $files are allowed (ulimit -n)" >&2
    exit 1
}
# What an earlier run left would be taken for this one's.
rm -rf "$left"/*.json "$left"/footprint.txt
mkdir -p "$left"
cargo bench --locked --bench load
cargo bench --locked --bench transcode
# What is shipped, without the simulator, is what has a size and a memory.
CARGO_TARGET_DIR=$left/production cargo build --locked --release --no-default-features --features postgres,jemalloc --bin emgate
PROGRAM=$PWD/$left/production/release/emgate cargo bench --locked --bench footprint | tee "$left/footprint.txt"
cargo bench --locked --bench table
