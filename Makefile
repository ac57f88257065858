# `make demo` and `make test` need nothing but Python 3.11 or newer: they make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOGS ?= logs
BACKEND_TESTS := $(addprefix tests/test_,zoo.py prediction.py layers.py samples.py pictures.py chunks.py tokens.py volumes_and_signals.py extractor.py submodel.py observer.py scale_out.py private_apis.py resume.py hooks.py training_pass.py)

.PHONY: demo test test-firefox test-slow test-backends test-lowest lint lint-page bench gallery clean

demo: $(VENV)/examples
	$(BIN)/python examples/train_pets.py --log-dir $(LOGS)

# The tab's tests wait more than they work: they run beside the others, and are told of behind them.
test: $(VENV)/dev lint
	@tab=$$(mktemp); \
	$(BIN)/python -m pytest -q -m "not slow and not firefox" tests/browser >"$$tab" 2>&1 & browsers=$$!; \
	$(BIN)/python -m pytest -q -m "not slow" --ignore tests/browser; failed=$$?; \
	wait $$browsers || failed=1; \
	cat "$$tab"; rm "$$tab"; exit $$failed

# The tests of the tab once more, in Firefox.
test-firefox: $(VENV)/dev
	$(BIN)/python -m pytest -q -m firefox tests/browser

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -q -m slow

# JAX and PyTorch beside each other, without TensorFlow, in an environment of their own.
test-backends: $(VENV)-backends/backends
	KERAS_BACKEND=jax $(VENV)-backends/bin/python -m pytest -q $(BACKEND_TESTS)
	KERAS_BACKEND=torch $(VENV)-backends/bin/python -m pytest -q $(BACKEND_TESTS)

# The oldest Python and packages that setup.cfg allows, in an environment of their own.
test-lowest:
	test -x $(VENV)-lowest/bin/python || python3.11 -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .ci/lowest.txt \
		--editable '.[dev]' setuptools
	$(VENV)-lowest/bin/python -m pytest -q -m "not slow" tests --ignore tests/browser

lint: $(VENV)/dev lint-page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The page needs no build and no node; who has node checks its formatting and types.
lint-page:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node_modules/.package-lock.json \
		&& node_modules/.bin/biome format && node_modules/.bin/tsc --project .; \
	else echo "npm is not installed: the page's formatting and types are not checked"; fi

node_modules/.package-lock.json: package.json
	npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	touch $@

# Rivals that do not install are left out. BENCH="--model MODEL.keras --arrays FILE.npz" measures a trained model on a photograph.
bench: $(VENV)/dev
	-$(MAKE) --no-print-directory $(VENV)/bench
	$(BIN)/python benchmarks/run.py $(BENCH)

# The pictures of docs/gallery, from the demo's log.
gallery: $(VENV)/dev
	$(BIN)/python benchmarks/gallery.py $(LOGS)

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
	rm -rf $(VENV) $(VENV)-backends $(VENV)-lowest node_modules logs build *.egg-info
