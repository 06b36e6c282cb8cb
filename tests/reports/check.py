"""Reports of a running gateway, verified by the command and by an independent verifier; then with one bit flipped, 10,000 times.

   check.py BINARY        with EMGATE_SERVER, EMGATE_TOKEN and EMGATE_SIMULATOR (tests/sdk/gateway.mjs)
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import verify

BINARY = sys.argv[1]
URL, TOKEN, SIMULATOR = (os.environ[name] for name in ("EMGATE_SERVER", "EMGATE_TOKEN", "EMGATE_SIMULATOR"))
FLIPS = 10_000


def ask(method: str, path: str, body: object = None, base: str = URL) -> bytes:
    request = urllib.request.Request(base + path, method=method)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def reported(path: str) -> tuple[bytes, bytes]:
    """The report of an action, as JSON and as a page."""
    operation = json.loads(ask("POST", path, {"purpose": {"reason": "<check> & \"Ümläute\" 日本語"}}))
    place = f"/api/v1/operations/{operation['id']}"
    for _ in range(600):
        if json.loads(ask("GET", place))["state"] == "finished":
            break
        time.sleep(0.2)
    return ask("GET", f"{place}/report"), ask("GET", f"{place}/report?format=html")


def by_command(files: list[Path], keys: Path) -> tuple[int, int]:
    """How many of the files the command takes, and how many it does not."""
    good = bad = 0
    for at in range(0, len(files), 500):
        names = [str(file) for file in files[at : at + 500]]
        ran = subprocess.run([BINARY, "report", "verify", "--key", str(keys), *names], capture_output=True, text=True, check=False)
        good += ran.stdout.count(": verified: ")
        bad += ran.stdout.count(": NOT VERIFIED")
        expected = 0 if ": NOT VERIFIED" not in ran.stdout else 1
        assert ran.returncode == expected, (ran.returncode, ran.stderr)
    return good, bad


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="emgate-reports-"))
    keys = folder / "keys.json"
    keys.write_bytes(ask("GET", "/.well-known/emgate/report-keys"))
    known = verify.read_keys(str(keys))
    plans = json.loads(ask("GET", "/api/v1/cloud-failover-plans"))["items"]
    failing = {"planId": plans[1]["id"], "result": "failed", "failureMessage": "no <free> address"}
    ask("POST", "/_sim/outcomes", failing, SIMULATOR)
    sound = []
    for number, plan in enumerate(plans[:2]):
        for ending, content in zip(("json", "html"), reported(f"/api/v1/cloud-failover-plans/{plan['id']}/test")):
            file = folder / f"sound-{number}.{ending}"
            file.write_bytes(content)
            sound.append(file)
            assert verify.fault(content, known) is None, (file, verify.fault(content, known))
    assert by_command(sound, keys) == (len(sound), 0)
    dice = random.Random(20260506)
    flipped, differ = [], 0
    for number in range(FLIPS):
        content = bytearray(sound[number % len(sound)].read_bytes())
        place = dice.randrange(len(content))
        content[place] ^= 1 << dice.randrange(8)
        file = folder / f"flip-{number}.{sound[number % len(sound)].suffix}"
        file.write_bytes(content)
        flipped.append(file)
        is_json = sound[number % len(sound)].suffix == ".json"
        # What a page shows is compared by the command alone, which makes the page again.
        differ += is_json and verify.fault(bytes(content), known) is None
    good, bad = by_command(flipped, keys)
    assert (good, bad, differ) == (0, FLIPS, 0), (good, bad, differ)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    print(f"reports: {len(sound)} verified by both, {FLIPS} flipped bits and {good} missed")


main()
