#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own: made for it, on a free port of loopback, gone afterwards.
# The command finds the server's URL in EMGATE_TEST_POSTGRES.
set -euo pipefail

"$(dirname "$0")/tools.sh" postgres
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

home=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# PostgreSQL refuses to run as root.
as_owner=()
if [ "$(id -u)" = 0 ]; then
    chown postgres "$home"
    as_owner=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
stop() {
    "${as_owner[@]}" "$bin/pg_ctl" -D "$home/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap stop EXIT

cd "$home"
"${as_owner[@]}" "$bin/initdb" -N -A trust -U postgres -D "$home/data" >/dev/null
"${as_owner[@]}" "$bin/pg_ctl" -D "$home/data" -w -l "$home/log" \
    -o "-p $port -k $home -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=400" start >/dev/null
cd - >/dev/null
EMGATE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port" "$@"
