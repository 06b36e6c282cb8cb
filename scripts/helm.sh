#!/usr/bin/env bash
# Holds the chart against the real helm, Kubernetes' schemas, those of custom resources, and the program: lint, render,
# validate, let the binary read the variables that the chart made, and run the pod of `helm test` against a gateway.
#
#   scripts/helm.sh [BINARY]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh helm kubernetes-validate crds

binary=$(realpath "${1:-target/debug/emgate}")
tools=$PWD/.tools
chart=helm/emgate
python=$tools/python/bin/python
out=$(mktemp -d "$tools/chart.XXXXXX")
trap 'rm -rf "$out"' EXIT
mkdir "$out/rendered" "$out/parts"
export HELM_CACHE_HOME=$out/cache HELM_CONFIG_HOME=$out/config HELM_DATA_HOME=$out/data

fail() {
    printf 'helm: %s\n' "$*" >&2
    exit 1
}

for values in "$chart"/ci/*.yaml; do
    name=$(basename "$values" .yaml)
    rendered=$out/rendered/$name.yaml
    "$tools/bin/helm" lint --strict --quiet "$chart" -f "$values" || fail "lint refuses the chart with $values"
    "$tools/bin/helm" template release "$chart" -f "$values" >"$rendered" || fail "$values does not render"
    "$tools/bin/helm" template release "$chart" -f "$values" | cmp --quiet - "$rendered" || fail "$values renders differently each time"
    "$python" scripts/chart_kinds.py "$rendered" "$out/parts/$name.yaml" "$out/parts/$name.json"
    # The oldest version that Chart.yaml allows, and the newest that the validator knows.
    for version in 1.27 1.37; do
        "$tools/bin/kubernetes-validate" --strict --quiet --kubernetes-version "$version" "$out/parts/$name.yaml" ||
            fail "Kubernetes $version would refuse what $values renders"
    done
    node scripts/chart_crds.mjs "$tools/crds/node_modules" "$out/parts/$name.json" >"$out/crds" ||
        fail "an operator would refuse what $values renders"
    "$python" scripts/chart_variables.py "$rendered" "$binary" || fail "the program refuses the configuration that $values renders"
    printf 'helm: %s lints, renders, is valid (%s), and the program reads it\n' "$values" "$(cat "$out/crds")"
done

# What follows from the values.
"$tools/bin/helm" template release "$chart" -f "$chart/ci/minimal.yaml" \
    --set podSecurityContext=null --set securityContext=null >"$out/rendered/bare.yaml" || fail "does not render without security contexts"
"$python" scripts/chart_expect.py "$out/rendered" >"$out/said" || fail "does not follow its values"
printf 'helm: %s\n' "$(cat "$out/said")"

# What must be refused.
! "$tools/bin/helm" template release "$chart" >/dev/null 2>"$out/refused" || fail "renders without an address of EM"
grep -q 'config.upstream.url is required' "$out/refused" || fail "does not say that the address of EM is missing"
"$python" scripts/chart_sections.py "$chart" src/emgate.default.toml || fail "the schema does not know the program's configuration"
"$python" scripts/chart_refused.py "$tools/bin/helm" "$chart" >"$out/said" || fail "does not refuse what it should"
printf 'helm: %s\n' "$(cat "$out/said")"

# What people read and run.
"$python" scripts/chart_readme.py "$chart" --check || fail "README.md is stale"
"$python" scripts/chart_test_pod.py "$out/rendered/minimal.yaml" "$binary" || fail "the pod of helm test does not do its work"
printf 'helm: the table of values is fresh, and the pod of helm test tells a ready gateway from an absent one\n'
