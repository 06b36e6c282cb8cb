"""Runs the command of the chart's test pod against a gateway on this machine, and against none.

    chart_test_pod.py RENDERED.yaml BINARY

The gateway has the simulator for its Enterprise Manager; the addresses that Kubernetes would tell the pod are given here.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time

import yaml

LIMIT = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


rendered, binary = sys.argv[1:]
with open(rendered) as file:
    documents = [document for document in yaml.safe_load_all(file) if document]
service = next(document for document in documents if document["kind"] == "Service")
pod = next(document for document in documents if document["kind"] == "Pod")
variable = service["metadata"]["name"].upper().replace("-", "_")
command = pod["spec"]["containers"][0]["command"]

with tempfile.TemporaryDirectory() as folder:
    os.symlink(os.path.abspath(binary), os.path.join(folder, "emgate"))
    upstream, port = free_port(), free_port()
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "EMGATE_LOG": "error",
        "EMGATE_UPSTREAM__URL": f"http://127.0.0.1:{upstream}",
        "EMGATE_UPSTREAM__ACCOUNTS__0__NAME": "operators",
        "EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME": "operator",
        "EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD": "word",
        "EMGATE_AUTH__KEYS__0__KIND": "hs256",
        "EMGATE_AUTH__KEYS__0__SECRET": "a secret of thirty-two bytes or more",
        "EMGATE_STORE__URL": f"sqlite://{folder}/emgate.db",
    }
    told = {**environment, f"{variable}_SERVICE_HOST": "127.0.0.1", f"{variable}_SERVICE_PORT": str(port)}

    def test_pod(pause):
        shell = [*command[:-1], command[-1].replace("sleep 5", f"sleep {pause}")]
        return subprocess.run(shell, env=told, cwd=folder, capture_output=True, text=True, timeout=LIMIT)

    absent = test_pod(0)
    if absent.returncode == 0 or f"127.0.0.1:{port}" not in absent.stderr:
        sys.exit(f"does not miss a gateway that is absent: {absent.stdout}{absent.stderr}")

    simulate = [binary, "simulate", "--listen", f"127.0.0.1:{upstream}", "--user", "operator", "--password", "word"]
    simulator = subprocess.Popen(simulate, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    serving = {**environment, "EMGATE_SERVER__LISTEN": f"127.0.0.1:{port}"}
    gateway = subprocess.Popen([binary, "serve"], env=serving, cwd=folder)
    try:
        end = time.monotonic() + LIMIT
        present = test_pod(1)
        while present.returncode != 0 and time.monotonic() < end and gateway.poll() is None:
            present = test_pod(1)
    finally:
        for process in (gateway, simulator):
            process.terminate()
            process.wait(timeout=LIMIT)
    if present.returncode != 0:
        sys.exit(f"does not find the gateway: {present.stdout}{present.stderr}")
