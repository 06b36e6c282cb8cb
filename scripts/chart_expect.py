"""Holds rendered charts against what they must say.

    chart_expect.py FOLDER

FOLDER has a file for each of helm/emgate/ci. A row names file, kind, path and value; None stands for "is not there".
Some rules hold for every file: pods are of the restricted profile, selectors match, and a drain is survived.
"""

import glob
import os
import sys

import yaml

CONTAINER = "spec.template.spec.containers.0."
SPREAD = "spec.template.spec.topologySpreadConstraints."
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
    *[
        ("mutual-tls", "Deployment", f"{CONTAINER}{name}Probe.exec.command", ["emgate", "health"])
        for name in ("startup", "liveness", "readiness")
    ],
    *[("mutual-tls", "Deployment", probe + "path", None) for probe in PROBES],
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
    ("minimal", "PodDisruptionBudget", "kind", None),
    ("minimal", "Deployment", "spec.template.spec.topologySpreadConstraints", None),
    ("minimal", "NetworkPolicy", "kind", None),
    ("replicas", "Deployment", "spec.replicas", 3),
    ("replicas", "Deployment", "spec.strategy.rollingUpdate.maxUnavailable", 0),
    ("replicas", "PodDisruptionBudget", "spec.maxUnavailable", 1),
    ("replicas", "PodDisruptionBudget", "spec.unhealthyPodEvictionPolicy", "AlwaysAllow"),
    ("replicas", "Deployment", SPREAD + "0.topologyKey", "kubernetes.io/hostname"),
    ("replicas", "Deployment", SPREAD + "0.whenUnsatisfiable", "ScheduleAnyway"),
    ("surroundings", "Deployment", "spec.replicas", None),
    ("surroundings", "Deployment", CONTAINER + "image", "registry.example/emgate@sha256:" + 4 * "0123456789abcdef"),
    ("surroundings", "Deployment", SPREAD + "1.topologyKey", "kubernetes.io/hostname"),
    ("surroundings", "ConfigMap", "data.EMGATE_SERVER__TLS__CERT_FILE", "/etc/emgate/certificate/tls.crt"),
    ("surroundings", "Certificate", "spec.secretName", "release-emgate-tls"),
    ("surroundings", "ServiceMonitor", "spec.endpoints.0.scheme", "https"),
    ("surroundings", "ServiceMonitor", "spec.endpoints.0.port", "metrics"),
    ("surroundings", "Deployment", CONTAINER + "ports.1.containerPort", 9090),
    ("surroundings", "Service", "spec.ports.1.targetPort", "metrics"),
    ("surroundings", "NetworkPolicy", "spec.ingress.1.ports.0.port", 9090),
    ("surroundings", "NetworkPolicy", "spec.ingress.1.from.0.podSelector.matchLabels", {"app.kubernetes.io/name": "prometheus"}),
    ("minimal", "Service", "spec.ports.1", None),
    ("surroundings", "ExternalSecret", "spec.target.name", "release-emgate-external"),
    ("surroundings", "PrometheusRule", "spec.groups.0.rules.0.alert", "EmgateDown"),
    ("surroundings", "HorizontalPodAutoscaler", "spec.maxReplicas", 5),
    ("surroundings", "NetworkPolicy", "spec.egress.1.ports.0.port", 9398),
    ("surroundings", "NetworkPolicy", "spec.egress.2.ports.0.port", 6432),
    ("surroundings", "HTTPRoute", "spec.rules.0.filters.0.urlRewrite.path.replacePrefixMatch", "/"),
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


def pods(documents):
    """(labels, spec) of each pod that the file would make."""
    for document in documents:
        if document["kind"] == "Deployment":
            yield document["spec"]["template"]["metadata"]["labels"], document["spec"]["template"]["spec"]
        if document["kind"] == "Pod":
            yield document["metadata"]["labels"], document["spec"]


def restricted(spec):
    """What the restricted Pod Security Standard has against a pod."""
    pod = spec.get("securityContext") or {}
    if pod.get("runAsNonRoot") is not True:
        yield "may run as root"
    if (pod.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    for container in spec["containers"] + spec.get("initContainers", []):
        context = container.get("securityContext") or {}
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']} may gain privileges"
        if (context.get("capabilities") or {}).get("drop") != ["ALL"]:
            yield f"{container['name']} keeps capabilities"
    for volume in spec.get("volumes", []):
        if not {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"} & volume.keys():
            yield f"volume {volume['name']} is of a forbidden kind"


def selectors(document):
    """The selectors of a document that must find the gateway's pods, and no other."""
    spec = document.get("spec") or {}
    if document["kind"] == "Service":
        yield spec["selector"]
    if document["kind"] in ("Deployment", "PodDisruptionBudget"):
        yield spec["selector"]["matchLabels"]
    if document["kind"] == "NetworkPolicy":
        yield spec["podSelector"]["matchLabels"]
    if document["kind"] == "Deployment":
        for constraint in spec["template"]["spec"].get("topologySpreadConstraints", []):
            yield constraint["labelSelector"]["matchLabels"]


def lasting(spec):
    """What makes a pod end badly in a drain or during migrations."""
    container = next(container for container in spec["containers"] if container["name"] == "emgate")
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    # The gateway's own stop takes 40 s at most.
    if sleep < 5 or spec["terminationGracePeriodSeconds"] < sleep + 40:
        yield "is killed before its work is finished"
    if container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] < 1800:
        yield "is killed during migrations"


def matches(selector, labels):
    return selector.items() <= labels.items()


def everywhere(name, documents):
    for labels, spec in pods(documents):
        if name not in ("openshift", "bare"):
            yield from restricted(spec)
        if "livenessProbe" in spec["containers"][0]:
            yield from lasting(spec)
    for document in documents:
        for selector in selectors(document):
            for labels, spec in pods(documents):
                gateway = spec["containers"][0]["name"] == "emgate"
                if matches(selector, labels) != gateway:
                    yield f"the selector of {document['kind']} {selector} is wrong about a pod with {labels}"
        if document["kind"] == "ServiceMonitor":
            service = next(document for document in documents if document["kind"] == "Service")
            if not matches(document["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]):
                yield "the ServiceMonitor does not select the service"
            if document["spec"]["endpoints"][0]["port"] not in {port["name"] for port in service["spec"]["ports"]}:
                yield "the ServiceMonitor names a port that the service does not have"


folder = sys.argv[1]
files = {}
for path in sorted(glob.glob(f"{folder}/*.yaml")):
    with open(path) as rendered:
        files[os.path.basename(path).removesuffix(".yaml")] = [document for document in yaml.safe_load_all(rendered) if document]
wrong = []
for name, kind, path, expected in EXPECTED:
    document = next((document for document in files[name] if document["kind"] == kind), None)
    found = value(document, path)
    if found != expected:
        wrong.append(f"{name}: {kind} {path} is {found!r}, not {expected!r}")
for name, documents in files.items():
    wrong += [f"{name}: {fault}" for fault in everywhere(name, documents)]
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(EXPECTED)} values and the rules of {len(files)} files hold")
