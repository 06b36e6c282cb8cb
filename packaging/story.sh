#!/bin/bash
# The life of the package in a fresh Debian, run inside it as a service by scripts/packages.sh: install, fail to start
# without a configuration, configure, run, crash, upgrade, remove, purge. The folder of this file has the two packages
# and a program that simulates Enterprise Manager.
set -euo pipefail
here=$(dirname "$0")
config=/etc/emgate/emgate.toml

step() { printf 'story: %s\n' "$*"; }
fail() {
    systemctl --no-pager --full status emgate.service || true
    journalctl --no-pager --lines 30 --unit emgate.service || true
    printf 'story: FAILED: %s\n' "$*"
    exit 1
}
# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}
main_pid() { systemctl show --property MainPID --value "$1"; }
ready() { emgate health --ready --config "$1"; }
changed_pid() { [ "$(main_pid emgate.service)" != "$1" ] && ready "$config"; }

step install
apt-get install --quiet --yes "$here/old.deb" >/tmp/apt 2>&1 || { cat /tmp/apt; fail 'apt does not install it'; }
[ "$(stat -c '%a %U' $config)" = '640 root' ] || fail "the configuration is $(stat -c '%a %U' $config)"
! systemctl --quiet is-active emgate.service || fail 'runs before it is configured'
! systemctl --quiet is-enabled emgate.service || fail 'is enabled before it is configured'
systemd-analyze verify --man=no /usr/lib/systemd/system/emgate.service /usr/lib/systemd/system/emgate@.service >/tmp/verify 2>&1 || true
# Other units of the image may have their faults.
! grep emgate /tmp/verify || fail 'systemd has something against the units'

[ -s /usr/share/man/man1/emgate.1.gz ] && [ -s /usr/share/man/man1/emgate-serve.1.gz ] || fail 'has no manual pages'
[ -s /usr/share/bash-completion/completions/emgate ] || fail 'has no completions'

step 'a check before the configuration says what is missing'
! emgate check --config $config 2>/tmp/check || fail 'finds the empty configuration good'
grep -q 'upstream.url' /tmp/check || fail "does not say that upstream.url is missing: $(cat /tmp/check)"

