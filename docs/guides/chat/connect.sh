#!/usr/bin/env bash
# Makes the endpoint of a file, sends a test through it, and tells what came of that: connect.sh FILE.json
# EMGATE_URL and EMGATE_TOKEN say where and as whom; scopes: webhooks:read webhooks:write.
set -euo pipefail

api() {
  curl --silent --show-error --fail-with-body --max-time 60 --header "Authorization: Bearer $EMGATE_TOKEN" \
    --header "Content-Type: application/json" "$@"
}

made=$(api --data @"$1" "$EMGATE_URL/api/v1/webhook-endpoints") || { jq --raw-output .detail <<<"$made" >&2; exit 1; }
id=$(jq --raw-output .id <<<"$made")
jq --raw-output '"endpoint \(.id)", (.warnings[]? | "warning: \(.detail)")' <<<"$made"

delivery=$(api --request POST "$EMGATE_URL/api/v1/webhook-endpoints/$id/test" | jq --raw-output .id)
for _ in {1..30}; do
  sent=$(api "$EMGATE_URL/api/v1/webhook-deliveries/$delivery")
  jq --exit-status '.state == "sending" or .attempts == []' <<<"$sent" >/dev/null || break
  sleep 1
done
jq --raw-output '.attempts[-1] // {} | if .status then "it answered \(.status) \(.response // "")" else "no answer: \(.error)" end' \
  <<<"$sent"
if ! jq --exit-status '.state == "delivered"' <<<"$sent" >/dev/null; then
  echo "The endpoint stays: mend it (PATCH $EMGATE_URL/api/v1/webhook-endpoints/$id) or remove it (DELETE) before you try again." >&2
  exit 1
fi
echo "The test was delivered."
