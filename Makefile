# Everything a newcomer needs; `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help install lock lint types test
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## build the environment in .venv (other targets do it when needed)

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@PATH="$(abspath $(BIN)):$$PATH" uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@PATH="$(abspath $(BIN)):$$PATH" uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

lock: ## resolve the dependencies again and write the lock files (hashes, no index addresses)
	@PATH="$(abspath $(BIN)):$$PATH"; for g in "requirements.lock" "requirements-dev.lock --group dev" "requirements-bench.lock --group dev --group bench"; do \
	  set -- $$g; out=$$1; shift; \
	  uv pip compile pyproject.toml $$@ --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url -o $$out; done

lint: install ## ruff: lint and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install ## mypy --strict, tests included
	@$(BIN)/mypy

test: install ## the test suite
	@$(BIN)/pytest -n 2 -m "not fault and not load"
