#!/usr/bin/env bash
# Builds the runtime stage of the Dockerfile and runs it, without a registry: the base image is made from Debian
# packages and tagged with the real base's name, the binary comes from this machine's cargo. Needs root.
#
# Not proven that way: the published base images, and the build stage.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'image: %s\n' "$*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "needs root (it makes a root file system)"
scripts/tools.sh image

work=$(mktemp -d)
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
storage=(--root "$work/storage" --runroot "$work/run")
trap 'rm -rf "$work"' EXIT

if [ -z "${BINARY:-}" ]; then
    cargo build --release --locked --no-default-features --features postgres,jemalloc --bin emgate
    BINARY=target/release/emgate
fi
mkdir "$work/build"
cp "$BINARY" "$work/build/emgate"

printf 'image: building the base\n'
mmdebstrap --quiet --variant=minbase bookworm "$work/base.tar" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; fail "mmdebstrap cannot make the base"; }
base=$(buildah "${storage[@]}" from scratch)
buildah "${storage[@]}" add -q "$base" "$work/base.tar" / >/dev/null
buildah "${storage[@]}" commit -q "$base" docker.io/library/debian:bookworm-slim >/dev/null

printf 'image: building the runtime stage\n'
# The stage's own lines, with the build stage replaced by a folder that holds the binary.
sed -n '/^FROM .* AS runtime$/,$p' Dockerfile | sed 's/^COPY --from=build /COPY /' >"$work/Dockerfile"
grep -q '^COPY /emgate ' "$work/Dockerfile" || fail "the Dockerfile's runtime stage has changed its shape"
buildah "${storage[@]}" build --pull-never --isolation chroot -q -f "$work/Dockerfile" -t emgate "$work/build" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; fail "the runtime stage does not build"; }

printf 'image: running it\n'
container=$(buildah "${storage[@]}" from --pull-never localhost/emgate)
in_image() { buildah "${storage[@]}" run --isolation chroot "$container" -- "$@"; }
in_image emgate --version
[ "$(in_image id -u)" = 65532 ] || fail "does not run as the user it should"
in_image sh -c 'touch /var/lib/emgate/probe && rm /var/lib/emgate/probe' || fail "cannot write its store"
! in_image sh -c 'touch /usr/local/bin/probe' 2>/dev/null || fail "can write its own program"
[[ $(in_image emgate --help) != *simulate* ]] || fail "carries the simulator"
in_image sh -euc '
    export EMGATE_UPSTREAM__URL=http://127.0.0.1:9 EMGATE_UPSTREAM__ACCOUNTS__0__NAME=a \
        EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME=a EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD=a \
        EMGATE_AUTH__KEYS__0__KIND=hs256 EMGATE_AUTH__KEYS__0__SECRET=a-secret-of-thirty-two-bytes-or-more \
        EMGATE_SERVER__LISTEN=127.0.0.1:18080
    emgate serve 2>/tmp/log & pid=$!
    for _ in $(seq 100); do emgate health 2>/dev/null && break; sleep 0.1; done
    emgate health || { cat /tmp/log; exit 1; }
    kill "$pid"; wait "$pid"
    ls -l /var/lib/emgate
' || fail "does not serve, answer its health check and stop cleanly"
printf 'image: builds, runs unprivileged, serves, answers its health check, stops cleanly\n'
