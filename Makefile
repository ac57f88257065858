# `make demo` and `make test` need nothing but Python 3.11 or newer: they make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOGS ?= logs

.PHONY: demo test lint bench clean

demo: $(VENV)/examples
	$(BIN)/python examples/train_pets.py --log-dir $(LOGS)

test: $(VENV)/dev lint
	$(BIN)/python -m pytest -q

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

# One stamp a set of dependencies; a change of setup.cfg installs anew.
$(VENV)/%: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) logs build *.egg-info
