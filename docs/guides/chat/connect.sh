#!/usr/bin/env bash
# Makes the endpoint of a file, sends a test through it, and tells what came of that: connect.sh FILE.json
# EMGATE_SERVER and EMGATE_TOKEN say where and as whom; scopes: webhooks:read webhooks:write.
set -euo pipefail

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
# Into a file: on standard output a failed attempt's answer would stand before that of its repetition.
api() {
  local status
  status=$(curl --silent --show-error --max-time 60 --retry 4 --output "$answer" --write-out '%{http_code}' \
    --header "Authorization: Bearer $EMGATE_TOKEN" --header "Content-Type: application/json" "$@")
  [[ $status == 2?? ]] || { jq --raw-output .detail "$answer" >&2; exit 1; }
}

api --data @"$1" "$EMGATE_SERVER/api/v1/webhook-endpoints"
id=$(jq --raw-output .id "$answer")
jq --raw-output '"endpoint \(.id)", (.warnings[]? | "warning: \(.detail)")' "$answer"

api --request POST "$EMGATE_SERVER/api/v1/webhook-endpoints/$id/test"
delivery=$(jq --raw-output .id "$answer")
for _ in {1..30}; do
  api "$EMGATE_SERVER/api/v1/webhook-deliveries/$delivery"
  jq --exit-status '.state == "sending" or .attempts == []' "$answer" >/dev/null || break
  sleep 1
done
jq --raw-output '.attempts[-1] // {} | if .status then "it answered \(.status) \(.response // "")" else "no answer: \(.error)" end' \
  "$answer"
if ! jq --exit-status '.state == "delivered"' "$answer" >/dev/null; then
  echo "The endpoint stays: mend it (PATCH $EMGATE_SERVER/api/v1/webhook-endpoints/$id) or remove it (DELETE) before you try again." >&2
  exit 1
fi
echo "The test was delivered."
