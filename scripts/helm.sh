#!/usr/bin/env bash
# Holds the chart against the real helm, Kubernetes' schemas and the program: lint, render, validate, and let the
# binary read the variables that the chart made.
#
#   scripts/helm.sh [BINARY]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh helm kubernetes-validate

binary=$(realpath "${1:-target/debug/emgate}")
tools=$PWD/.tools
chart=helm/emgate
out=$(mktemp -d "$tools/chart.XXXXXX")
trap 'rm -rf "$out"' EXIT
export HELM_CACHE_HOME=$out/cache HELM_CONFIG_HOME=$out/config HELM_DATA_HOME=$out/data

fail() {
    printf 'helm: %s\n' "$*" >&2
    exit 1
}

for values in "$chart"/ci/*.yaml; do
    name=$(basename "$values" .yaml)
    "$tools/bin/helm" lint --strict --quiet "$chart" -f "$values" || fail "lint refuses the chart with $values"
    "$tools/bin/helm" template release "$chart" -f "$values" >"$out/$name.yaml" || fail "$values does not render"
    for version in 1.27 1.37; do
        "$tools/bin/kubernetes-validate" --strict --quiet --kubernetes-version "$version" "$out/$name.yaml" ||
            fail "Kubernetes $version would refuse what $values renders"
    done
    "$tools/python/bin/python" scripts/chart_variables.py "$out/$name.yaml" "$binary" ||
        fail "the program refuses the configuration that $values renders"
    printf 'helm: %s lints, renders, is valid, and the program reads it\n' "$values"
done

# What follows from the values.
"$tools/bin/helm" template release "$chart" -f "$chart/ci/minimal.yaml" \
    --set podSecurityContext=null --set securityContext=null >"$out/bare.yaml" || fail "does not render without security contexts"
"$tools/python/bin/python" scripts/chart_expect.py "$out" || fail "does not follow its values"
printf 'helm: ports, schemes, volumes and security contexts follow the values\n'

# What must be refused.
! "$tools/bin/helm" template release "$chart" >/dev/null 2>"$out/refused" || fail "renders without an address of EM"
grep -q 'config.upstream.url is required' "$out/refused" || fail "does not say that the address of EM is missing"
for wrong in 'replicaCount=2' 'service.port=0' 'persistence.size=plenty' 'config.watcher.interval=2s' 'image.pullPolicy=Sometimes' \
    'config.server.listen=127.0.0.1:8080' 'config.server.listen=[::]:0' 'config.store.url=sqlite:///emgate.db' 'securityContext=none'; do
    ! "$tools/bin/helm" template release "$chart" -f "$chart/ci/minimal.yaml" --set "$wrong" >/dev/null 2>&1 ||
        fail "accepts the wrong value $wrong"
done
printf 'helm: wrong values are refused\n'
