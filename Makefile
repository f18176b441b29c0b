# `make demo` and `make test` need Python 3.11 and nothing else: they make .venv and install into it.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
READY := .venv/.ready
DOCS_READY := .venv/.ready-docs
BENCH_READY := .venv/.ready-benchmarks

# Tests run in two processes; more threads inside each would only get in one another's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: help demo test test-slow test-peers lint format docs bench clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@echo "Making .venv: this project with xgboost, lightgbm, Concrete, PyTorch, transformers, matplotlib and the test tools,"
	@echo "about 3 GB on disk (NVIDIA's NCCL, which xgboost requires, is a sixth of that; no GPU is needed)."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP_INSTALL) -e '.[xgboost,lightgbm,tfhe,lora,serving,plots,dev]'
	@echo "Installed $$($(BIN)/python -m pip list 2>/dev/null | tail -n +3 | wc -l) packages, $$(du -sh .venv | cut -f1), in .venv."
	@touch $@

$(DOCS_READY): $(READY)
	@$(PIP_INSTALL) -e '.[docs]'
	@touch $@

$(BENCH_READY): $(READY)
	@$(PIP_INSTALL) -e '.[benchmarks]'
	@touch $@

demo: $(READY) ## encrypted predictions on a whole test set, client and server apart
	@$(BIN)/python examples/demo_breast_cancer.py

test: $(READY) ## all tests but the slow ones, with coverage
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m 'not slow' -q --cov --cov-report=term

test-slow: $(READY) ## the slow tests
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m slow -q

test-peers: $(READY) ## the tests beside Concrete ML, in an environment of its own (6 GB)
	@PYTHONPATH=. $$($(BIN)/python -m benchmarks.peers environment concrete_ml) -m pytest -q tests/test_interop.py

lint: $(READY) ## style, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## rewrite the sources in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(DOCS_READY) ## the documentation, in docs/_build/html, with all examples run; warnings are errors
	@$(BIN)/python -m benchmarks.data --gallery
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(BENCH_READY) ## the figures of the README (minutes; fetches data sets)
	@$(BIN)/python -m benchmarks.trees --markdown
	@$(BIN)/python -m benchmarks.scaling

clean: ## remove everything that make created
	rm -rf .venv docs/_build docs/api docs/auto_examples build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
