# `make` alone lists the targets; each works on a fresh clone that has Python 3.11 or newer.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
# Tests mostly wait for brokers, so more of them run at once than there are cores; each worker has brokers of its own.
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup demo up kafka test test-long crash fuzz lint format bench bench-forecast bench-spikes lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install everything that requirements.lock names

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Streamgauge needs Python 3.11 or newer and found none on the PATH: install it, or run make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Start the whole house on this machine and send traffic through it
	$(BIN)/streamgauge demo

up: setup ## Run the whole house on this machine until Ctrl-C
	$(BIN)/streamgauge up

kafka: setup ## Run an Apache Kafka on loopback for tests, until Ctrl-C (needs Java 17 and Maven)
	$(BIN)/python -m tests.support.kafka

test: setup ## Run every test, those on Apache Kafka too where it can run
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 30 --durations-min 10

test-long: setup ## Run the tests that take minutes each (about 6 minutes)
	$(BIN)/python -m pytest -m long

crash: setup ## Kill and stall roles, Kafka and ClickHouse, 200 times and more; hold the figures against an oracle
	$(BIN)/python -m tests.crash $(ARGS)

fuzz: setup ## Spoil a million messages and hand them to every decoder; prints its seed
	$(BIN)/python -m tests.fuzz --inputs 1150000

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Put the code into its shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure speed; see benchmarks/README.md
	$(BIN)/python -m benchmarks

bench-forecast: setup ## Hold forecasts against linear projection on simulated fleets and traces (under 3 minutes)
	$(BIN)/python -m benchmarks.bench_forecast $(ARGS)

bench-spikes: setup ## Hold the spike detector against three others on simulated fleets (about 5 minutes)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-bench.lock
	$(BIN)/python -m benchmarks.bench_spikes $(ARGS)

lock: setup ## Resolve the dependencies of pyproject.toml anew
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --all-extras --group dev \
		--python-version 3.11 --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --group bench --constraint requirements.lock \
		--python-version 3.11 --custom-compile-command "make lock" --output-file requirements-bench.lock

clean: ## Remove .venv, caches and build output
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
