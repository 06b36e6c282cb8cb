"""Receives webhooks of emgate with nothing but Python's standard library.

WEBHOOK_SECRET=whsec_… PORT=8090 python3 receiver.py
"""
import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 5 * 60  # seconds
LIMIT = 8 * 1024 * 1024  # bytes
seen = set()  # keep it in a database: an event may arrive more than once


def refusal(headers, body):
    """Why the request is not to be believed; None if it is."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return "the timestamp is missing or more than 5 minutes off"
    # The bytes as they came: JSON that was parsed and written again has another signature.
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    # While a secret is being rotated there are two signatures.
    given = [part.removeprefix("v1,") for part in headers.get("webhook-signature", "").split(" ")]
    if not any(hmac.compare_digest(expected, signature) for signature in given):
        return "the signature is wrong"
    return None


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length <= LIMIT else b""
        reason = refusal(self.headers, body)
        if reason is None and self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event["timestamp"], flush=True)
        answer = (reason or "").encode()
        self.send_response(401 if reason else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8090"))), Receiver)
print("listening on", server.server_port, flush=True)
server.serve_forever()
