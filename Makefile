# `make` alone says what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
export CDC_RELAY_BIN

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:
	@scripts/setup

.PHONY: build
build: setup ## build everything (debug)
	cargo build --workspace --all-targets

# The environment of the servers is read in the recipe, so that a DATABASE_URL of the caller's is not used by mistake.
.PHONY: test
test: CDC_RELAY_BIN = $(TARGET)/debug/cdc-relay
test: setup ## every test: unit, property, end to end on real servers; SKIP_STACK_TEST=1 leaves the docker stack out
	@scripts/setup browser
	docker/check
	docker/stack-test --optional
	scripts/services up
	@[[ $${SKIP_POSTGRES_VERSIONS:-} == 1 ]] || scripts/postgres-version >/dev/null
	cargo build --workspace --bins
	set -a; . "$${SERVICES_DIR:-.services}/env"; set +a; cargo test --workspace --no-fail-fast

.PHONY: demo
demo: CDC_RELAY_BIN = $(TARGET)/release/cdc-relay
demo: setup ## stories on real servers, with kills; fails if a promise is broken: STORY=relay|sns|coupon, or all
	cargo build --release -p cdc-relay -p sns -p coupon -p cdc-e2e
	STORY="$(STORY)" SERVICES_DIR=.services-demo "$(TARGET)/release/demo"

.PHONY: chaos
chaos: CDC_RELAY_BIN = $(TARGET)/release/cdc-relay
chaos: setup ## long fault-injection run: SECONDS=600 SEED=1 WHAT=relay|consumers
	cargo build --release -p cdc-relay -p cdc-e2e
	$(if $(SECONDS),CHAOS_SECONDS=$(SECONDS)) $(if $(SEED),SEED=$(SEED)) $(if $(WHAT),CHAOS_WHAT=$(WHAT)) SERVICES_DIR=.services-chaos "$(TARGET)/release/chaos"

.PHONY: bench
bench: CDC_RELAY_BIN = $(TARGET)/release/cdc-relay
bench: setup ## benchmarks, as ratios against a reference in the same run
	cargo build --release -p cdc-relay -p cdc-bench
	SERVICES_DIR=.services-bench "$(TARGET)/release/cdc-bench"

.PHONY: services-up
services-up: ## start PostgreSQL, Kafka and Redis on loopback; settings in .services/env
	@scripts/services up

.PHONY: services-down
services-down: ## stop them; the data stays
	@scripts/services down

.PHONY: services-status
services-status: ## what runs, and where
	@scripts/services status

STACK = docker compose --file docker/compose.yaml
OVERRIDES = --file docker/compose.standby.yaml --file docker/compose.brokers.yaml

.PHONY: up
up: ## the docker compose stack, healthy; WITH="standby brokers" adds those, PROFILE=observe Prometheus and Grafana
	docker/make-secrets
	$(STACK) $(foreach name,$(WITH),--file docker/compose.$(name).yaml) $(if $(PROFILE),--profile $(PROFILE)) \
	  up --build --detach --wait --wait-timeout 600

.PHONY: down
down: ## stop and remove the stack; the data stays, unless VOLUMES=1
	$(STACK) $(OVERRIDES) --profile observe down --remove-orphans $(if $(filter 1,$(VOLUMES)),--volumes)
# With three brokers the single one's volume is no part of the stack, and is not removed.
	$(if $(filter 1,$(VOLUMES)),$(STACK) down --volumes)
	$(if $(filter 1,$(VOLUMES)),rm -rf docker/secrets)

.PHONY: stack-test
stack-test: ## builds a stack of its own, breaks it in every way, and counts what was lost; takes minutes
	docker/stack-test

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: lint
lint: setup ## formatting, clippy, documentation, and the rules of the repository
	scripts/check-tree
	scripts/check-file-length
	scripts/check-crate-edges
	scripts/check-dependencies
	scripts/check-shell
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace
