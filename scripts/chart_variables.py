"""Gives the variables of a rendered chart to the program, which must accept them as its configuration.

    chart_variables.py RENDERED.yaml BINARY

A Secret that the values only name does not exist here; what it would hold is filled in.
"""

import base64
import os
import subprocess
import sys
import tempfile

import yaml

SECRETS = {
    "EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD": "word",
    "EMGATE_AUTH__KEYS__0__SECRET": "a secret of thirty-two bytes or more",
}

rendered, binary = sys.argv[1:]
documents = [document for document in yaml.safe_load_all(open(rendered)) if document]
# The ConfigMap that is only named is one more place for variables, and is empty here.
sources = {
    (document["kind"], document["metadata"]["name"]): document.get("data") or document.get("stringData") or {}
    for document in documents
    if document["kind"] in ("ConfigMap", "Secret")
}
pod = next(document for document in documents if document["kind"] == "Deployment")["spec"]["template"]["spec"]
variables = {}
for source in pod["containers"][0]["envFrom"]:
    kind, reference = ("ConfigMap", source["configMapRef"]) if "configMapRef" in source else ("Secret", source["secretRef"])
    missing = SECRETS if kind == "Secret" else {}
    variables.update(sources.get((kind, reference["name"]), missing))
variables.update({entry["name"]: entry["value"] for entry in pod["containers"][0].get("env", []) if "value" in entry})
with tempfile.TemporaryDirectory() as folder:
    if "EMGATE_SERVER__TLS__CERT_FILE" in variables:
        # So do these.
        cert, key = os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key")
        request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=emgate.example"
        subprocess.run([*request.split(), "-out", cert, "-keyout", key], check=True, capture_output=True)
        variables.update({"EMGATE_SERVER__TLS__CERT_FILE": cert, "EMGATE_SERVER__TLS__KEY_FILE": key})
        if "EMGATE_SERVER__TLS__CLIENT_CA_FILE" in variables:
            variables["EMGATE_SERVER__TLS__CLIENT_CA_FILE"] = cert
    if "EMGATE_STORE__ENCRYPTION_KEY_FILE" in variables:
        # It comes from a volume.
        variables["EMGATE_STORE__ENCRYPTION_KEY_FILE"] = os.path.join(folder, "key")
        with open(os.path.join(folder, "key"), "w") as key:
            key.write(base64.b64encode(bytes(32)).decode())
    command = [os.path.abspath(binary), "token", "--subject", "chart", "--scope", "all"]
    run = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=30)
if run.returncode != 0 or run.stdout.count(".") != 2:
    sys.exit(f"{run.stdout}{run.stderr}")
