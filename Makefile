# Two commands matter: `make up` runs Triptych on this machine, `make test` tests it.
# Both install what they need into .venv (and the servers into ~/.cache/triptych) the first time.

PYTHON ?= python3
# Most tests wait for servers, so more workers than cores pay; measured with 2 cores.
WORKERS ?= 4
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# What draws the pictures of the documentation site: the version that mkdocs-material would load from another host.
MERMAID := 11.17.2
DRAWING := $(VENV)/share/triptych-docs
# The long forms of the tests whose length can be set (CONTRIBUTING.md).
SOAK := TRIPTYCH_TEST_KILLS=100 TRIPTYCH_TEST_MOVES=20000 TRIPTYCH_TEST_LISTS=200 TRIPTYCH_TEST_OUTAGE=60 \
  TRIPTYCH_TEST_ROUNDS=20 TRIPTYCH_TEST_ITEMS=50000 TRIPTYCH_TEST_RECORDS=6000 \
  TRIPTYCH_TEST_CASES=50 TRIPTYCH_TEST_EXAMPLES=20 TRIPTYCH_TEST_OLD_DATA=38b832a TRIPTYCH_TEST_ALERTS=1 \
  TRIPTYCH_TEST_RESTARTS=20 TRIPTYCH_TEST_CLUSTER=1 TRIPTYCH_TEST_GROWTH=50 TRIPTYCH_TEST_DOUBLINGS=3

# Seconds of `make soak-memory`.
SOAK ?= 1800
# Seconds of `make chaos`. A minute is enough to try it.
CHAOS ?= 1800

# Seconds of `make simulate`.
SECONDS ?= 60

# The tests that also pass if MongoDB is a sharded cluster.
OF_SHARDS := tests/integration/command tests/integration/projector

# Without the compiled files, each process that a test starts would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up cluster test test-fast test-containers test-deploy test-helm test-docs test-contracts \
  test-console test-examples test-cluster test-shards soak soak-memory chaos \
  simulate conformance lint types bench schemas compat reference helm docs console screenshots clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(INSTALLED) ## Run Kafka, MongoDB and all services on this machine; Ctrl-C ends them
	@exec $(BIN)/triptych up

cluster: $(INSTALLED) ## Run three Kafka nodes, three MongoDB members and two of each service, to kill parts of them
	@exec $(BIN)/triptych cluster

test: $(INSTALLED) ## Run all tests, on real Kafka and MongoDB
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

test-fast: $(INSTALLED) ## Run the tests that need no servers
	$(BIN)/pytest tests/unit tests/contract

test-containers: $(INSTALLED) ## Run the tests that need servers on the official images (needs Docker)
	TRIPTYCH_STACK=containers $(BIN)/pytest -n $(WORKERS) --dist loadgroup tests/integration tests/e2e

test-deploy: $(INSTALLED) ## Build the image, start deploy/compose.yaml, and test what runs (needs Docker)
	$(BIN)/pytest tests/deploy

test-helm: $(VENV)/.installed-helm ## Render the Helm chart, and ask Kubernetes' own code about the manifests (needs helm and Go)
	$(BIN)/pytest tests/helm

test-docs: $(VENV)/.installed-docs ## Build the documentation site, and check it (needs npm the first time)
	$(BIN)/pytest tests/site

test-contracts: $(INSTALLED) ## Have other people's tools read the contract (needs Node.js, Java with Maven, and Go)
	$(BIN)/pytest tests/tools

test-examples: $(INSTALLED) ## Type the pages of examples/, in each language whose tools are here
	$(BIN)/pytest tests/examples

test-cluster: $(INSTALLED) ## Let servers and services of a local cluster die, stop and stand still; takes ten minutes
	TRIPTYCH_TEST_CLUSTER=1 $(BIN)/pytest -s -p no:randomly tests/resilience/cluster

test-console: $(VENV)/.installed-console console ## Build the console, and test it in a browser (needs npm and chromium)
	cd console && npm run --silent test
	$(BIN)/pytest tests/console

test-shards: $(INSTALLED) ## Run the tests of command service and projector on a sharded cluster
	TRIPTYCH_TEST_SHARDS=rules $(BIN)/pytest -n $(WORKERS) --dist loadgroup $(OF_SHARDS)
	TRIPTYCH_TEST_SHARDS=cluster $(BIN)/pytest -n $(WORKERS) --dist loadgroup $(OF_SHARDS)

