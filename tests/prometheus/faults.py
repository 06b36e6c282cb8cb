"""Prometheus and Alertmanager of Debian, a gateway and a simulated Enterprise Manager: faults happen one after the other,
and for each the right alert has to reach a receiver, and its end as well.

    faults.py PROMETHEUS ALERTMANAGER PROMTOOL BINARY [--full]

Without --full every duration of the rules is a thirtieth, so that a run takes two minutes; with it they are as operators
get them, and it takes half an hour.
"""

import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import dashboards
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "helm" / "emgate" / "files" / "rules.yaml"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# The longest that a process may take to start, in seconds.
START = 60


def fail(message):
    raise SystemExit(f"prometheus: {message}")


def ask(url, body=None, method=None, token=None, form="application/json"):
    """Status and JSON of an answer; the body is text where it is no JSON."""
    request = urllib.request.Request(url, method=method or ("POST" if body is not None else "GET"))
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", form)
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return status, json.loads(text or b"null")
    except ValueError:
        return status, text.decode()


def until(what, found, limit):
    """What `found` gives, once it gives something."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.2)
    fail(f"{what} did not happen within {limit:.0f} s")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def scaled(rules, factor):
    """The rules with every duration, and what is compared with a duration, divided."""

    def shorter(found):
        seconds = int(found.group(1)) * UNITS[found.group(2)]
        return f"{max(seconds // factor, 2)}s"

    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = re.sub(r"^(\d+)([smhd])$", shorter, rule["for"])
            rule["expr"] = re.sub(r"(?<=\[)(\d+)([smhd])(?=\])", shorter, rule["expr"])
            if rule["alert"] == "EmgateObservationStalled" and factor > 1:
                rule["expr"] = rule["expr"].replace("> 60", "> 4")
    return rules


class Inbox(http.server.BaseHTTPRequestHandler):
    """What Alertmanager delivers: for each alert its last status, and which ones have ever fired. It takes webhooks as well."""

    states = {}
    fired = set()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for alert in body.get("alerts", []):
            name = alert["labels"]["alertname"]
            Inbox.states[name] = alert["status"]
            if alert["status"] == "firing":
                Inbox.fired.add(name)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Stage:
    """All processes, which end with it."""

    def __init__(self, prometheus, alertmanager, binary, factor):
        self.binary, self.factor, self.processes = binary, factor, []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="emgate-prometheus-"))
        simulate = ["simulate", "--listen", "127.0.0.1:0", "--speed", "200", "--plans", "20"]
        self.start("simulator", [binary, *simulate])
        said = self.line("simulator", r"Enterprise Manager at (http://\S+)/api/")
        self.simulator = said
        self.port = free_port()
        self.settings = {
            "PATH": os.environ["PATH"],
            "EMGATE_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "EMGATE_UPSTREAM__URL": self.simulator,
            "EMGATE_UPSTREAM__UNKNOWN_AFTER": "2s",
            "EMGATE_UPSTREAM__REQUEST_TIMEOUT": "2s",
            "EMGATE_UPSTREAM__ACCOUNTS__0__NAME": "operators",
            "EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME": "LAB\\svc-emgate",
            "EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD": "simulated",
            "EMGATE_AUTH__KEYS__0__KIND": "hs256",
            "EMGATE_AUTH__KEYS__0__SECRET": "the secret of the gateway that is watched",
            "EMGATE_STORE__URL": f"sqlite://{self.folder}/emgate.db",
            "EMGATE_WATCH__INTERVAL": "200ms",
            "EMGATE_WATCH__IDLE_INTERVAL": "500ms",
            "EMGATE_WEBHOOKS__ALLOW_NETWORKS": '["127.0.0.0/8"]',
            "EMGATE_WEBHOOKS__ALLOW_HTTP": "true",
            "EMGATE_WEBHOOKS__RETRY_SCHEDULE": '["2s", "10s", "10s", "10s", "10s", "1m", "1h"]',
            "EMGATE_POLICIES__0__NAME": "two-persons",
            "EMGATE_POLICIES__0__MATCH__ACTION": '["undo"]',
            "EMGATE_POLICIES__0__APPROVALS": "1",
            "EMGATE_LIMITS__ACTIONS_PER_MINUTE": "1000000",
            "EMGATE_METRICS__PER_PLAN": "true",
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.serve()
        self.token = self.sign("operator")
        listing = ask(f"{self.url}/api/v1/cloud-failover-plans?pageSize=20", token=self.token)[1]
        self.plans = [plan["id"] for plan in listing["items"]]
        inbox = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
        threading.Thread(target=inbox.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{inbox.server_address[1]}"
        status, made = ask(f"{self.url}/api/v1/webhook-endpoints", {"url": f"{address}/hook"}, token=self.token)
        if status != 201:
            fail(f"no endpoint: {made}")
        self.watch(prometheus, alertmanager, inbox.server_address[1])

    def start(self, name, command, env=None):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=self.folder)
        self.processes.append(process)
        return process

    def line(self, name, pattern):
        path = self.folder / f"{name}.log"
        found = until(f"{name} says {pattern}", lambda: re.search(pattern, path.read_text(errors="replace")), START)
        return found.group(1)

    def serve(self):
        self.gateway = self.start("gateway", [self.binary, "serve"], env=self.settings)
        until("the gateway is ready", self.is_ready, START)

    def is_ready(self):
        return self.answers(f"{self.url}/readyz?strict=true")

    def answers(self, url):
        try:
            return ask(url)[0] == 200
        except OSError:
            return False

    def sign(self, subject):
        command = [self.binary, "token", "--subject", subject, "--scope", "all", "--ttl", "24h"]
        return subprocess.check_output(command, env=self.settings, cwd=self.folder, text=True).strip()

    def watch(self, prometheus, alertmanager, inbox):
        rules = scaled(yaml.safe_load(RULES.read_text()), self.factor)
        (self.folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        managed, asked = free_port(), free_port()
        (self.folder / "alertmanager.yaml").write_text(
            yaml.safe_dump(
                {
                    "route": {
                        "receiver": "inbox",
                        "group_by": ["alertname"],
                        "group_wait": "1s",
                        "group_interval": "1s",
                        "repeat_interval": "1h",
                    },
                    "receivers": [
                        {"name": "inbox", "webhook_configs": [{"url": f"http://127.0.0.1:{inbox}/", "send_resolved": True}]}
                    ],
                }
            )
        )
        (self.folder / "prometheus.yaml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["rules.yaml"],
                    "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{managed}"]}]}]},
                    "scrape_configs": [
                        {"job_name": "emgate", "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}]}
                    ],
                }
            )
        )
        self.start(
            "alertmanager",
            [
                alertmanager,
                f"--config.file={self.folder}/alertmanager.yaml",
                f"--storage.path={self.folder}/alerts",
                f"--web.listen-address=127.0.0.1:{managed}",
                "--cluster.listen-address=",
            ],
        )
        until("Alertmanager is ready", lambda: self.answers(f"http://127.0.0.1:{managed}/-/ready"), START)
        self.start(
            "prometheus",
            [
                prometheus,
                f"--config.file={self.folder}/prometheus.yaml",
                f"--storage.tsdb.path={self.folder}/series",
                f"--web.listen-address=127.0.0.1:{asked}",
                "--query.lookback-delta=5s",
            ],
        )
        self.prometheus = f"http://127.0.0.1:{asked}"
        until("the gateway is scraped", lambda: self.query("emgate_store_up"), START)

    def query(self, expression):
        try:
            answer = ask(f"{self.prometheus}/api/v1/query?query={urllib.request.quote(expression)}")[1]
        except OSError:
            return []
        if not isinstance(answer, dict) or answer.get("status") != "success":
            return []
        return answer["data"]["result"]

    def fault(self, **fault):
        status, said = ask(f"{self.simulator}/_sim/faults", {"count": 1_000_000, **fault})
        if status != 204:
            fail(f"the simulator refuses a fault: {said}")

    def heal(self):
        ask(f"{self.simulator}/_sim/faults", method="DELETE")

    def act(self, action, plan):
        path = f"{self.url}/api/v1/cloud-failover-plans/{plan}/{action}"
        return ask(path, {}, token=self.token)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def quiet():
    pass


# Each fault begins, and gives what ends it.
def endpoint_down(stage):
    wanted = {"url": f"https://127.0.0.1:{free_port()}/hook"}
    status, made = ask(f"{stage.url}/api/v1/webhook-endpoints", wanted, token=stage.token)
    if status != 201:
        fail(f"no endpoint: {made}")
    path = f"{stage.url}/api/v1/webhook-endpoints/{made['id']}"
    ask(f"{path}/test", {}, token=stage.token)
    stage.act("test", stage.plans[0])
    return lambda: ask(path, method="DELETE", token=stage.token)


def approval_waiting(stage):
    status, operation = stage.act("undo", stage.plans[1])
    if status != 202:
        fail(f"no approval is asked for: {operation}")
    path = f"{stage.url}/api/v1/operations/{operation['id']}/reject"
    return lambda: ask(path, {"comment": "only a test"}, token=stage.sign("approver"))


def upstream_unavailable(stage):
    stage.fault(kind="close")
    return stage.heal


def logon_refused(stage):
    stage.fault(kind="status", status=401, path="/api/sessionMngr")
    ask(f"{stage.simulator}/_sim/expire", {})
    return stage.heal


def observation_stalled(stage):
    stage.fault(kind="status", status=500, path="/api/query")
    return stage.heal


def failover_failed(stage):
    plan = stage.plans[2]
    wanted = {"planId": plan, "result": "failed", "failureMessage": "the replica is locked"}
    status, said = ask(f"{stage.simulator}/_sim/outcomes", wanted)
    if status != 204:
        fail(f"the simulator refuses an outcome: {said}")
    stage.act("start", plan)
    return quiet


def operation_unknown(stage):
    stage.fault(kind="close", method="POST", path="/api/cloud/")
    stage.act("test", stage.plans[3])
    stage.heal()
    return quiet


def error_ratio(stage):
    stage.fault(kind="status", status=500, path="/api/cloud/")
    stopped = threading.Event()

    def read():
        # Over several scrapes: a count that is there at the first has no rate yet.
        while not stopped.wait(0.1):
            ask(f"{stage.url}/api/v1/cloud-failover-plans/{stage.plans[4]}", token=stage.token)

    threading.Thread(target=read, daemon=True).start()

    def end():
        stopped.set()
        stage.heal()

    return end


def wants(stage, plan, objectives):
    """Sets what is wanted of a plan; what ends that."""
    path = f"{stage.url}/api/v1/cloud-failover-plans/{plan}/objectives"
    status, said = ask(path, objectives, method="PUT", token=stage.token)
    if status != 200:
        fail(f"objectives are refused: {said}")
    return lambda: ask(path, {}, method="PUT", token=stage.token)


def test_overdue(stage):
    return wants(stage, stage.plans[5], {"testEveryDays": 30})


def objective_missed(stage):
    # Restore points of the simulator are hours old.
    stage.act("test", stage.plans[6])
    return wants(stage, stage.plans[6], {"rpoSeconds": 1, "rtoSeconds": 86400, "testEveryDays": 30})


def down(stage):
    stage.gateway.kill()
    stage.gateway.wait()
    return stage.serve


# What takes long begins first; the others follow one after the other.
LONG = {
    "EmgateEndpointDown": endpoint_down,
    "EmgateApprovalWaiting": approval_waiting,
    "EmgateOperationUnknown": operation_unknown,
}
SHORT = {
    "EmgateFailoverFailed": failover_failed,
    "EmgateUpstreamUnavailable": upstream_unavailable,
    "EmgateUpstreamLogonRefused": logon_refused,
    "EmgateObservationStalled": observation_stalled,
    "EmgateErrorRatio": error_ratio,
    "EmgateTestOverdue": test_overdue,
    "EmgateRecoveryObjectiveMissed": objective_missed,
    "EmgateDown": down,
}


def fires(alert, limit):
    """Waits until it has fired; how long that took."""
    begun = time.monotonic()
    until(f"{alert}: firing", lambda: alert in Inbox.fired, limit)
    return time.monotonic() - begun


def ends(alert, limit):
    """Waits until it does not fire."""
    until(f"{alert}: resolved", lambda: Inbox.states.get(alert) != "firing", limit)


def check_dashboards(stage):
    """Every expression of the dashboards had a series at some moment of the run."""
    expressions = dashboards.expressions()
    for expression in expressions:
        if not stage.query(f"count_over_time(({dashboards.plain(expression)})[1h:2s])"):
            fail(f"a dashboard asks for what has no series: {expression}")
    return len(expressions)


def check_metrics(stage, promtool):
    """What the gateway shows after all that has happened, by Prometheus' own linter."""
    shown = ask(f"{stage.url}/metrics")[1]
    done = subprocess.run([promtool, "check", "metrics"], input=shown, capture_output=True, text=True)
    if done.returncode or done.stderr.strip():
        fail(f"promtool: {done.stdout}{done.stderr}")
    if "process_resident_memory_bytes" not in shown:
        fail("there is no process_resident_memory_bytes")
    return shown.count("# TYPE ")


