# The same words locally and in CI: .ci/run is `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.SILENT:
MAKEFLAGS += --no-print-directory

# the first Python that is new enough; override with `make PYTHON=…`
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
TOOL := $(PYTHON) .ci/step.py
PYTEST := $(BIN)/python -m pytest
UNIT := $(wildcard tests/unit tests/contract tests/singleuser tests/packaging)

.PHONY: help
help: ## this list
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: python
python:
	if [ -z "$(PYTHON)" ]; then
		echo "Python 3.11 or newer is needed and none is on the PATH; install it, or name it: make PYTHON=/path/to/python3" >&2
		exit 1
	fi

.PHONY: setup
setup: python ## .venv with everything, the JupyterLab extension built; quick when nothing changed
	$(PYTHON) .ci/setup.py all

.PHONY: run
run: python ## set up what is needed and start the platform on http://127.0.0.1:8000; ARGS="--port 8765 --state DIR"
	$(PYTHON) .ci/setup.py run
	exec $(BIN)/aiinfn up $(ARGS)

.PHONY: check
check: setup ## ruff, mypy --strict, import-linter, types of the API, prettier, stylelint, eslint
	$(TOOL) "ruff check" -- $(BIN)/ruff check --quiet .
	$(TOOL) "ruff format" -- $(BIN)/ruff format --quiet --check .
	$(TOOL) "mypy --strict" -- $(BIN)/mypy
	$(TOOL) "import-linter" -- $(BIN)/lint-imports --no-logo
	$(TOOL) "types of the API" -- $(BIN)/python .ci/api_types.py --check
	$(TOOL) --in labextension "prettier" -- jlpm prettier:check
	$(TOOL) --in labextension "stylelint" -- jlpm stylelint:check
	$(TOOL) --in labextension "eslint" -- jlpm eslint:check

.PHONY: test
test: check ## everything that CI runs, with a Kubernetes cluster that is started for it, and ended
	$(BIN)/python -m tests.tools.cluster run $(PYTEST) --whole -n 3

.PHONY: test-fast
test-fast: setup ## what needs no hub and no browser, in less than two minutes
	$(PYTEST) -m "not slow" $(UNIT)

.PHONY: cluster-up
cluster-up: setup ## build (once) and start a Kubernetes cluster on this machine for the tests; quick when it is up
	$(BIN)/python -m tests.tools.cluster up

.PHONY: cluster-down
cluster-down: python ## end that cluster and remove what it made, but for its logs and the programs that were built
	$(BIN)/python -m tests.tools.cluster down

.PHONY: cluster-status
cluster-status: python ## what runs of that cluster
	$(BIN)/python -m tests.tools.cluster status

.PHONY: test-cluster
test-cluster: cluster-up ## the tests that need a cluster, on the one of KUBECONFIG where that is given
	$(PYTEST) --cluster -m cluster

.PHONY: test-slow
test-slow: cluster-up ## the faults of a cluster that take minutes, 15 in all
	$(PYTEST) --cluster --fault-minutes -m fault_minutes

.PHONY: images
images: setup ## build and verify the container images; ONLY="hub service", BASE=debian:13-slim, ARGS="--builder podman"
	$(BIN)/python -m scripts.container_images $(if $(BASE),--base "$(BASE)") $(ARGS) $(ONLY)

.PHONY: docs
docs: setup ## the documentation, in docs/_build/html; warnings are errors
	$(TOOL) "sphinx" -- $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

.PHONY: bench
bench: setup ## side by side with what it replaces; writes bench/results/*.json
	$(BIN)/python -m bench.run

.PHONY: bench-cluster
bench-cluster: cluster-up ## the same for sessions on a cluster, beside a stock KubeSpawner; ONLY="spawn-kueue"
	$(BIN)/python -m bench.run --cluster $(ONLY)

.PHONY: types
types: setup ## labextension/src/api.ts from the OpenAPI document of the service
	$(TOOL) "types of the API" -- $(BIN)/python .ci/api_types.py

.PHONY: format
format: setup ## let the formatters have their way
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .
	$(TOOL) --in labextension "labextension" -- jlpm lint

.PHONY: freeze
freeze: setup ## freeze requirements/dev.txt and the images anew, keeping the pins that still fit
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make freeze" \
		--extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make freeze" \
		requirements/go.in -o requirements/go.txt
	$(BIN)/python images/freeze.py

.PHONY: translations
translations: setup ## bring the language files of the JupyterLab extension up to date with its sources
	$(BIN)/python scripts/translations.py

.PHONY: clean
clean: ## remove what was built here; caches outside the checkout and people's state stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build docs/_build \
		jupyterhub_aiinfn/labextension labextension/{node_modules,lib,coverage,.yarn,.built,tsconfig.tsbuildinfo}
