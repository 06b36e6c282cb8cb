"""Wrong values that the chart must refuse, each with a message that names the value.

    chart_refused.py HELM CHART
"""

import subprocess
import sys

# What is set over ci/minimal.yaml (--set-json), and what the message must name.
SHARED = 'config.store.url="postgres://emgate@db.example/emgate"'
REFUSED = [
    # By values.schema.json.
    (["replicas=2"], "'replicas'"),
    (["replicaCount=0"], "/replicaCount"),
    (['replicaCount="2"'], "/replicaCount"),
    (["service.port=0"], "/service/port"),
    (["service.port=65536"], "/service/port"),
    (['service.type="External"'], "/service/type"),
    (['persistence.size="plenty"'], "/persistence/size"),
    (['persistence.enabled="yes"'], "/persistence/enabled"),
    (['config.watcher.interval="2s"'], "'watcher'"),
    (['config.upstream.accounts={"name":"a"}'], "/config/upstream/accounts"),
    (['image.pullPolicy="Sometimes"'], "/image/pullPolicy"),
    (['image.repository=""'], "/image/repository"),
    (['image.digest="sha256:abc"'], "/image/digest"),
    (['securityContext="none"'], "/securityContext"),
    (['existingSecret="Emgate Secrets"'], "/existingSecret"),
    (['existingConfigMap=["a"]'], "/existingConfigMap"),
    (['extraEnv={"A":"b"}'], "/extraEnv"),
    (['extraEnvFrom=[{"name":"a"}]'], "/extraEnvFrom/0"),
    (['terminationGracePeriodSeconds="60s"'], "/terminationGracePeriodSeconds"),
    (["progressDeadlineSeconds=1"], "/progressDeadlineSeconds"),
    (['topologySpreadConstraints=[{"maxSkew":1}]'], "/topologySpreadConstraints"),
    (["podDisruptionBudget.maxUnavailable=0"], "/podDisruptionBudget/maxUnavailable"),
    (["podDisruptionBudget.minAvailable=1"], "'minAvailable'"),
    (["autoscaling.maxReplicas=0"], "/autoscaling/maxReplicas"),
    (['ingress.hosts=[{"host":"https://dr.example"}]'], "/ingress/hosts/0/host"),
    (['ingress.hosts=[{"host":"dr.example","paths":["/"]}]'], "/ingress/hosts/0/paths/0"),
    (['httpRoute.timeouts.request="1 hour"'], "/httpRoute/timeouts/request"),
    (['httpRoute.path="gateway"'], "/httpRoute/path"),
    (['networkPolicy.from=["10.0.0.0"]'], "/networkPolicy/from/0"),
    (['networkPolicy.egress.receiverPorts=["https"]'], "/networkPolicy/egress/receiverPorts/0"),
    (["metrics.serviceMonitor.interval=30"], "/metrics/serviceMonitor/interval"),
    (['metrics.prometheusRule.runbookBase="wiki"'], "/metrics/prometheusRule/runbookBase"),
    (['metrics.prometheusRule.additionalRules=[{"alert":"A"}]'], "/metrics/prometheusRule/additionalRules/0"),
    (['externalSecret.secretStoreRef.kind="Vault"'], "/externalSecret/secretStoreRef/kind"),
    (['certificate.issuerRef.kind="CA"'], "/certificate/issuerRef/kind"),
    (['startupProbe.path="/readyz"'], "'path'"),
    (["readinessProbe.failureThreshold=0"], "/readinessProbe/failureThreshold"),
    (['lifecycle.preStart={"exec":{}}'], "'preStart'"),
    (['podLabels={"a":1}'], "/podLabels/a"),
    # By the templates, because they need more than one value to judge.
    (['config.upstream.url=""'], "config.upstream.url is required"),
    (["replicaCount=2"], "replicaCount above 1 needs a PostgreSQL store"),
    (["autoscaling.enabled=true"], "autoscaling needs a PostgreSQL store"),
    ([SHARED, "autoscaling.enabled=true", "autoscaling.minReplicas=9"], "autoscaling.minReplicas is 9"),
    (['config.server.listen="127.0.0.1:8080"'], "config.server.listen is 127.0.0.1:8080"),
    (['config.metrics.listen="127.0.0.1:9090"'], "config.metrics.listen is 127.0.0.1:9090"),
    (['config.metrics.listen="[::]:8080"'], "config.metrics.listen has the port of config.server.listen"),
    (['config.server.listen="[::]:0"'], "config.server.listen is [::]:0"),
    (['config.store.url="sqlite:///emgate.db"'], "config.store.url is a file in the root folder"),
    (["ingress.enabled=true"], "ingress.hosts is empty"),
    (["httpRoute.enabled=true"], "httpRoute.parentRefs is empty"),
    (["networkPolicy.enabled=true"], "networkPolicy.egress.em is empty"),
    ([SHARED, "networkPolicy.enabled=true", 'networkPolicy.egress.em=["10.0.0.1/32"]'], "networkPolicy.egress.database is empty"),
    (["externalSecret.enabled=true"], "externalSecret.data and externalSecret.dataFrom are empty"),
    (["externalSecret.enabled=true", 'externalSecret.dataFrom=[{"extract":{"key":"a"}}]'], "externalSecret.secretStoreRef.name is required"),
    (["certificate.enabled=true"], "certificate.issuerRef.name is required"),
]

helm, chart = sys.argv[1:]
wrong = []
for settings, message in REFUSED:
    command = [helm, "template", "release", chart, "--values", f"{chart}/ci/minimal.yaml"]
    for setting in settings:
        command += ["--set-json", setting]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if run.returncode == 0:
        wrong.append(f"accepts {settings}")
    elif message not in run.stderr:
        wrong.append(f"refuses {settings} without naming {message}: {run.stderr.strip()}")
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(REFUSED)} wrong values are refused by name")