def main():
    prometheus, alertmanager, promtool, binary = (os.path.abspath(path) for path in sys.argv[1:5])
    factor = 1 if "--full" in sys.argv[5:] else 30
    limit = 60 + 1200 / factor
    stage = Stage(prometheus, alertmanager, binary, factor)
    try:
        if Inbox.states:
            fail(f"an alert of a gateway without a fault: {Inbox.states}")
        endings = {alert: begin(stage) for alert, begin in LONG.items()}
        for alert, begin in SHORT.items():
            # An earlier fault may have been one of this kind as well.
            ends(alert, limit)
            Inbox.fired.discard(alert)
            end = begin(stage)
            print(f"prometheus: {alert} fires {fires(alert, limit):.0f} s after its cause", flush=True)
            end()
        for alert, end in endings.items():
            fires(alert, limit)
            end()
        for alert in [*SHORT, *LONG]:
            ends(alert, limit)
        print(f"prometheus: {len(SHORT) + len(LONG)} alerts fired, and were resolved once their cause was gone", flush=True)
        print(f"prometheus: promtool accepts {check_metrics(stage, promtool)} families of metrics", flush=True)
        print(f"prometheus: all {check_dashboards(stage)} expressions of the dashboards have series", flush=True)
        others = set(Inbox.states) - set(LONG) - set(SHORT)
        print(f"prometheus: other alerts meanwhile: {', '.join(sorted(others)) or 'none'}", flush=True)
    except SystemExit:
        print((stage.folder / "gateway.log").read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        stage.stop()


main()
