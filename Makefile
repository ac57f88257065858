# `make demo` and `make test` need nothing but Python 3.11 or newer: they make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOGS ?= logs
BACKEND_TESTS := $(addprefix tests/test_,zoo.py layers.py samples.py pictures.py chunks.py extractor.py observer.py scale_out.py private_apis.py)

.PHONY: demo test test-slow test-backends lint bench clean

demo: $(VENV)/examples
	$(BIN)/python examples/train_pets.py --log-dir $(LOGS)

test: $(VENV)/dev lint
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -q -m slow

# JAX and PyTorch beside each other, without TensorFlow, in an environment of their own.
test-backends: $(VENV)-backends/backends
	KERAS_BACKEND=jax $(VENV)-backends/bin/python -m pytest -q $(BACKEND_TESTS)
	KERAS_BACKEND=torch $(VENV)-backends/bin/python -m pytest -q $(BACKEND_TESTS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rivals that do not install are left out. BENCH="--model MODEL.keras --arrays FILE.npz" measures a trained model on a photograph.
bench: $(VENV)/dev
	-$(MAKE) --no-print-directory $(VENV)/bench
	$(BIN)/python benchmarks/run.py $(BENCH)

# One stamp a set of dependencies; a change of setup.cfg installs anew.
$(VENV)/%: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

$(VENV)-backends/%: setup.cfg pyproject.toml
	test -x $(VENV)-backends/bin/python || $(PYTHON) -m venv $(VENV)-backends
	$(VENV)-backends/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-backends logs build *.egg-info
