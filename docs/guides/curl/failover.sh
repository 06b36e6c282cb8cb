#!/usr/bin/env bash
# Tests a failover plan and waits for its end: failover.sh "PLAN NAME" [test|start|undo]
# EMGATE_SERVER and EMGATE_TOKEN say where and as whom. Exit code 0: success or warning; 1: anything else.
set -euo pipefail

plan=$1 action=${2:-test}
# One key for each run: a request that is repeated starts nothing twice. Take your scheduler's run id where there is one.
key=${RUN_ID:-$(date +%s)-$$}
api() { curl --silent --show-error --fail-with-body --max-time 90 --header "Authorization: Bearer $EMGATE_TOKEN" "$@"; }

id=$(api "$EMGATE_SERVER/api/v1/cloud-failover-plans?pageSize=100" |
  jq --raw-output --arg name "$plan" '.items[] | select(.name == $name) | .id')
[ -n "$id" ] || { echo "there is no plan $plan" >&2; exit 1; }

operation=$(api --request POST --retry 4 --header "Idempotency-Key: $key" --header "Prefer: respond-async" \
  "$EMGATE_SERVER/api/v1/cloud-failover-plans/$id/$action" | jq --raw-output .id)
echo "operation $operation" >&2

# 202 while it is open, 200 at the end, 409 for an end that failOn names. Each answer waits up to 50 seconds.
while :; do
  answer=$(curl --silent --show-error --max-time 90 --retry 4 --write-out '\n%{http_code}' \
    --header "Authorization: Bearer $EMGATE_TOKEN" --header "Prefer: wait=50" \
    "$EMGATE_SERVER/api/v1/operations/$operation/result?failOn=failed,cancelled,unknown")
  case ${answer##*$'\n'} in
  202) ;;
  200) jq --raw-output '"\(.plan.name): \(.result)"' <<<"${answer%$'\n'*}"; exit 0 ;;
  *) jq --raw-output .detail <<<"${answer%$'\n'*}" >&2; exit 1 ;;
  esac
done
