#!/usr/bin/env bash
# Alerts, their pages and the dashboards: the rules against their cases, the metrics against promtool, and both in use, by
# the Prometheus and the Alertmanager of Debian before a gateway with faults.
#
#   scripts/prometheus.sh BINARY [--full]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh prometheus
tools=$PWD/.tools/prometheus/usr/bin
python=$PWD/.tools/prometheus-python/bin/python

"$python" tests/prometheus/static.py "$tools/promtool"
"$python" tests/prometheus/faults.py "$tools/prometheus" "$tools/prometheus-alertmanager" "$tools/promtool" "$@"
