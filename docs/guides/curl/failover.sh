#!/usr/bin/env bash
# Tests a failover plan and waits for its end: failover.sh "PLAN NAME" [test|start|undo]
# EMGATE_SERVER and EMGATE_TOKEN say where and as whom. Exit code 0: success or warning; 1: anything else.
set -euo pipefail

plan=$1 action=${2:-test}
# One key for each run: a request that is repeated starts nothing twice. Take your scheduler's run id where there is one.
key=${RUN_ID:-$(date +%s)-$$}
# A file holds the last answer alone; on standard output a failed attempt's would stand before that of its repetition.
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
api() {
  curl --silent --show-error --max-time 90 --retry 4 --output "$answer" --write-out '%{http_code}' \
    --header "Authorization: Bearer $EMGATE_TOKEN" "$@"
}
refused() { jq --raw-output .detail "$answer" >&2; exit 1; }

[ "$(api "$EMGATE_SERVER/api/v1/cloud-failover-plans?pageSize=100")" = 200 ] || refused
id=$(jq --raw-output --arg name "$plan" '.items[] | select(.name == $name) | .id' "$answer")
[ -n "$id" ] || { echo "there is no plan $plan" >&2; exit 1; }

status=$(api --request POST --header "Idempotency-Key: $key" --header "Prefer: respond-async" \
  "$EMGATE_SERVER/api/v1/cloud-failover-plans/$id/$action") || exit 1
[[ $status == 20[02] ]] || refused
operation=$(jq --raw-output .id "$answer")
echo "operation $operation" >&2

# 202 while it is open, 200 at the end, 409 for an end that failOn names. Each answer waits up to 50 seconds.
while :; do
  case $(api --header "Prefer: wait=50" "$EMGATE_SERVER/api/v1/operations/$operation/result?failOn=failed,cancelled,unknown") in
  202) ;;
  200) jq --raw-output '"\(.plan.name): \(.result)"' "$answer"; exit 0 ;;
  *) refused ;;
  esac
done