soak: $(INSTALLED) ## Run the long forms of the tests whose length can be set; takes hours
	$(SOAK) $(BIN)/pytest tests/integration/command/test_kills.py tests/integration/command/test_moves.py \
	  tests/integration/command/test_neighbours.py tests/resilience/command tests/resilience/test_upgrade.py \
	  tests/resilience/test_alerts_fire.py tests/resilience/test_restarts.py tests/resilience/test_growth.py \
	  tests/resilience/cluster tests/resilience/test_recovery.py tests/resilience/faults \
	  tests/resilience/chaos/test_storm.py \
	  tests/e2e/test_everything_is_answered.py tests/e2e/test_partitions.py \
	  tests/conformance/rest/test_openapi.py tests/unit

soak-memory: $(INSTALLED) ## Work at half of the highest rate for SOAK seconds; nothing may grow or become slower
	TRIPTYCH_TEST_SOAK=$(SOAK) $(BIN)/pytest -s --show-capture=no --tb=short tests/resilience/test_soak.py

chaos: $(INSTALLED) ## Kill, stop and freeze parts under load for CHAOS seconds, and judge what was observed
	TRIPTYCH_TEST_CHAOS=$(CHAOS) $(BIN)/pytest -s --show-capture=no --tb=short tests/resilience/chaos/test_chaos.py

simulate: $(INSTALLED) ## Simulate services, Kafka and MongoDB from random seeds for SECONDS seconds
	$(BIN)/python -m tests.support.simulation --seconds $(SECONDS)

conformance: $(INSTALLED) ## Run the official client against Triptych (needs Node.js 20); part of `make test`
	$(BIN)/pytest tests/conformance

lint: $(INSTALLED) ## Check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED) ## Check types
	$(BIN)/mypy

bench: $(INSTALLED) ## Run benchmarks; ARGS chooses them
	$(BIN)/python -m benchmarks $(ARGS)

schemas: $(INSTALLED) ## Publish the contract as JSON Schema and AsyncAPI
	$(BIN)/python -m triptych.contract.publishing.publish

compat: $(INSTALLED) ## Check that the contract keeps what its released versions have promised
	$(BIN)/python -m triptych.contract.publishing.release --check

reference: $(INSTALLED) ## Write docs/settings.md, docs/metrics.md and docs/command-line.md from the code
	$(BIN)/python -m triptych.cli.reference

helm: $(VENV)/.installed-helm ## Write the manifests of the Helm chart, and the schemas that check its values and them (needs helm)
	$(BIN)/python -m tests.support.helm

docs: $(VENV)/.installed-docs ## Build the documentation site into build/site (needs npm the first time)
	$(BIN)/python -m mkdocs build

console: $(INSTALLED) ## Build the console that the gateway serves at / (needs Node.js 20.19+ with npm)
	@mkdir -p console/build
	@$(BIN)/python -m tests.support.openapi_file console/build/openapi.json
	@$(BIN)/python -m tests.support.snippets_file console/source/snippets.generated.ts
	@cd console && npm install --no-package-lock --no-audit --no-fund --loglevel=error \
	  && npm run --silent types && npm run --silent check && npm run --silent build

screenshots: $(VENV)/.installed-console console ## Take the pictures of the console for the documentation (needs chromium)
	$(BIN)/python -m tests.support.screenshots

clean: ## Delete what `make up` has stored in this folder
	rm -rf .triptych

$(VENV)/.installed-helm: $(INSTALLED)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[helm]'
	@touch $@

# One file of the package is enough: what it depends on is in it.
$(VENV)/.installed-docs: $(INSTALLED)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@mkdir -p $(DRAWING)
	@npm pack --silent --pack-destination $(DRAWING) mermaid@$(MERMAID) >/dev/null
	@tar -xzf $(DRAWING)/mermaid-$(MERMAID).tgz -C $(DRAWING) --strip-components=2 package/dist/mermaid.min.js
	@rm $(DRAWING)/mermaid-$(MERMAID).tgz
	@touch $@

$(VENV)/.installed-console: $(INSTALLED)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[console]'
	@touch $@

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Triptych needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing Triptych into $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,motor,local]'
	@touch $@