step 'configure and start'
systemd-run --quiet --unit simulator "$here/simulator" simulate --user operator --password word
printf 'word\n' >/etc/emgate/secrets/em-password
printf 'a secret of thirty-two bytes or more\n' >/etc/emgate/secrets/jwt
chmod 0600 /etc/emgate/secrets/*
configure() { # FILE INSTANCE PORT
    cat >"$1" <<TOML
# written by an operator
[server]
listen = "127.0.0.1:$3"
[upstream]
url = "http://127.0.0.1:9399"
[[upstream.accounts]]
name = "operators"
username = "operator"
password_file = "/run/credentials/$2.service/secret_em-password"
[[auth.keys]]
kind = "hs256"
secret_file = "/run/credentials/$2.service/secret_jwt"
[store]
url = "sqlite://emgate.db"
TOML
}
configure $config emgate 8080
printf 'EMGATE_LOG=emgate=debug,info\n' >/etc/default/emgate
systemctl enable --quiet --now emgate.service
says() { systemctl show --property StatusText --value emgate.service | grep -q "$1"; }
# `systemctl start` came back when requests were accepted, not before.
emgate health --config $config || fail 'is started before it accepts requests'
says '^accepts requests on 127.0.0.1:8080$' || fail 'does not say that it accepts requests'
until_true 60 ready $config || fail 'does not become ready'

step 'it runs with nothing that it does not need'
pid=$(main_pid emgate.service)
[ "$(stat -c %u "/proc/$pid")" -ge 61184 ] || fail 'does not run as a dynamic user'
grep -qz '^EMGATE_LOG=emgate=debug,info$' "/proc/$pid/environ" || fail 'does not have the variables of /etc/default/emgate'
grep -q '^CapBnd:\s*0000000000000000$' "/proc/$pid/status" || fail 'has capabilities'
grep -q '^NoNewPrivs:\s*1$' "/proc/$pid/status" || fail 'may gain privileges'
grep -q '^Seccomp:\s*2$' "/proc/$pid/status" || fail 'has all system calls'
[ "$(stat -c %a /var/lib/private/emgate)" = 700 ] || fail 'the store can be read by others'
[ -s /var/lib/emgate/emgate.db ] && [ -s /var/lib/emgate/emgate.db.key ] || fail 'the store is elsewhere'

step 'reload keeps the process, a crash is followed by a restart'
systemctl reload emgate.service
heard() { journalctl --quiet --unit emgate.service | grep -q SIGHUP; }
until_true 20 heard || fail 'does not hear of a reload'
[ "$(main_pid emgate.service)" = "$pid" ] || fail 'a reload ends the process'
until_true 20 says '^accepts requests' || fail 'does not say that the reload is over'
systemctl --quiet is-active emgate.service || fail 'is not active after a reload'
kill -KILL "$pid"
until_true 60 changed_pid "$pid" || fail 'does not come back after a crash'

step 'a process that is stuck is ended and started again'
[ "$(systemctl show --property WatchdogUSec --value emgate.service)" = 1min ] || fail 'has no watchdog'
mkdir -p /run/systemd/system/emgate.service.d
printf '[Service]\nWatchdogSec=3s\n' >/run/systemd/system/emgate.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart emgate.service
until_true 60 ready $config || fail 'does not start with a short watchdog'
pid=$(main_pid emgate.service)
sleep 7
[ "$(main_pid emgate.service)" = "$pid" ] || fail 'the watchdog ends a process that is alive'
kill -STOP "$pid"
until_true 60 changed_pid "$pid" || fail 'the watchdog does not end a process that is stuck'
rm -r /run/systemd/system/emgate.service.d
systemctl daemon-reload
systemctl restart emgate.service
until_true 60 ready $config || fail 'does not start again'

step 'a second instance has its own configuration, secrets, store, and TLS on a port of the system'
mkdir -m 0700 /etc/emgate/site-b.secrets
cp -p /etc/emgate/secrets/* /etc/emgate/site-b.secrets/
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=dr.example \
    -out /etc/emgate/site-b.secrets/tls.crt -keyout /etc/emgate/site-b.secrets/tls.key 2>/dev/null
configure /etc/emgate/site-b.toml emgate@site-b 443
cat >>/etc/emgate/site-b.toml <<'TOML'
[server.tls]
cert_file = "/run/credentials/emgate@site-b.service/secret_tls.crt"
key_file = "/run/credentials/emgate@site-b.service/secret_tls.key"
TOML
mkdir -p /etc/systemd/system/emgate@site-b.service.d
cat >/etc/systemd/system/emgate@site-b.service.d/port.conf <<'UNIT'
[Service]
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
PrivateUsers=no
UNIT
systemctl daemon-reload
systemctl start emgate@site-b.service
until_true 60 ready /etc/emgate/site-b.toml || fail 'the second instance does not become ready'
[ -s /var/lib/emgate-site-b/emgate.db ] || fail 'the second instance has no store of its own'
systemctl stop emgate@site-b.service
rm -r /etc/systemd/system/emgate@site-b.service.d

step 'upgrade'
pid=$(main_pid emgate.service)
before=$(sha256sum <$config)
dpkg --force-confdef --force-confold --install "$here/new.deb" >/dev/null
[ "$(sha256sum <$config)" = "$before" ] || fail 'the upgrade changes the configuration'
grep -q 'a newer version' $config.dpkg-dist || fail 'the upgrade hides the new default configuration'
until_true 60 changed_pid "$pid" || fail 'the upgrade does not restart what ran'
! systemctl --quiet is-active emgate@site-b.service || fail 'the upgrade starts what did not run'

step 'a stop is in order'
journalctl --sync
systemctl stop emgate.service
[ "$(systemctl show --property Result --value emgate.service)" = success ] || fail 'does not stop in order'
systemctl start emgate.service
until_true 60 ready $config || fail 'does not start again'

step remove
apt-get remove --quiet --yes emgate >/dev/null 2>&1
! systemctl --quiet is-active emgate.service || fail 'still runs'
[ ! -e /usr/bin/emgate ] || fail 'leaves the program'
[ -s $config ] && [ -s /var/lib/private/emgate/emgate.db ] || fail 'removes configuration or store'

step purge
apt-get purge --quiet --yes emgate >/dev/null 2>&1
left=$(find / -xdev \( -path "$here" -o -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp \) -prune -o -iname '*emgate*' -print)
[ -z "$left" ] || fail "leaves $left"
! dpkg --status emgate >/dev/null 2>&1 || fail 'dpkg still knows it'
printf 'story: done\n'
