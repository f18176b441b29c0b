# `make demo` and `make test` need Python 3.11 and nothing else: they make .venv and install into it.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)
BIN := .venv/bin
DEMO_READY := .venv/.ready-demo
READY := .venv/.ready-test
DOCS_READY := .venv/.ready-docs
BENCH_READY := .venv/.ready-benchmarks

# XGBoost without NVIDIA's NCCL, hundreds of megabytes that only machines with several GPUs need. An environment holds one of the
# two packages, so one that an earlier `make` filled loses the other.
XGBOOST := xgboost-cpu

TEST_EXTRAS := '.[lightgbm,catboost,tfhe,lora,serving,parquet,plots,datasets,dev]'
PINNED := -c constraints.txt

# pip's output goes to a log, which is shown only where pip fails. $(1): folder of the environment; $(2): what to install.
install = $(1)/bin/python -m pip install --disable-pip-version-check --no-input $(2) >> $(1)/install.log 2>&1 \
	|| { cat $(1)/install.log >&2; exit 1; }
installed = echo "$(1) has $$($(1)/bin/python -m pip list 2>/dev/null | tail -n +3 | wc -l) packages, $$(du -sh $(1) | cut -f1)."

# Tests run in two processes; more threads inside each would only get in one another's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# Python of a version, wherever it is installed; the one that makes .venv where there is none. $(1): version
python = $(shell for p in python$(1) $$HOME/.pyenv/versions/$(1).*/bin/python $(PYTHON); do \
	$$p -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)
# Trees alone, since PyTorch and Concrete have ranges of their own.
TREE_EXTRAS := '.[lightgbm,catboost,plots,dev]'
OLDEST := .venv-oldest
NEWEST := .venv-newest
RAY := .venv-ray
BETWEEN := .venv-3.12
MODEL_TESTS := tests/ensembles tests/quantizers tests/backends/bfv tests/backends/ckks
TREE_TESTS := tests/backends tests/ensembles tests/estimators tests/inspection tests/quantizers tests/serving fhe_estimators

.PHONY: help demo test test-slow test-oldest test-newest test-ray test-3.12 test-peers mutants lint format docs bench bench-compare clean

help: ## this list
	@grep -E '^[a-z0-9.-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 15

$(DEMO_READY): pyproject.toml constraints.txt
	@echo "Installing scikit-learn, TenSEAL and XGBoost into .venv: about 360 MB, less than a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip uninstall --yes xgboost > .venv/install.log 2>&1
	@$(call install,.venv,$(PINNED) -e . $(XGBOOST))
	@$(call installed,.venv)
	@touch $@

$(READY): $(DEMO_READY)
	@echo "Adding PyTorch, transformers, Concrete, LightGBM, CatBoost, matplotlib and the test tools: about 2.7 GB, some minutes"
	@echo "(twice that where PyTorch comes with CUDA)."
	@$(call install,.venv,$(PINNED) -e $(TEST_EXTRAS) $(XGBOOST))
	@$(call installed,.venv)
	@touch $@

$(DOCS_READY): $(READY)
	@echo "Adding Sphinx and its extensions: about 60 MB."
	@$(call install,.venv,$(PINNED) -e '.[docs]')
	@touch $@

$(BENCH_READY): $(READY)
	@$(call install,.venv,$(PINNED) -e '.[benchmarks]')
	@touch $@

$(OLDEST)/.ready: pyproject.toml constraints-oldest.txt
	@echo "Installing the lowest supported versions into $(OLDEST), with $(call python,3.10): about 1.1 GB."
	@$(call python,3.10) -m venv --clear $(OLDEST)
	@$(call install,$(OLDEST),-c constraints-oldest.txt -e $(TREE_EXTRAS) $(XGBOOST))
	@$(call installed,$(OLDEST))
	@touch $@

$(NEWEST)/.ready: pyproject.toml
	@echo "Installing the newest versions into $(NEWEST), with $(call python,3.13): about 1 GB."
	@$(call python,3.13) -m venv --clear $(NEWEST)
	@$(call install,$(NEWEST),-e $(TREE_EXTRAS) $(XGBOOST))
	@$(call installed,$(NEWEST))
	@touch $@

$(BETWEEN)/.ready: pyproject.toml constraints.txt
	@echo "Installing the pinned versions into $(BETWEEN), with $(call python,3.12): about 700 MB."
	@$(call python,3.12) -m venv --clear $(BETWEEN)
	@$(call install,$(BETWEEN),$(PINNED) -e $(TREE_EXTRAS) $(XGBOOST))
	@$(call installed,$(BETWEEN))
	@touch $@

$(RAY)/.ready: pyproject.toml constraints.txt
	@echo "Installing Ray Serve into $(RAY): about 1 GB."
	@$(PYTHON) -m venv --clear $(RAY)
	@$(call install,$(RAY),$(PINNED) -e '.[ray,dev]')
	@$(call installed,$(RAY))
	@touch $@

demo: $(DEMO_READY) ## encrypted predictions on a whole test set, client and server apart
	@$(BIN)/python examples/demo_breast_cancer.py

test: $(READY) ## all tests but the slow ones, with coverage
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m 'not slow' -q --all-libraries --cov --cov-report=term

test-slow: $(READY) ## the slow tests
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m slow -q --all-libraries

test-oldest: $(OLDEST)/.ready ## the tests of trees with the lowest supported versions, on Python 3.10 if it is installed
	@$(OLDEST)/bin/python -m pip list 2>/dev/null | grep -E '^(numpy|scikit-learn|scipy|tenseal|xgboost-cpu|lightgbm|catboost) '
	@$(ONE_THREAD) $(OLDEST)/bin/python -m pytest -n 2 -m 'not slow' -q $(TREE_TESTS)

test-newest: $(NEWEST)/.ready ## the tests of trees with the newest versions, NumPy 2 among them, on Python 3.13 if it is installed
	@$(NEWEST)/bin/python -m pip list 2>/dev/null | grep -E '^(numpy|scikit-learn|scipy|tenseal|xgboost-cpu|lightgbm|catboost) '
	@$(ONE_THREAD) $(NEWEST)/bin/python -m pytest -n 2 -m 'not slow' -q $(TREE_TESTS)

test-3.12: $(BETWEEN)/.ready ## the tests of models and circuits on Python 3.12 if it is installed
	@$(ONE_THREAD) $(BETWEEN)/bin/python -m pytest -n 2 -m 'not slow' -q $(MODEL_TESTS)

test-ray: $(RAY)/.ready ## the service on a Ray cluster of this machine, a replica killed under load
	@$(ONE_THREAD) $(RAY)/bin/python -m pytest -q tests/serving/test_ray.py

test-peers: $(READY) ## the tests beside Concrete ML, in an environment of its own (6 GB)
	@PYTHONPATH=. $$($(BIN)/python -m benchmarks.peers environment concrete_ml) -m pytest -q tests/test_interop.py

mutants: $(READY) ## faults put into the lines that guard secrets and exactness, which the tests must notice
	@$(BIN)/python -m tests.mutants -n 2

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

# Two commits in one run, whose benchmarks asv interleaves: figures of different days are not compared.
BASE := HEAD~1
HEAD := HEAD
bench-compare: $(BENCH_READY) ## the asv suites at two commits, BASE and HEAD (minutes, and an environment of 1.5 GB)
	@$(BIN)/asv machine --yes > /dev/null
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(ONE_THREAD) $(BIN)/asv continuous --interleave-rounds --show-stderr $(ASV_OPTIONS) $(BASE) $(HEAD)

clean: ## remove everything that make created
	rm -rf .venv .venv-* docs/_build docs/api docs/auto_examples build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
