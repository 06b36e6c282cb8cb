#!/usr/bin/env bash
# Makes the .deb and the .rpm from a binary.
#
#   scripts/package.sh [BINARY [FOLDER]]     a binary with the feature `manual`, which is on by default
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

# The manual pages and the completions come from the program itself; one that was built without them makes no package.
pages=$work/pages
"$root/usr/bin/emgate" man --date "$time" "$pages" || {
    printf 'package: the program cannot write its manual pages; build it with --features manual\n' >&2
    exit 1
}
gzip -9n "$pages"/*.1
completions() { # SHELL FILE
    mkdir -p "$root/$(dirname "$2")"
    "$root/usr/bin/emgate" completions "$1" >"$root/$2"
}
completions bash usr/share/bash-completion/completions/emgate
completions zsh usr/share/zsh/vendor-completions/_emgate
completions fish usr/share/fish/vendor_completions.d/emgate.fish
chmod -R u=rwX,go=rX "$root/usr/share" "$pages"

find "$root" "$documents" "$pages" -exec touch --no-dereference --date "@$time" {} +
mkdir -p "$out"
for page in "$pages"/*.gz; do
    printf -- '  - {src: "%s", dst: "/usr/share/man/man1/%s", type: doc, packager: rpm}\n' "$page" "$(basename "$page")"
done >"$work/pages.yaml"
# nfpm itself reads variables in a few fields alone.
sed -e "s|\${PACKAGE_ARCH}|$(dpkg --print-architecture)|; s|\${PACKAGE_VERSION}|$version|; s|\${PACKAGE_GLIBC}|$glibc|" \
    -e "s|\${PACKAGE_TIME}|$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)|; s|\${PACKAGE_CHANGELOG}|$work/changelog.yaml|" \
    -e "s|\${PACKAGE_COMPRESSION}|${COMPRESSION:-xz}|" -e "s|\${PACKAGE_ROOT}|$root|; s|\${PACKAGE_DOCUMENTS}|$documents|g" \
    -e "s|\${PACKAGE_PAGES}|$pages|" -e "/manual pages of the .rpm follow/r $work/pages.yaml" packaging/nfpm.yaml >"$work/nfpm.yaml"
export SOURCE_DATE_EPOCH=$time
for kind in deb rpm; do
    .tools/bin/nfpm package --config "$work/nfpm.yaml" --packager "$kind" --target "$out/" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
done
ls -l "$out"
