# The project's commands; each does its own set-up. `make` alone lists them.
# Everything that is fetched goes below .tools (ignored by git); only the browser comes by apt.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help fmt test lint fmt-check clippy supply scripts-check unit browser console-load console-pictures helm systemd manual packages portable dist dist-short dist-check dist-reproducible openapi openapi-check openapi-full sdk-check chat pictures guides reports reports-full prometheus prometheus-full oidc api-fuzz api-fuzz-short bench bench-compare chaos streams store-copy model prove demo fuzz image-check

export CARGO_TERM_PROGRESS_WHEN ?= never
# The same cases in every run, so that a failure is about the change at hand; `make fuzz` draws new ones.
export PROPTEST_RNG_SEED ?= 20260506
# CI compares whole answers with the recorded ones and records none.
ifdef CI
export INSTA_UPDATE := no
endif
BINARY := target/debug/emgate

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

fmt: ## Format the code
	cargo fmt

test: ## Everything CI runs: lint, tests, chart, units of systemd, manual pages, list of parts, OpenAPI document, generated clients and requests, chat messages, guides, alerts, identity provider, documentation page in a browser
	@scripts/steps.sh lint unit helm systemd manual dist-short openapi-check sdk-check chat guides reports prometheus oidc api-fuzz-short browser

lint: ## Formatting, clippy without warnings, dependencies, Dockerfile, scripts
	@scripts/steps.sh fmt-check clippy supply scripts-check

fmt-check:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --features postgres,jemalloc --lib --bins -- -D warnings
	cargo clippy --locked --no-default-features --features demo --lib --bins -- -D warnings

supply:
	scripts/supply.sh

