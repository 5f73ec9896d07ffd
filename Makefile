# `make demo` and `make test` are all that a fresh Debian-like machine with a Rust toolchain needs: they install what is missing, by
# package name, and say what. `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS := $(TARGET)/tools
export PATH := $(TOOLS)/bin:$(PATH)

DENY_VERSION := 0.20.2
TIME ?= 60
SEEDS ?= 20000
SEED ?= $(shell echo $$RANDOM)
MINUTES ?= 30
# bash has a variable of that name, but make has not.
SECONDS ?= 120

.PHONY: help demo test lint advisories bench sim sim-mutants oracle false-positives live soak chaos limits fuzz tools deny-tool

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## build the agent and run the whole job on bundled real logs, then verify the result
	@packaging/install-packages.sh build
	cargo build --release --locked --package sealtrail
	"$(TARGET)/release/sealtrail" demo

test: tools lint ## all checks and all tests; the test runner's summary comes last
	@rm -f "$(TARGET)/tmp/skipped"
	cargo test --workspace --locked --doc
	SEALTRAIL_SKIPPED="$(TARGET)/tmp/skipped" sql/oracle/run.sh
	@$(MAKE) --no-print-directory runner
	@! [ -s "$(TARGET)/tmp/skipped" ] || sort -u "$(TARGET)/tmp/skipped"

# A fresh machine does not have nextest, and building it takes longer than it saves.
.PHONY: runner
runner:
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked --no-fail-fast; \
	else \
	  cargo test --workspace --locked --all-targets --no-fail-fast; \
	fi

lint: deny-tool ## format, clippy, licences and sources of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --locked --all-targets -- -D warnings
	cargo deny check --hide-inclusion-graph licenses bans sources

advisories: deny-tool ## known vulnerabilities of dependencies; fetches the RustSec database
	cargo deny check --hide-inclusion-graph advisories

bench: ## measure on at least 300 MB of a real pgAudit log, made once and kept in target/bench; then every format, a line each
	@packaging/install-packages.sh test
	cargo build --release --locked --package sealtrail
	cargo build --release --locked --package sealtrail-parsers --example throughput
	bench/bench.py all
	bench/formats.py

oracle: deny-tool ## judge the statement reader by PostgreSQL's own parser; precision and recall by kind of statement
	@packaging/install-packages.sh test
	sql/oracle/run.sh --nocapture --test-threads 1

false-positives: ## what redaction takes out of PostgreSQL's regression suite, for a person to read
	@packaging/install-packages.sh test
	cargo build --release --locked --package sealtrail
	sql/oracle/run.sh statements >"$(TARGET)/statements.jsonl"
	bench/false_positives.py "$(TARGET)/statements.jsonl"

live: ## rotate, fill and break a live PostgreSQL's log, a live MariaDB's, and rotate with logrotate, SECONDS each: make live SECONDS=120
	@packaging/install-packages.sh test
	SEALTRAIL_LIVE_SECONDS=$(SECONDS) cargo test --release --locked --test e2e -- live_rotation:: live_mariadb:: logrotate:: --nocapture --test-threads 2

soak: ## run for MINUTES with faults on every side, then compare; figures and graph in target/soak: make soak MINUTES=30
	@packaging/install-packages.sh test
	cargo build --release --locked --package sealtrail
	bench/soak.py --minutes $(MINUTES)

chaos: tools ## all destinations fail in turn for TIME seconds while the agent is killed, then everything is counted: make chaos TIME=1200 SEED=7
	SEALTRAIL_CHAOS_SECONDS=$(TIME) SEALTRAIL_TEST_SEED=$(SEED) cargo test --release --locked --test delivery -- chaos:: --nocapture

limits: ## memory and freshness at the limits: sessions, files, huge rows, backlogs; needs 15 GB of disk and ten minutes
	@packaging/install-packages.sh test
	cargo build --release --locked --package sealtrail
	bench/limits.py

sim: ## run the agent in simulated worlds, SEEDS of them, and make every durable call go wrong: make sim SEEDS=20000
	@packaging/install-packages.sh build
	SEALTRAIL_SIM_SEEDS=$(SEEDS) SEALTRAIL_SIM_EVERY=1 cargo test --release --locked --package sealtrail --test sim -- --nocapture

sim-mutants: ## take one safeguard at a time out of the agent: the simulator must notice; needs half an hour
	@packaging/install-packages.sh build
	tests/sim/mutants.py --seeds $(SEEDS)

fuzz: ## fuzz every target for TIME seconds: make fuzz TIME=60
	fuzz/run.sh $(TIME)

tools: ## install what the tests need
	@packaging/install-packages.sh test
	@packaging/install-test-tools.sh
	@if [ -x tests/install.sh ]; then tests/install.sh; fi

# Its own build folder: the project's may be locked by a build under way. A debug build is slow to run and twice as fast to have.
deny-tool:
	@if ! cargo deny --version >/dev/null 2>&1; then \
	  echo "installing with cargo into $(TOOLS)/bin: cargo-deny $(DENY_VERSION)"; \
	  CARGO_TARGET_DIR="$(TOOLS)/build" cargo install --debug --quiet --locked cargo-deny --version $(DENY_VERSION) --root "$(TOOLS)"; \
	  rm -rf "$(TOOLS)/build"; \
	fi
