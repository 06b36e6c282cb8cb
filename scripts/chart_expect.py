"""Holds rendered charts against what they must say.

    chart_expect.py FOLDER

FOLDER has a file for each of helm/emgate/ci. A row names file, kind, path and value; None stands for "is not there".
"""

import sys

import yaml

CONTAINER = "spec.template.spec.containers.0."
PROBES = [f"{CONTAINER}{name}Probe.httpGet." for name in ("startup", "liveness", "readiness")]

EXPECTED = [
    ("minimal", "ConfigMap", "data.EMGATE_SERVER__LISTEN", "[::]:8080"),
    ("minimal", "Deployment", CONTAINER + "ports.0.containerPort", 8080),
    ("minimal", "Deployment", CONTAINER + "ports.0.name", "http"),
    ("minimal", "Deployment", "spec.strategy.type", "Recreate"),
    ("minimal", "Deployment", "spec.template.spec.securityContext.runAsUser", 65532),
    ("minimal", "Deployment", CONTAINER + "securityContext.readOnlyRootFilesystem", True),
    ("minimal", "Deployment", CONTAINER + "volumeMounts.0.mountPath", "/var/lib/emgate"),
    *[("minimal", "Deployment", probe + "scheme", "HTTP") for probe in PROBES],
    *[("minimal", "Deployment", probe + "port", "http") for probe in PROBES],
    ("tls", "Deployment", CONTAINER + "ports.0.containerPort", 8443),
    ("tls", "Deployment", CONTAINER + "volumeMounts.0.mountPath", "/data"),
    *[("tls", "Deployment", probe + "scheme", "HTTPS") for probe in PROBES],
    *[("tls", "Deployment", probe + "port", "https") for probe in PROBES],
    ("tls", "Service", "spec.ports.0.port", 443),
    ("tls", "Service", "spec.ports.0.targetPort", "https"),
    ("tls", "Service", "spec.ports.0.appProtocol", "https"),
    ("env", "Deployment", CONTAINER + "ports.0.containerPort", 9443),
    *[("env", "Deployment", probe + "scheme", "HTTPS") for probe in PROBES],
    ("env", "Deployment", "spec.replicas", 2),
    ("env", "Deployment", "spec.strategy.type", "RollingUpdate"),
    ("env", "PersistentVolumeClaim", "kind", None),
    ("replicas", "Deployment", "spec.strategy.type", "RollingUpdate"),
    ("replicas", "PersistentVolumeClaim", "kind", None),
    ("openshift", "Deployment", "spec.template.spec.securityContext.runAsUser", None),
    ("openshift", "Deployment", "spec.template.spec.securityContext.fsGroup", None),
    ("openshift", "Deployment", "spec.template.spec.securityContext.runAsNonRoot", True),
    ("openshift", "Deployment", CONTAINER + "securityContext", None),
    ("bare", "Deployment", "spec.template.spec.securityContext", None),
    ("bare", "Deployment", CONTAINER + "securityContext", None),
]


def value(node, path):
    for step in path.split("."):
        if isinstance(node, list):
            node = node[int(step)] if int(step) < len(node) else None
        else:
            node = (node or {}).get(step)
    return node


folder = sys.argv[1]
wrong = []
for name, kind, path, expected in EXPECTED:
    with open(f"{folder}/{name}.yaml") as rendered:
        documents = [document for document in yaml.safe_load_all(rendered) if document]
    document = next((document for document in documents if document["kind"] == kind), None)
    found = value(document, path)
    if found != expected:
        wrong.append(f"{name}: {kind} {path} is {found!r}, not {expected!r}")
if wrong:
    sys.exit("\n".join(wrong))
