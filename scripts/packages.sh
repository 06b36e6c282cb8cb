#!/usr/bin/env bash
# Makes the packages from a binary and holds them against lintian, rpmlint and real Debian systems: in a fresh Debian 12
# and 13 with systemd as process 1 the .deb is installed, configured, run, upgraded, removed and purged. The .rpm is
# installed, upgraded and erased, without a system of its own kind to run in. Needs root.
#
#   scripts/packages.sh [BINARY]     one with the simulator; RELEASES="bookworm" for fewer systems
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'packages: %s\n' "$*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "needs root (it makes root file systems)"
scripts/tools.sh packages

binary=$(realpath "${1:-target/debug/emgate}")
work=$(mktemp -d /var/tmp/emgate-packages.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT

COMPRESSION=gzip scripts/package.sh "$binary" "$work/out" >/dev/null
deb=$(echo "$work"/out/*.deb)
rpm=$(echo "$work"/out/*.rpm)

lintian --allow-root --fail-on error "$deb" || fail "lintian finds errors"
rpm --query --package --scripts "$rpm" >"$work/scripts"
for script in postinstall preuninstall postuninstall; do
    grep -q "^$script scriptlet" "$work/scripts" || fail "the .rpm has no $script"
done
rpm --query --package --configfiles "$rpm" | grep -qx /etc/emgate/emgate.toml || fail "the .rpm would overwrite the configuration"
rpmlint --config packaging/rpmlint.toml "$rpm" >"$work/rpmlint" 2>&1 || { cat "$work/rpmlint"; fail "rpmlint finds errors"; }
printf 'packages: lintian and rpmlint find no errors\n'

# The next version, whose default configuration is another.
dpkg-deb --raw-extract "$deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
printf '# a newer version\n' >>"$work/next/etc/emgate/emgate.toml"
dpkg-deb -Zgzip -z1 --root-owner-group --build "$work/next" "$work/next.deb" >/dev/null

# fresh RELEASE FOLDER: a system of that release, which is fetched once.
fresh() {
    local base=.tools/roots/$1.tar
    if [ ! -s "$base" ]; then
        mkdir -p .tools/roots
        mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates "$1" "$base.part" \
            >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; fail "mmdebstrap cannot make $1"; }
        mv "$base.part" "$base"
    fi
    mkdir "$2"
    tar --extract --file "$base" --directory "$2"
}

in_rpm_root() { rpm --root "$work/rpm" --nodeps "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "rpm $* fails"; }; }
VERSION=99.0.0 COMPRESSION=gzip scripts/package.sh "$binary" "$work/next-out" >/dev/null
fresh bookworm "$work/rpm"
in_rpm_root --install "$rpm"
printf '# mine\n' >>"$work/rpm/etc/emgate/emgate.toml"
in_rpm_root --upgrade "$work"/next-out/*.rpm
[ "$(tail -n 1 "$work/rpm/etc/emgate/emgate.toml")" = '# mine' ] || fail "an upgrade of the .rpm changes the configuration"
chroot "$work/rpm" emgate --version >/dev/null || fail "the program of the .rpm does not run"
in_rpm_root --erase emgate
[ ! -e "$work/rpm/usr/bin/emgate" ] || fail "the .rpm leaves the program"
grep -q '^# mine$' "$work/rpm/etc/emgate/emgate.toml.rpmsave" || fail "the .rpm removes a changed configuration"
rm -rf --one-file-system "$work/rpm"
printf 'packages: the .rpm installs, upgrades and is erased\n'

for release in ${RELEASES:-bookworm trixie}; do
    root=$work/$release
    fresh "$release" "$root"
    mkdir "$root/opt/story"
    cp packaging/story.sh "$root/opt/story/story.sh"
    cp "$deb" "$root/opt/story/old.deb"
    cp "$work/next.deb" "$root/opt/story/new.deb"
    cp "$binary" "$root/opt/story/simulator"
    cat >"$root/etc/systemd/system/story.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/opt/story/story.sh
StandardOutput=file:/opt/story/log
StandardError=file:/opt/story/log
TimeoutStartSec=540
ExecStopPost=/usr/bin/systemctl --no-block poweroff
UNIT
    ln -s ../story.service "$root/etc/systemd/system/multi-user.target.wants/story.service"
    # A network of its own, in which the ports are free. The last words are for a host with the older control groups,
    # which newer versions of systemd refuse unless they are told.
    timeout --kill-after 10 570 systemd-nspawn --quiet --register=no --keep-unit --private-network --directory "$root" --boot \
        SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 </dev/null >"$work/boot" 2>&1 || true
    if ! grep -q '^story: done$' "$root/opt/story/log" 2>/dev/null; then
        cat "$root/opt/story/log" 2>/dev/null || tail -n 30 "$work/boot"
        fail "the package does not live well in $release"
    fi
    printf 'packages: installs, runs, upgrades, removes and purges in %s\n' "$release"
    rm -rf --one-file-system "$root"
done
