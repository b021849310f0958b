# Needs python3 (3.11 or newer, with venv), git and make; everything else is put into .venv from the lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The system's own where it will do: a service should not hang on somebody's pyenv, and distributions build theirs to be
# quick, which a Python built at home mostly isn't.
PYTHON ?= $(shell for one in /usr/bin/python3 python3; do \
	"$$one" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; done; echo "$$one")
PYTEST_FLAGS ?=
FAULT_FLAGS ?=
BIN := .venv/bin
LOCKED := .venv/.locked
STAMP := .venv/.installed
INSPECT := .appinspect/.locked

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: venv
venv: $(STAMP) ## make .venv from requirements-dev.lock

$(LOCKED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("connlog needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@

$(STAMP): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: appinspect
appinspect: $(INSPECT) ## make .appinspect, Splunk's inspection of add-ons, from its own lock

$(INSPECT): requirements-appinspect.lock
	$(PYTHON) -m venv --clear .appinspect
	.appinspect/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-appinspect.lock
	.appinspect/bin/splunk-appinspect list version >/dev/null
	@touch $@

.PHONY: run
run: $(STAMP) ## see it work: the daemon on a sample log, a search, the status
	$(BIN)/python demo/run.py

.PHONY: test
test: lint docs-check ## everything that must hold: lint, documentation, tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

.PHONY: lint
lint: $(STAMP) ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## rewrite the code as ruff has it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: coverage
coverage: $(STAMP) ## the tests, and which branches they leave out
	$(BIN)/python -m pytest --cov --cov-report=term $(PYTEST_FLAGS)

.PHONY: bench
bench: $(STAMP) ## lines a second and memory, beside references
	$(BIN)/python -m bench
	$(BIN)/python -m bench.index
	$(BIN)/python -m bench.cost

.PHONY: fuzz
fuzz: $(STAMP) ## look for inputs that break the parser, SECONDS long (240)
	$(BIN)/python -m tests.fuzz $(or $(SECONDS),240)

.PHONY: fault
fault: $(STAMP) ## kill the daemon 200 times under a writer, and write docs/reliability.md
	$(BIN)/python -m tests.fault --page docs/reliability.md $(FAULT_FLAGS)

.PHONY: docs
docs: $(STAMP) ## write config/connlog.toml, docs/configuration.md, docs/metrics.md, docs/connlog.1 and the recorded examples
	$(BIN)/python -m shipper.config.document
	$(BIN)/python -m shipper.web.document
	$(BIN)/python -m shipper.cli.manual
	$(BIN)/python demo/console.py

.PHONY: docs-check
docs-check: $(STAMP) ## do they and the pages say what the code does?
	$(BIN)/python -m shipper.config.document --check
	$(BIN)/python -m shipper.web.document --check
	$(BIN)/python -m shipper.cli.manual --check
	$(BIN)/python demo/console.py --check
	$(BIN)/python -m pytest --quiet tests/docs

.PHONY: deb
deb: ## build the Debian package into build/deb; as root it installs what that needs
	debian/build build/deb

.PHONY: container-check
container-check: $(STAMP) ## build the image on a clean Debian made by debootstrap, and run it there by both manifests (root)
	test -d build/root || { mkdir -p build && debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm build/root.new && mv build/root.new build/root; }
	CONNLOG_CLEAN_ROOT=$(CURDIR)/build/root $(BIN)/python -m pytest tests/packaging/test_container.py $(PYTEST_FLAGS)

.PHONY: lock
lock: $(STAMP) ## renew the lock files from pyproject.toml
	$(PYTHON) -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip install --quiet --disable-pip-version-check pip-tools
	export PIP_CONFIG_FILE=/dev/null; unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL; \
	compile=".venv/lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate --no-emit-options"; \
	$$compile --extra dev --output-file requirements-dev.lock pyproject.toml; \
	$$compile --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
	export PIP_CONFIG_FILE=/dev/null; unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL; \
	echo 'splunk-appinspect>=4.3,<5' | .venv/lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate --no-emit-options --output-file requirements-appinspect.lock -
	rm -rf .venv/lock

.PHONY: clean
clean: ## remove what was made
	rm -rf .venv .appinspect .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* dist build
