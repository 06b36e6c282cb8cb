"""The gateway that the checks of docs/guides talk to, a receiver of its webhooks, and programs that are run beside it."""
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

URL, TOKEN, SIMULATOR = (os.environ[f"EMGATE_{name}"] for name in ("SERVER", "TOKEN", "SIMULATOR"))
GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
PLAN = "3f56fa52-c902-4655-9774-2022fde214d2"  # that the demo has
LIMIT = 120  # seconds


def ask(method, url, headers=(), body=None):
    """Status and body of an answer."""
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def api(method, path, body=None, expected=(200, 201, 202, 204)):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    raw = None if body is None else json.dumps(body).encode()
    for _ in range(LIMIT):
        status, answer = ask(method, f"{URL}/api/v1{path}", headers, raw)
        # The gateway limits how many requests a caller sends.
        if status != 429:
            break
        time.sleep(1)
    assert status in expected, f"{method} {path}: {status} {answer}"
    return answer


def until(path, wished):
    """The answer, once it is as wished."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        answer = api("GET", path)
        if wished(answer):
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{path}: waited in vain; last: {answer}")


def operations():
    return {item["id"] for item in api("GET", "/operations?pageSize=100")["items"]}


def settings(name):
    return json.loads((GUIDES / name).read_text())


def run(command, **environment):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8", **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)


class Receiver(ThreadingHTTPServer):
    """Keeps what arrives, as path, headers and bytes; `answer` says with which status, headers and text it is answered."""

    daemon_threads = True

    def __init__(self, answer=lambda path: (204, {}, "")):
        self.answer, self.received = answer, []
        super().__init__(("127.0.0.1", 0), Taking)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def at(self, path, count=1):
        """What arrived at a path, once it is as much."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            found = [(headers, body) for where, headers, body in self.received if where.split("?")[0] == path]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{path}: {len(found)} of {count} arrived")


class Hiccups(ThreadingHTTPServer):
    """The gateway behind a proxy that answers the first request of each kind with 503: what repeats has to cope with that."""

    daemon_threads = True

    def __init__(self):
        self.seen = set()
        super().__init__(("127.0.0.1", 0), Passing)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Passing(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kind = (self.command, self.path)
        if kind in self.server.seen:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            status, answer = ask(self.command, URL + self.path, headers, body or None)
        else:
            self.server.seen.add(kind)
            status, answer = 503, {"code": "overloaded", "detail": "too much at once", "id": "none", "state": "running"}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        if status == 503:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Taking(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, self.headers, body))
        status, headers, text = self.server.answer(self.path)
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(text.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    do_PUT = do_POST

    def log_message(self, *_):
        pass


@contextmanager
def registered(body):
    """An endpoint, for as long as it is needed."""
    made = api("POST", "/webhook-endpoints", body)
    try:
        yield made
    finally:
        api("DELETE", f"/webhook-endpoints/{made['id']}")


def failed_failover():
    """Lets a failover fail, as somebody's at Enterprise Manager's own console."""
    body = {"planId": PLAN, "action": "test", "result": "failed", "failureMessage": "no free address", "seconds": 1}
    status, answer = ask("POST", f"{SIMULATOR}/_sim/failovers", {"Content-Type": "application/json"}, json.dumps(body).encode())
    assert status == 201, answer
    return answer["sessionId"]
