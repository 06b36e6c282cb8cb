"""Holds a running gateway against its OpenAPI document, with generated requests, good and bad.

    run.py BINARY --time SECONDS --seed N [--short] [--only TEXT]

Starts the simulator and a gateway with a store of its own, then lets schemathesis ask for every operation: first those
of the gateway itself, then those of the mirror. Ends with 1 when an answer is not what the document promises; the report
below .tools/api-fuzz-report and the printed seed reproduce it.
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
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REPORT = ROOT / ".tools" / "api-fuzz-report"
# The longest that a start may take on a busy machine.
START = 120
# The paths of the mirror.
MIRROR = "^/api/v1/em(/|$)"
# The short form: bounded by cases and not by time, so that a slow machine asks the same; under a minute on two cores.
SHORT = {
    "curated": ["--phases", "examples,coverage"],
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
        "EMGATE_STORE__URL": f"sqlite://{folder}/emgate.db",
        "EMGATE_WATCH__INTERVAL": "50ms",
        "EMGATE_WATCH__IDLE_INTERVAL": "100ms",
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


def schemathesis(url, token, name, arguments):
    report = REPORT / name
    report.mkdir(parents=True)
    command = [
        str(pathlib.Path(sys.executable).parent / "schemathesis"),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        str(ROOT / "openapi" / "emgate.v1.json"),
        "--url",
        url,
        "--report",
        "ndjson,vcr",
        "--report-dir",
        str(report),
        "--no-color",
        *arguments,
    ]
    environment = {
        **os.environ,
        "EMGATE_URL": url,
        "EMGATE_TOKEN": token,
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(REPORT / "hypothesis"),
    }
    begun = time.monotonic()
    status = subprocess.run(command, env=environment, cwd=REPORT).returncode
    print(f"api-fuzz: {name}: {time.monotonic() - begun:.0f} s, status {status}", flush=True)
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--time", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20260506)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", choices=["curated", "mirror"])
    options, more = parser.parse_known_args()
    binary = os.path.abspath(options.binary)
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    folder = tempfile.mkdtemp(prefix="emgate-api-fuzz-")
    running = []
    try:
        simulate = [binary, "simulate", "--listen", "127.0.0.1:0", "--speed", "1000", "--plans", "300"]
        simulator = Process(simulate, REPORT / "simulator.log")
        running.append(simulator)
        environment = variables(simulator.find(r"Enterprise Manager at (http://\S+)/api/"), folder)
        gateway = Process([binary, "serve"], REPORT / "gateway.log", env=environment, cwd=folder)
        running.append(gateway)
        url = "http://" + gateway.find(r'"listening".*?"listen":"([^"]+)"')
        ready(url)
        sign = [binary, "token", "--subject", "fuzz", "--scope", "all", "--ttl", "24h"]
        token = subprocess.check_output(sign, env=environment, cwd=folder, text=True).strip()
        parts = {"curated": ["--exclude-path-regex", MIRROR], "mirror": ["--include-path-regex", MIRROR]}
        chosen = [name for name in parts if options.only in (None, name)]
        bounds = {name: ["--max-time", str(max(1, options.time // len(chosen)))] for name in chosen}
        seed = ["--seed", str(options.seed)]
        statuses = [
            schemathesis(url, token, name, [*parts[name], *seed, *(SHORT if options.short else bounds)[name], *more])
            for name in chosen
        ]
        if gateway.child.poll() is not None:
            raise SystemExit(f"api-fuzz: the gateway ended; its log is {gateway.path}")
    finally:
        for process in reversed(running):
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if any(statuses):
        again = "api-fuzz-short" if options.short else f"api-fuzz TIME={options.time} SEED={options.seed}"
        print(f"api-fuzz: failed; again with `make {again}`, or with one of the requests above; reports are in {REPORT}")
        sys.exit(1)


main()
