# Everything a newcomer needs; `make help` lists it. Targets build the environment (.venv) when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZE ?= small
SOURCE ?=
.DEFAULT_GOAL := help
# Containers often forbid Python to keep what it has compiled: every test process would compile it all again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install lock demo demo-bot demo-logs demo-scoring serve test fault load bench examples lint types format
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## a month's alerts from a sample file to a mock Slack, in one minute
	@$(BIN)/python -m mock_slack.demo

demo-logs: $(VENV)/.installed ## two days of an event log, with a burst over midnight, to a mock Slack
	@$(BIN)/python -m mock_slack.demo_logs

demo-scoring: $(VENV)/.installed ## two hundred companies, one at high risk of default, to a mock Slack
	@$(BIN)/python -m mock_slack.demo_scoring

demo-bot: $(VENV)/.installed ## a month's alerts by a bot, which finds the messages whose answers were lost; a button is pressed
	@$(BIN)/python -m mock_slack.demo_bot

serve: $(VENV)/.installed ## run the service on 127.0.0.1:8000 (settings: environment or .env)
	@$(BIN)/risk-alerts serve

test: $(VENV)/.installed ## the test suite
# More workers than cores: a test waits for a server or a process most of its time.
	@$(BIN)/pytest -n 4 --dist worksteal -m "not fault and not load"

fault: $(VENV)/.installed ## kills, freezes and full disks
	@$(BIN)/pytest -m fault

load: $(VENV)/.installed ## thousands of alerts through the mock Slack, with and without faults
	@$(BIN)/pytest -m load -s

bench: .venv-bench/.installed ## benchmarks against DuckDB, Polars and pandas (SIZE=full, ONLY="evaluate start")
	@.venv-bench/bin/python -m benchmarks --size $(SIZE) $(if $(ONLY),--only $(ONLY))

examples: $(VENV)/.installed ## the examples of the API from a real file: make examples SOURCE=/path/to/file.parquet
	@test -n "$(SOURCE)" || { echo "make examples SOURCE=/path/to/monthly_account_status.parquet"; exit 1; }
	@$(BIN)/python -m mock_slack.examples "$(SOURCE)" service/api/examples

lint: $(VENV)/.installed ## ruff, and the layers that imports must respect
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache

types: $(VENV)/.installed ## mypy --strict, tests included
	@$(BIN)/mypy

format: $(VENV)/.installed ## let ruff mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

install: $(VENV)/.installed ## build the environment in .venv

# $(call environment,FOLDER,LOCK): a virtual environment with exactly what the lock file names, hashes checked.
define environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …"; exit 1; }
@test -x $(1)/bin/python || { echo "building $(1) (once)"; $(PYTHON) -m venv $(1); }
@command -v uv >/dev/null || test -x $(1)/bin/uv || $(1)/bin/python -m pip install --quiet --disable-pip-version-check uv
@PATH="$(abspath $(1))/bin:$$PATH" uv pip install --quiet --compile-bytecode --python $(1)/bin/python --require-hashes -r $(2)
@PATH="$(abspath $(1))/bin:$$PATH" uv pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation -e .
@touch $@
endef

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	$(call environment,$(VENV),requirements-dev.lock)

.venv-bench/.installed: requirements-bench.lock pyproject.toml
	$(call environment,.venv-bench,requirements-bench.lock)

lock: $(VENV)/.installed ## resolve the dependencies again (hashes, no index addresses)
	@PATH="$(abspath $(BIN)):$$PATH"; for each in "requirements.lock --extra postgres" "requirements-dev.lock --group dev" \
	  "requirements-bench.lock --group dev --group bench"; do \
	  set -- $$each; out=$$1; shift; \
	  uv pip compile pyproject.toml $$@ --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header --no-emit-index-url -o $$out; done
