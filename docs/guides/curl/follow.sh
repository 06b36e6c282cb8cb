#!/usr/bin/env bash
# Prints every event, one on each line, and comes back where it was when the connection breaks.
# EMGATE_SERVER and EMGATE_TOKEN say where and as whom; the first argument says after which event (start: the oldest).
set -euo pipefail

last=${1:-}
while :; do
  while IFS= read -r line; do
    case $line in
    "id: "*) last=${line#id: } ;;
    "data: {}") ;;
    "data: "*) echo "${line#data: }" ;;
    esac
  done < <(curl --silent --no-buffer --max-time 3600 --header "Authorization: Bearer $EMGATE_TOKEN" \
    ${last:+--header "Last-Event-ID: $last"} "$EMGATE_SERVER/api/v1/events/stream")
  sleep 1
done
