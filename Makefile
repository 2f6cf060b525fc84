# make is the sole interface: people, CI and the README call the same targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
READY := $(VENV)/.ready
DATA ?= $(or $(LEUKO_DATA),../shared/data)

.PHONY: help setup system demo test lint format bench train ablation evaluate reference clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

system: ## Install what must come from Debian: mosquitto and python3-venv
	@missing=""; export PATH="$$PATH:/usr/sbin"; \
	command -v mosquitto >/dev/null || missing="$$missing mosquitto"; \
	command -v mosquitto_pub >/dev/null || missing="$$missing mosquitto-clients"; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends$$missing >/dev/null; fi

setup: system $(READY) ## Make the virtual environment with pinned packages

$(READY): setup.cfg pyproject.toml constraints.txt
	@echo "installing pinned packages into $(VENV): once, a few minutes, 6 GB with the default build of torch"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## Run the whole journey with two simulated devices and real frames
	@$(PY) -m leukostream demo $(DEMO)

test: setup ## Run the tests: units, contracts, whole journeys on real Mosquitto
	@$(PY) -m pytest -n 2 --dist worksteal $(TESTS)

lint: setup ## ruff, mypy strict, import-linter
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

format: setup ## Let ruff format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

bench: setup ## Measure stages, pipeline and a plain tutorial worker in one run
	@$(PY) -m tests.bench $(BENCH)

train: setup ## Train a model on DATA into train-run/
	@$(PY) -m leukostream train --data $(DATA) --out train-run $(TRAIN)

ablation: setup ## Compare the options of the paper's equations on patients of DATA held apart
	@OMP_NUM_THREADS=1 $(PY) -m models.ablation --data $(DATA) $(ABLATION)

evaluate: setup ## Report on the shipped model, on the patients of DATA kept apart, into evaluate-run/
	@$(PY) -m leukostream evaluate --data $(DATA) --out evaluate-run $(EVALUATE)

reference: setup ## Write docs/asyncapi.json and docs/reference.md anew from the code
	@$(PY) -m broker.asyncapi > docs/asyncapi.json
	@$(PY) -m leukostream.reference > docs/reference.md

clean: ## Remove what runs have left behind
	rm -rf demo-run bench-run train-run evaluate-run .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build
