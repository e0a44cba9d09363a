# Two commands matter: `make up` runs Triptych on this machine, `make test` proves it.
# Both install what they need into .venv (and the servers into ~/.cache/triptych) the first time.

PYTHON ?= python3
# Most tests wait for servers, so more workers than cores pay; measured with 2 cores.
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: up test test-fast test-containers conformance lint types bench schemas clean

up: $(INSTALLED)
	@exec $(BIN)/triptych up

test: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

# Without Kafka and MongoDB: seconds.
test-fast: $(INSTALLED)
	$(BIN)/pytest tests/unit tests/contract

# The tests that need servers, on the official images; needs a Docker engine.
test-containers: $(INSTALLED)
	TRIPTYCH_STACK=containers $(BIN)/pytest tests/integration tests/e2e

# The official client against the product; needs Node.js 20 or newer. Part of `make test` as well.
conformance: $(INSTALLED)
	$(BIN)/pytest tests/conformance

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

schemas: $(INSTALLED)
	$(BIN)/python -m triptych.contract.publishing.publish

clean:
	rm -rf .triptych

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Triptych needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing Triptych into $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,motor,local]'
	@touch $@
