# make run · test · test-fast · check · bench: each sets up what it needs, once.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
  $(name) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement
NPM := $(BIN)/python scripts/npm.py

# Stamps: each says that its step was done with the files it depends on.
INSTALLED := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
MODULES := web/node_modules/.package-lock.json
PAGE := stream_detect/page/index.html
PAGE_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -not -path 'web/tests/*' -print 2>/dev/null)

.PHONY: help run test test-fast check bench bench-cameras bench-review bench-cuts bench-training bench-cluster soak web api-types wheel check-wheel sbom lock clean peers compiled

help:
	@echo 'make run     set up and serve at http://127.0.0.1:8080'
	@echo 'make test    set up and run the tests'
	@echo 'make test-fast   those that need no browser, broker, database or server process'
	@echo 'make check   format, lint, types and import rules, Python and web'
	@echo 'make bench   measure the live check: JSON in build/live.json and a table'
	@echo 'make bench-cameras   measure cameras: JSON in build/cameras.json and a table'
	@echo 'make bench-review    measure reviews of videos: JSON in build/review.json and a table'
	@echo 'make bench-training  measure trainings, a minute each backend: JSON in build/training.json and a table'
	@echo 'make bench-cuts      measure cuts and call grids: JSON in build/cuts.json and a table'
	@echo 'make bench-cluster   measure cameras on workers, and kills of them: JSON in build/cluster.json and a table'
	@echo 'make soak    let peers misbehave for ten minutes: memory, threads and files stay flat'
	@echo 'make web     build the page'
	@echo 'make api-types   renew the types by which the page reads the API'
	@echo 'make wheel   build dist/stream_detect-VERSION-py3-none-any.whl, with the page and the models'
	@echo 'make check-wheel   install it into a fresh environment and serve with it'
	@echo 'make sbom    list what the lock files install: CycloneDX in build/sbom.json'
	@echo 'make lock    renew the lock files after a change of pyproject.toml'
	@echo 'make clean   remove all that these made'

run: $(INSTALLED) $(PAGE)
	@exec $(BIN)/python server.py

# One process more than there are processors, since tests wait more than they work; four at most, as each may hold
# TensorFlow, a PostgreSQL and a browser. A file's tests stay together, because they share servers; those on Ray are as
# one file, because they share a cluster (tests/conftest.py).
# A test that fails has one more turn; if it passes then, the summary names it under "rerun".
TWICE := --reruns 1 -rR
WORKERS = $(shell $(BIN)/python -c 'import os; print(min(os.cpu_count() + 1, 4))')
test: $(DEV) $(PAGE) compiled peers
	$(BIN)/python -m pytest $(TWICE) -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Some hundred processes of the tests import it: where none may write bytecode, each compiles all of it.
compiled: $(DEV)
	@$(BIN)/python -m compileall -q stream_detect

# What takes a minute, for while one works.
test-fast: $(DEV) compiled
	$(BIN)/python -m pytest -n logical -m 'not browser and not tensorflow and not peer and not server and not slow'

check: $(DEV) $(MODULES)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NPM) run lint
	$(NPM) run typecheck
	$(NPM) run test

bench: $(DEV) $(PAGE)
	$(BIN)/python benchmarks/live.py --json build/live.json

bench-cameras: $(DEV) peers
	$(BIN)/python benchmarks/cameras.py --json build/cameras.json

bench-training: $(DEV)
	$(BIN)/python benchmarks/training.py --json build/training.json

bench-review: $(DEV)
	$(BIN)/python benchmarks/review.py --json build/review.json

bench-cuts: $(DEV)
	$(BIN)/python benchmarks/cuts.py --json build/cuts.json

bench-cluster: $(DEV) peers
	$(BIN)/python benchmarks/cluster.py --json build/cluster.json

# The test of a minute, for ten.
soak: $(DEV) $(PAGE)
	STREAM_DETECT_SOAK_S=600 $(BIN)/python -m pytest tests/webrtc/test_soak.py

web: $(PAGE)

# After a change of the bodies of the API: what the page reads them by.
api-types: $(DEV) $(MODULES)
	$(BIN)/python -m scripts.api_types

check-wheel: $(DEV) wheel
	$(BIN)/python scripts/check_wheel.py

# CycloneDX: the container's packages, which are those of requirements.lock and two drivers, and those of the page.
sbom: $(DEV)
	@$(BIN)/python scripts/sbom.py

# With the setuptools of requirements.lock; scripts/wheel.py is its build step.
wheel: $(INSTALLED) $(PAGE)
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header
lock: $(DEV)
	$(LOCK) --group build pyproject.toml -o requirements.lock
	$(LOCK) --group build --extra postgres --extra mqtt --extra c2pa -c requirements.lock pyproject.toml -o packaging/requirements.lock
	$(LOCK) --group dev --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(LOCK) --group node -o requirements-node.lock

clean:
	rm -rf $(VENV) web/node_modules stream_detect/page build *.egg-info .cache .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'stream-detect needs Python 3.11, 3.12 or 3.13, and none is on the PATH:' \
	  'install one, or name it: make PYTHON=/path/to/python3.12' >&2; exit 2; }
	@'$(PYTHON)' -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "stream-detect needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$('$(PYTHON)' --version)" >&2; exit 2; }
	@'$(PYTHON)' -m venv $(VENV) || { echo 'Python has no venv module here: on Debian, apt install python3-venv' >&2; \
	  exit 2; }

# The package itself is linked, not copied: pip builds it with the setuptools that the lock file has.
$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing the locked Python packages (a few minutes the first time) ...'
	@$(PIP) requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(INSTALLED) requirements-dev.lock
	@echo 'Installing the locked development tools ...'
	@$(PIP) requirements-dev.lock
	@touch $@

# npm writes this file at the end of an installation; touched, since npm leaves it alone when nothing changed.
$(MODULES): web/package.json web/package-lock.json | $(INSTALLED)
	@echo 'Installing the locked web packages ...'
	@$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGE): $(MODULES) $(PAGE_SOURCES)
	$(NPM) run build
	@touch $@

# What tests talk to is real: a browser, an RTSP server, an MQTT broker, PostgreSQL.
peers: $(DEV)
	@$(BIN)/python scripts/peers.py
