# Two commands do everything on a machine with Python 3.10 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint types check kills test-core crosscheck clean

demo: $(VENV)/.train  ## install the command line and run the demo (under a minute once installed)
	$(BIN)/lethe demo

test: $(VENV)/.dev  ## install everything and run the tests
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests examples benchmarks results
	$(BIN)/ruff format --check src tests examples benchmarks results

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

kills: $(VENV)/.dev  ## kill runs far more often than the tests do, and see them end in the same bits
	LETHE_KILLS=100 $(BIN)/python -m pytest tests/engine/test_kill.py -s

# The library alone: torch 2.11 (what GPU machines often have), numpy, and nothing of the command line.
test-core: $(VENV)-core/.core
	$(VENV)-core/bin/python -m pytest

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[train]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.train

$(VENV)-core/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)-core
	$(VENV)-core/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.11.*' pytest hypothesis -e .
	touch $@

# The same attacks through torchattacks, whose pins would hold back other packages: an environment of its own.
crosscheck: $(VENV)-crosscheck/.done
	$(VENV)-crosscheck/bin/python -m pytest tests/attacks tests/evaluate

$(VENV)-crosscheck/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)-crosscheck
	$(VENV)-crosscheck/bin/python -m pip install --quiet --disable-pip-version-check -e '.[train]' pytest hypothesis
	$(VENV)-crosscheck/bin/python -m pip install --quiet --disable-pip-version-check 'torchattacks>=3.5.1'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-core $(VENV)-crosscheck build src/*.egg-info
