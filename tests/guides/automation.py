"""Examples of docs/guides for automation platforms, played against a real gateway. Run by scripts/guides.sh."""
import json
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

from gateway import GUIDES, TOKEN, URL, Hiccups, operations, run


def ansible():
    playbook = Path(sys.executable).with_name("ansible-playbook")

    def play(*arguments):
        command = [playbook, GUIDES / "ansible" / "test-plan.yml", "-e", "tower_job_id=7", *arguments]
        return run(command, EMGATE_SERVER=URL, EMGATE_TOKEN=TOKEN)

    before = operations()
    for _ in range(2):
        played = play()
        assert played.returncode == 0, played.stdout + played.stderr
        assert "ABC Company Failover Plan: success" in played.stdout, played.stdout
    assert len(operations() - before) == 1, "a job that is repeated tests once"
    played = play("-e", "plan=none")
    assert played.returncode != 0 and "Remember its id" in played.stdout, played.stdout
    print("guides: the Ansible playbook tests a plan once and waits for its end")


class Tokens(BaseHTTPRequestHandler):
    """The address at which GitHub gives a job its tokens."""

    asked = []

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append((query["audience"], self.headers["authorization"]))
        body = json.dumps({"value": TOKEN}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def github_actions():
    workflow = yaml.safe_load((GUIDES / "github-actions" / "dr-test.yml").read_text())
    assert workflow["permissions"] == {"id-token": "write"}
    (step,) = workflow["jobs"]["test"]["steps"]
    assert step["shell"] == "bash"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def play(**environment):
        with tempfile.NamedTemporaryFile("r") as summary:
            settings = {
                **workflow["env"],
                "EMGATE_SERVER": URL,
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_port}/token?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request",
                "GITHUB_RUN_ID": "8",
                "GITHUB_STEP_SUMMARY": summary.name,
                **environment,
            }
            played = run(["bash", "-c", step["run"]], **settings)
            return played, summary.read()

    before = operations()
    hiccups = Hiccups().url
    for url in (hiccups, URL):
        played, summary = play(EMGATE_SERVER=url)
        assert played.returncode == 0, played.stdout + played.stderr
        assert "Result: success" in summary and "- filesrv03: success" in summary, summary
    assert len(operations() - before) == 1, "a run that is repeated tests once"
    assert all(asked in (([hiccups], "Bearer request"), ([URL], "Bearer request")) for asked in Tokens.asked), Tokens.asked
    played, _ = play(PLAN="00000000-0000-0000-0000-000000000000", GITHUB_RUN_ID="9")
    assert played.returncode == 1 and "::error::the failover plan was not found" in played.stdout, played.stdout + played.stderr
    server.shutdown()
    print("guides: the GitHub workflow tests a plan once, with the job's own tokens")


def curl():
    script = GUIDES / "curl" / "failover.sh"
    before = operations()
    for url in (Hiccups().url, URL):
        played = run(["bash", script, "ABC Company Failover Plan"], EMGATE_SERVER=url, EMGATE_TOKEN=TOKEN, RUN_ID="3")
        assert played.returncode == 0 and "ABC Company Failover Plan: success" in played.stdout, played.stdout + played.stderr
    assert len(operations() - before) == 1, "a run that is repeated tests once"
    print("guides: the script for curl tests a plan once, though the gateway is overloaded at first")


curl()
ansible()
github_actions()
