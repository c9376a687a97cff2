# farthing: `make demo` and `make test` need git, make and Python 3.11 or newer; everything else goes into .venv.
VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
NAME ?= attribute

unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

# Without a home that can be written to, caches and settings of the tools stay inside .venv.
ifeq ($(shell [ -n "$$HOME" ] && [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes),)
export HOME := $(CURDIR)/$(VENV)/home
endif

.DEFAULT_GOAL := help
.PHONY: demo test lint types lock bench focus-check screenshots docs clean help

demo: $(VENV)/run.stamp ## a simulated company through the whole pipeline, then the dashboard (ARGS=--no-dashboard)
	@$(VENV)/bin/farthing demo $(ARGS)

test: $(VENV)/dev.stamp ## all tests but slow and heavy ones, in at most 5 minutes (ARGS="tests/lake -k append")
	@$(PYTHON) -m pytest -n logical --maxprocesses 8 --dist worksteal $(ARGS)

lint: $(VENV)/dev.stamp ## ruff: rules and form
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

types: $(VENV)/dev.stamp ## mypy, strict
	@$(PYTHON) -m mypy

bench: $(VENV)/dev.stamp ## one contest of benchmarks/ (NAME=attribute, ARGS=--json)
	@$(PYTHON) -m benchmarks.$(NAME) $(ARGS)

focus-check: $(VENV)/dev.stamp ## an exported month against the validator of the FOCUS specification (needs Python 3.12)
	@UV_DEFAULT_INDEX="$(INDEX)" $(PYTHON) .ci/focus_check.py

screenshots: $(VENV)/dev.stamp ## the pictures of docs/, taken from the demo (needs chromium)
	@$(PYTHON) .ci/screenshots.py

docs: $(VENV)/dev.stamp ## docs/data-dictionary.md again, from the code
	@$(PYTHON) -m farthing.dictionary

# Existing pins stay unless ARGS=--upgrade. No index address is written, so the locks work with any mirror. The run-time
# lock is a part of the developer's, version for version.
COMPILE = UV_DEFAULT_INDEX="$(INDEX)" $(UV) pip compile --quiet --system-certs --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	--group build --extra dashboard --extra forecast --extra report pyproject.toml
lock: $(UV) ## both lock files again from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(COMPILE) $(ARGS) --group dev --output-file requirements-dev.lock
	@$(COMPILE) --constraint requirements-dev.lock --output-file requirements.lock

clean: ## what make has made, the environment included
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 	/p' Makefile | expand -t 14

# uv reads no pip settings: an index that pip was told to use is handed on, and it trusts the machine's certificates.
INDEX = $${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(PYTHON) -m pip config get global.index-url 2>/dev/null)}}
define sync
	@echo "Installing the packages of $(1) into $(VENV); the first time takes about a minute."
	@UV_DEFAULT_INDEX="$(INDEX)" $(UV) pip sync --quiet --system-certs --python $(PYTHON) --require-hashes $(1)
	@$(UV) pip install --quiet --python $(PYTHON) --offline --no-deps --no-build-isolation --editable .
endef

# An environment that has the developer's packages keeps them, so that demo and test never undo each other.
$(VENV)/run.stamp: requirements.lock requirements-dev.lock pyproject.toml | $(UV)
	$(call sync,$(if $(wildcard $(VENV)/dev.stamp),requirements-dev.lock,requirements.lock))
	@touch $@ $(wildcard $(VENV)/dev.stamp)

$(VENV)/dev.stamp: requirements.lock requirements-dev.lock pyproject.toml | $(UV)
	$(call sync,requirements-dev.lock)
	@touch $@ $(VENV)/run.stamp

# uv itself comes by pip, of the pinned version: its lines of the lock, up to the one without a continuation.
$(UV): | $(VENV)/made.stamp
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.lock

$(VENV)/made.stamp:
	@for python in python3.13 python3.12 python3.11 python3; do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$$python -m venv --clear $(VENV) && mkdir -p $(VENV)/home && touch $@ && exit 0; exit 1; \
		fi; \
	done; \
	echo "farthing needs Python 3.11 or newer with its venv module (on Debian: apt install python3-venv)." >&2; exit 1