scripts-check:
	scripts/tools.sh hadolint
	.tools/bin/hadolint Dockerfile
	for script in scripts/*.sh packaging/*.sh packaging/deb/* packaging/rpm/* .ci/run; do bash -n "$$script"; done

unit: ## All Rust tests: rooms, gateway, binary, OpenAPI file; the store on SQLite and PostgreSQL
	scripts/tools.sh postgres
	cargo test --locked --no-fail-fast
	@printf '\n=== once more on PostgreSQL\n'
	scripts/with-postgres.sh cargo test --locked --no-fail-fast --lib

$(BINARY): FORCE
	cargo build --locked
FORCE:

browser: $(BINARY) ## The documentation page, a stream of events and the console in a real browser
	scripts/tools.sh browser console oidc
	scripts/console.sh
	node tests/browser/docs.mjs $(BINARY)
	node tests/browser/streams.mjs $(BINARY)
	node tests/browser/console.mjs $(BINARY)
	node tests/browser/console_sessions.mjs $(BINARY)
	node tests/browser/console_access.mjs $(BINARY)
	RUNNING=200 EVENTS=5000 node tests/browser/console_load.mjs $(BINARY)

console-load: $(BINARY) ## The console under load: 2,000 running failovers, a slow line and machine, 100,000 events
	scripts/tools.sh browser
	node tests/browser/console_load.mjs $(BINARY)

console-pictures: $(BINARY) ## The pictures of the console in docs/pictures
	scripts/tools.sh browser
	node tests/browser/console_pictures.mjs $(BINARY)

helm: $(BINARY) ## Lint, render and validate the chart, and run its test pod's command
	scripts/helm.sh $(BINARY)

systemd: ## The units of systemd: verified, and how exposed systemd finds them
	scripts/systemd.sh

manual: $(BINARY) ## The manual pages read by man and mandoc, the completions by their shells
	scripts/manual.sh $(BINARY)

packages: $(BINARY) ## The .deb and the .rpm; the .deb lives in a fresh Debian 12 and 13 with systemd (needs root)
	scripts/packages.sh $(BINARY)

portable: ## A release binary that runs with glibc 2.28 and newer (Debian 10, RHEL 8)
	scripts/portable.sh

dist: ## What is handed out, in dist/: program, packages, chart, list of parts, provenance, signed sums (MINISIGN_KEY=file)
	scripts/dist.sh

dist-short:
	scripts/dist.sh --short

dist-check: ## The same with a development build, and its checks: parts by cargo and by the program itself, signature, flipped bytes
	scripts/dist.sh --check

dist-reproducible: ## Two release builds in two folders are one, byte for byte (nightly; PROFILE=demo is faster)
	scripts/dist.sh --reproducible

openapi: ## Record the examples of the mirror and write openapi/emgate.v1.json anew
	mkdir -p openapi
	EMGATE_RECORD_EXAMPLES=1 cargo test --locked --quiet --test it em_examples
	cargo run --locked --quiet -- openapi > openapi/emgate.v1.json.new
	mv openapi/emgate.v1.json.new openapi/emgate.v1.json

openapi-check: ## Check the OpenAPI document with Redocly, Spectral and openapi-spec-validator
	scripts/tools.sh openapi
	scripts/openapi.sh

openapi-full: ## The same with the mirror's operations, which Spectral takes minutes for
	scripts/tools.sh openapi
	scripts/openapi.sh --full

sdk-check: $(BINARY) ## Generate clients from the document, compile them, and use them against a gateway
	scripts/sdk.sh $(BINARY)

chat: ## Messages for chats, judged by Slack's and Microsoft's own libraries
	scripts/chat.sh check

pictures: ## Record the examples of docs/formats.md and draw its pictures anew
	EMGATE_RECORD_EXAMPLES=1 cargo test --locked --quiet --lib formats::documentation
	scripts/chat.sh pictures
	cargo build --locked
	scripts/reports.sh $(BINARY) --pictures

guides: $(BINARY) ## The examples of docs/guides against a gateway: receivers, the official webhook libraries, automation platforms
	scripts/guides.sh $(BINARY)

reports: $(BINARY) ## Recovery reports: an independent verifier, 10,000 flipped bits, pages drawn and printed by a browser
	scripts/reports.sh $(BINARY)

reports-full: $(BINARY) ## The same with 10,000 random documents beside the canonical form of another library
	scripts/reports.sh $(BINARY) --full

prometheus: $(BINARY) ## Alerts, runbooks, dashboards: rule tests, and Debian's Prometheus before a gateway with faults
	scripts/prometheus.sh $(BINARY)

prometheus-full: $(BINARY) ## The same with every duration as operators get it: half an hour
	scripts/prometheus.sh $(BINARY) --full

oidc: $(BINARY) ## A real identity provider before a real gateway: rotation, and a provider that is away, slow or hostile
	scripts/tools.sh oidc
	node tests/oidc/provider.mjs $(BINARY)

api-fuzz: $(BINARY) ## Requests generated from the OpenAPI document, to a gateway (TIME=60 seconds, SEED=20260506)
	scripts/api-fuzz.sh $(BINARY) --time $${TIME:-60} --seed $${SEED:-20260506}

api-fuzz-short: $(BINARY)
	scripts/api-fuzz.sh $(BINARY) --short

bench: ## One table of all that is measured, beside nginx, Envoy, pgbench, other converters (ROUNDS=5 TIME=0.7)
	scripts/tools.sh converters nginx envoy postgres
	scripts/bench.sh

bench-compare: ## What a change did: this tree beside BASE=revision, in interleaved rounds (ROUNDS=5 TIME=0.7)
	scripts/bench.sh --compare $(BASE)

chaos: ## Kills gateways, replicas, their database, then holds the books against each other (ROUNDS=200 APPROVAL_ROUNDS=500 SEED=1)
	scripts/tools.sh postgres
	ROUNDS=$${ROUNDS:-200} APPROVAL_ROUNDS=$${APPROVAL_ROUNDS:-500} SEED=$${SEED:-1} cargo test --locked --test chaos -- --nocapture

streams: ## Streams through kills and changes of replicas, and platforms that poll (STREAM_EVENTS=100000 POLLING_RUNS=1000)
	scripts/tools.sh postgres
	STREAM_EVENTS=$${STREAM_EVENTS:-100000} POLLING_RUNS=$${POLLING_RUNS:-1000} \
		cargo test --locked --test it -- replicas::streams automation --nocapture

store-copy: ## A store of a million rows copied to a server by a process that is killed (STORE_COPY_ROWS=1000000)
	scripts/tools.sh postgres
	STORE_COPY_ROWS=$${STORE_COPY_ROWS:-1000000} cargo test --locked --test it -- store_copy --nocapture

model: ## Every order of steps of the at-most-once protocol, in small and larger worlds
	MODEL=large cargo test --locked --test model -- --nocapture

prove: ## Every proof that takes longer than CI allows: chaos, streams, the model, fuzzing, generated requests, packages, what is handed out, benchmarks
	@scripts/steps.sh chaos streams store-copy console-load model openapi-full fuzz api-fuzz reports-full prometheus-full packages dist-check bench

demo: ## The main job on this machine: simulator, gateway, verified webhook
	cargo demo --fast

fuzz: ## Fuzz the transcoder, the filters and the configuration (TIME=60, seconds for each target)
	scripts/fuzz.sh $${TIME:-60}

image-check: ## The image's runtime stage, built and run on a base made from Debian packages (needs root)
	scripts/image.sh
