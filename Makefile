# Thin on purpose: the real interface is the command `taskloom`, see `.venv/bin/taskloom --help`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:

# A name that is found may still be an empty shim, so each is asked for its version.
PY ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export COVERAGE_FILE := .coverage

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- what runs -----------------------------------------------------------------

.PHONY: demo up
demo: setup ## Start everything, submit a goal, show it; needs only Python
	@$(BIN)/taskloom demo $(ARGS)

up: setup ## Start everything and stay up
	@$(BIN)/taskloom up $(ARGS)

.PHONY: bench
bench: dev ## Measure throughput beside a hand-written floor, and the cost of size
	@$(BIN)/python -m tests.bench $(ARGS)

# -- what checks ---------------------------------------------------------------

.PHONY: test quick lint fix
test: dev ## Run every test, on two cores, with coverage
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n 2 --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include='domain/*' --fail-under=98
	@$(BIN)/coverage report --fail-under=90

quick: dev ## Run the tests without coverage; ARGS="-k lease" picks some
	@$(BIN)/pytest -q $(ARGS)

lint: dev ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports

fix: dev ## Repair what style checks can repair
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# -- what installs -------------------------------------------------------------

.PHONY: setup dev lock clean
setup: .venv/.setup ## Install what running needs into .venv
dev: .venv/.dev ## Install what changing needs into .venv

.venv/bin/python:
	@if [ -z "$(PY)" ]; then echo "taskloom: needs Python 3.11 or newer on PATH, or make PY=/path/to/python" >&2; exit 1; fi
	@# Debian has Python without ensurepip unless python3-venv is installed; its pip can install from outside.
	@$(PY) -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; $(PY) -m venv --without-pip .venv; }

# $(1): a lock. Hashes for everything, and nothing that the lock does not name.
define install
	@echo "taskloom: installing $(1) into .venv"
	@if [ -x $(BIN)/pip ]; then pip="$(BIN)/python -m pip"; else pip="$(PY) -m pip --python $(BIN)/python"; fi; \
	$$pip install -q --require-hashes --no-deps -r $(1) && \
	$$pip install -q --no-build-isolation --no-deps -e .
endef

.venv/.setup: requirements.lock pyproject.toml | .venv/bin/python
	$(call install,requirements.lock)
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/bin/python
	$(call install,requirements-dev.lock)
	@touch $@ .venv/.setup

UV_COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
lock: ## Pin the dependencies again; needs uv in .venv, ARGS=--upgrade for newer ones
	$(UV_COMPILE) $(ARGS) --all-extras pyproject.toml build.in -o requirements-dev.lock
	$(UV_COMPILE) $(ARGS) pyproject.toml build.in -c requirements-dev.lock -o requirements.lock
	@! grep -n '://' requirements.lock requirements-dev.lock || { echo "taskloom: a lock names an address" >&2; exit 1; }

clean: ## Remove .venv and what tools leave behind; .taskloom (your data) stays
	rm -rf .venv .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
