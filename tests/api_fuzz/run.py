"""Holds a running gateway against its OpenAPI document, with generated requests, good and bad.

    run.py BINARY --time SECONDS --seed N [--short] [--only plans|service|mirror]

Lets schemathesis ask for every operation, in three parts at once: those about plans, the others of the gateway itself,
those of the mirror. Each part has a simulator and a gateway with a store of its own, so that none is in the way of
another. Ends with 1 when an answer is not what the document promises; the report below .tools/api-fuzz-report and the
printed seed reproduce it.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REPORT = ROOT / ".tools" / "api-fuzz-report"
# The longest that a start may take on a busy machine.
START = 120
# The paths of the mirror.
MIRROR = "^/api/v1/em(/|$)"
# The paths about plans, half of the gateway's own requests.
PLANS = "^/api/v1/(cloud-)?failover-plans(/|$)"
# Streams, which do not end: tests/it/streams and tests/browser/streams.mjs read them.
STREAMS = "/stream$"
# What is asked by a process of its own, against a gateway of its own: by name, which paths.
PARTS = {
    "plans": ["--include-path-regex", PLANS],
    "service": ["--exclude-path-regex", f"{PLANS}|{MIRROR}|{STREAMS}"],
    "mirror": ["--include-path-regex", MIRROR],
}
# The short form: bounded by cases and not by time, so that a slow machine asks the same; 40 s on two idle cores.
SHORT = {
    "plans": ["--phases", "examples,coverage"],
    "service": ["--phases", "examples,coverage"],
    "mirror": ["--phases", "fuzzing", "--max-examples", "1"],
}


class Process:
    """A child whose output is kept; `line` waits for one that fits."""

    def __init__(self, command, log, **options):
        self.log = open(log, "w+b")
        self.path = log
        self.child = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, **options)

    def find(self, pattern):
        end = time.monotonic() + START
        while time.monotonic() < end:
            found = re.search(pattern, pathlib.Path(self.path).read_text(errors="replace"))
            if found:
                return found.group(1)
            if self.child.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"api-fuzz: {self.path} never says {pattern}")

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.returncode


def variables(simulator, folder):
    """The configuration: as by default, but in a hurry."""
    return {
        "PATH": os.environ["PATH"],
        "EMGATE_SERVER__LISTEN": "127.0.0.1:0",
        # `Prefer: wait` is capped five seconds below it.
        "EMGATE_SERVER__REQUEST_TIMEOUT": "6s",
        "EMGATE_UPSTREAM__URL": simulator,
        "EMGATE_UPSTREAM__ACCOUNTS__0__NAME": "operators",
        "EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME": "LAB\\svc-emgate",
        "EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD": "simulated",
        "EMGATE_AUTH__KEYS__0__KIND": "hs256",
        "EMGATE_AUTH__KEYS__0__SECRET": "the secret of the gateway that is fuzzed",
        "EMGATE_LIMITS__REQUESTS_PER_MINUTE": "1000000",
        "EMGATE_LIMITS__BURST": "1000000",
        "EMGATE_LIMITS__ANONYMOUS_PER_MINUTE": "1000000",
        "EMGATE_LIMITS__ACTIONS_PER_MINUTE": "1000000",
        "EMGATE_LIMITS__ENDPOINTS": "500",
        "EMGATE_STORE__URL": f"sqlite://{folder}/emgate.db",
        "EMGATE_WATCH__INTERVAL": "200ms",
        "EMGATE_WATCH__IDLE_INTERVAL": "500ms",
        "EMGATE_WEBHOOKS__TIMEOUT": "100ms",
        "EMGATE_LOG": "info,emgate::access=warn",
    }


def ready(url):
    end = time.monotonic() + START
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/readyz?strict=true", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("api-fuzz: the gateway never became ready")


def schemathesis(name, url, token, arguments):
    """Starts it; its output goes to a file, since several run at once."""
    report = REPORT / name
    command = [
        str(pathlib.Path(sys.executable).parent / "schemathesis"),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        str(ROOT / "openapi" / "emgate.v1.json"),
        "--url",
        url,
        "--no-color",
        *arguments,
    ]
    environment = {
        **os.environ,
        "EMGATE_SERVER": url,
        "EMGATE_TOKEN": token,
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(report / "hypothesis"),
    }
    return Process(command, report / "output", env=environment, cwd=report)


class Part:
    """A simulator, a gateway with a store of its own, and schemathesis before it."""

    def __init__(self, name, binary, folder, arguments):
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        (REPORT / name).mkdir()
        self.running = []
        self.begun = time.monotonic()
        simulate = [binary, "simulate", "--listen", "127.0.0.1:0", "--speed", "1000", "--plans", "100"]
        simulator = self.start(simulate, "simulator.log")
        settings = variables(simulator.find(r"Enterprise Manager at (http://\S+)/api/"), self.folder)
        self.gateway = self.start([binary, "serve"], "gateway.log", env=settings, cwd=self.folder)
        url = "http://" + self.gateway.find(r'"listening".*?"listen":"([^"]+)"')
        ready(url)
        sign = [binary, "token", "--subject", "fuzz", "--scope", "all", "--ttl", "24h"]
        token = subprocess.check_output(sign, env=settings, cwd=self.folder, text=True).strip()
        self.asking = schemathesis(name, url, token, [*PARTS[name], *arguments])
        self.running.append(self.asking)

    def start(self, command, log, **options):
        process = Process(command, REPORT / self.name / log, **options)
        self.running.append(process)
        return process

    def wait(self):
        """Its status, once it has ended and its output was printed."""
        status = self.asking.child.wait()
        print(pathlib.Path(self.asking.path).read_text(errors="replace"))
        print(f"api-fuzz: {self.name}: {time.monotonic() - self.begun:.0f} s, status {status}", flush=True)
        if self.gateway.child.poll() is not None:
            raise SystemExit(f"api-fuzz: the gateway ended; its log is {self.gateway.path}")
        return status

    def stop(self):
        for process in reversed(self.running):
            process.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--time", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20260506)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    options, more = parser.parse_known_args()
    binary = os.path.abspath(options.binary)
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="emgate-api-fuzz-"))
    parts = []
    try:
        for name in PARTS if options.only is None else [options.only]:
            long = ["--max-time", str(options.time), "--report", "ndjson", "--report-dir", str(REPORT / name)]
            bounds = SHORT[name] if options.short else long
            parts.append(Part(name, binary, folder, [*bounds, "--seed", str(options.seed), *more]))
        statuses = [part.wait() for part in parts]
    finally:
        for part in parts:
            part.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if any(statuses):
        form = "--short" if options.short else f"--time {options.time}"
        again = f"scripts/api-fuzz.sh {options.binary} {form} --seed {options.seed}"
        print(f"api-fuzz: failed; again with `{again}`, or with one of the requests above; reports are in {REPORT}")
        sys.exit(1)


main()
