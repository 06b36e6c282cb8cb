#!/usr/bin/env bash
# Receives a webhook of emgate as a CGI program, with nothing but bash and openssl: for any web server that runs CGI programs.
# WEBHOOK_SECRET (whsec_…) is in the server's environment.
set -euo pipefail

answer() {
    printf 'Status: %s\r\nContent-Type: text/plain\r\n\r\n%s\n' "$1" "$2"
    exit 0
}

body=$(mktemp)
trap 'rm -f "$body"' EXIT
# The bytes as they came: JSON that was parsed and written again has another signature.
head -c "${CONTENT_LENGTH:-0}" >"$body"

id=${HTTP_WEBHOOK_ID:-} timestamp=${HTTP_WEBHOOK_TIMESTAMP:-}
[[ $timestamp =~ ^[0-9]{1,12}$ ]] || answer 401 "the timestamp is missing"
age=$(($(date +%s) - 10#$timestamp))
((age <= 300 && age >= -300)) || answer 401 "the timestamp is more than 5 minutes off"

key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
expected=$({ printf '%s.%s.' "$id" "$timestamp"; cat "$body"; } |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
# While a secret is being rotated there are two signatures.
for part in ${HTTP_WEBHOOK_SIGNATURE:-}; do
    if [[ $part == "v1,$expected" ]]; then
        # Remember the id: an event may arrive more than once.
        logger -t emgate "$id" 2>/dev/null || true
        answer 200 "$id"
    fi
done
answer 401 "the signature is wrong"
