# `make help` lists what there is to make.

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml uv.lock inference/classifier_inference/images/resample.c
UV := $(BIN)/uv sync --quiet --locked --inexact --extra server --extra cpu --extra otel --extra tracking --extra models
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help run test faults bench check unit integration e2e compose-test test-exporters test-gpu kind kind-down images generate lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[36mmake %-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Build the sample model, serve it on port 9000 and log to MLflow (Python 3.11 to 3.14 is all it needs)
	@$(BIN)/python -m tools.serve

test: $(VENV)/.developing ## Run all that can be checked on this machine: minutes, and a table of them at the end
	@$(BIN)/python -m tools.test

check: $(VENV)/.developing ## Check style, types, layers, the chart and the generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache
	$(BIN)/python -m tools.generate --check
	$(BIN)/python -m pytest -q tests/unit/chart

unit: WORKERS ?= 2
unit: $(VENV)/.developing ## Run the unit tests (the chart's belong to check)
	$(PYTEST) tests/unit --ignore tests/unit/chart

# One more than cores: these wait, too.
integration: WORKERS ?= 3
integration: $(VENV)/.developing ## Run the tests against real servers on this machine
	$(PYTEST) tests/integration

e2e: $(VENV)/.developing ## Run the end-to-end tests on a kind cluster of their own (Docker, kind, kubectl, helm)
	@$(BIN)/python -m tools.end_to_end e2e

compose-test: $(VENV)/.developing ## Run docker-compose.yml and see a prediction arrive in MLflow, its image in MinIO
	@$(BIN)/python -m tools.end_to_end compose

faults: $(VENV)/.developing ## Run what is too long for every change, hours of it, or PART=name; figures go to docs/faults.md
	@$(BIN)/python -m tools.faults $(PART)

bench: $(VENV)/.developing ## Measure how fast it is, in ten minutes, on a machine that does nothing else
	@$(BIN)/python -m tools.bench

test-exporters: $(VENV)/.developing ## Export the tests' models anew (TORCH_PYTHON, KERAS_PYTHON: where these frameworks are)
	$(BIN)/python -m pytest tests/exported

test-gpu: $(VENV)/.developing ## Build the gpu image (gigabytes) and see it refuse to start without a GPU
	$(BIN)/python -m tools.images --gpu
	$(BIN)/python -m pytest tests/gpu

kind: $(VENV)/.installed ## Make a kind cluster with the operator and the sample on it, or update it
	@$(BIN)/python -m tools.kind_up

kind-down: $(VENV)/.installed ## Remove that cluster and all that is in it
	@$(BIN)/python -m tools.kind_down

images: $(VENV)/.installed ## Build the container images (all but the gpu one)
	@$(BIN)/python -m tools.images

generate: $(VENV)/.developing ## Write the generated files anew
	$(BIN)/python -m tools.generate

lock: $(VENV)/.uv-$(UV_VERSION) ## Write uv.lock anew, after a change of pyproject.toml
	$(BIN)/uv lock

clean: ## Remove what was built, the virtual environment too
	rm -rf $(VENV) models/build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# A file per way of installing, newer than what it was installed from. --inexact leaves the other way's packages alone.
$(VENV)/.installed: $(VENV)/.uv-$(UV_VERSION) $(SOURCES)
	@echo "Installing the project into $(VENV) (about 270 MB to download the first time)"
	@$(UV)
	@touch $@

$(VENV)/.developing: $(VENV)/.uv-$(UV_VERSION) $(SOURCES)
	@echo "Installing the project and its developers' tools into $(VENV)"
	@$(UV) --extra operator --group dev
	@touch $@ $(VENV)/.installed

$(VENV)/.uv-$(UV_VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || \
	  { echo "Python 3.11 to 3.14 is needed: name one, as in: make PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	  { echo "Python's venv is missing: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
