"""Parts a rendered chart into what Kubernetes itself knows and what custom resource definitions describe.

    chart_kinds.py RENDERED.yaml BUILT-IN.yaml CUSTOM.json
"""

import json
import sys

import yaml

# API groups that come with the cluster; all others come with an operator.
BUILT_IN = {"", "apps", "autoscaling", "networking.k8s.io", "policy"}

rendered, built_in, custom = sys.argv[1:]
with open(rendered) as file:
    documents = [document for document in yaml.safe_load_all(file) if document]
known = [document for document in documents if document["apiVersion"].rpartition("/")[0] in BUILT_IN]
with open(built_in, "w") as file:
    yaml.safe_dump_all(known, file)
with open(custom, "w") as file:
    json.dump([document for document in documents if document not in known], file)
