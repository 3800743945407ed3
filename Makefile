# Everything runs in .venv, which each target makes when it must. `make help` lists the targets.
PYTHON ?= python3.11
BIN := .venv/bin
BASE ?= $(shell git rev-parse --quiet --verify origin/main || git rev-parse HEAD)
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help demo test check conformance generate table format lint types layers protos benchmarks clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch comes first and alone: a bare `torch` further down must find it there. Where only the CUDA
# build is offered and the CPU build is wanted, name an index that has it: PIP_EXTRA_INDEX_URL=...
.venv/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint requirements.lock torch numpy
	$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[pipelines,dev]'
	touch $@

# What some tests drive that PyPI has not: a browser, and a Prometheus that is unpacked, not installed,
# so that no daemon starts.
APT := $(if $(filter 0,$(shell id -u)),,sudo) apt-get
.venv/.system: .venv/.ready
	command -v chromium >/dev/null || { $(APT) update -q && $(APT) install -qy --no-install-recommends chromium; }
	cd .venv && { apt-get download -q prometheus || { $(APT) update -q && apt-get download -q prometheus; } } && dpkg -x prometheus_*.deb prometheus && rm prometheus_*.deb
	touch $@

demo: .venv/.ready ## Make a video with the embedded model and save it here
	$(BIN)/telefuser demo

# Its tests all have the same id, of which workers would run one.
SAME_ID := tests/docs/test_conformance.py

test: .venv/.system ## Run the tests, one after the other, or with WORKERS=2 side by side
	$(RUN) $(BIN)/pytest $(if $(WORKERS),-n $(WORKERS) --dist loadfile --ignore $(SAME_ID))
	$(if $(WORKERS),$(RUN) $(BIN)/pytest $(SAME_ID))

check: lint types layers protos test ## Run everything that CI runs

format: .venv/.ready ## Format code and protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write protos

generate: .venv/.ready ## Write telefuser_grpc/_gen from the protos
	$(RUN) $(BIN)/buf generate

table: .venv/.ready ## Write the table of pipelines/README.md
	$(BIN)/telefuser pipelines --table > .venv/table.md
	sed -i -e '/<!-- table -->/,/<!-- end of table -->/{//!d}' -e '/<!-- table -->/r .venv/table.md' pipelines/README.md

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.ready
	$(BIN)/mypy

layers: .venv/.ready
	$(BIN)/lint-imports

protos: .venv/.ready
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code protos
	$(RUN) buf breaking protos --against '.git#ref=$(BASE),subdir=protos'

conformance: .venv/.system ## Run the official SDKs, all versions, against the service
	$(RUN) $(BIN)/python -m tests.conformance

benchmarks: .venv/.ready ## Measure, and print the table
	$(RUN) $(BIN)/python -m benchmarks

clean: ## Remove the environment and what tests leave
	rm -rf .venv work_dirs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
