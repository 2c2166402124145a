# The project's commands. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# The first candidate that is Python 3.11 or newer creates the environment.
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3.14

.PHONY: help setup system check format sync test e2e demo up docs docs-serve pictures bench catalog clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## install into .venv once (5 GB, because torch includes its GPU libraries)

system:  ## install the Debian packages that end-to-end tests need (Chromium, RabbitMQ), if root
	@missing=; \
	command -v chromium >/dev/null || missing="chromium"; \
	[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$$missing rabbitmq-server"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "system: cannot install $$missing without root and apt-get. Their tests will be skipped."; exit 0; \
	fi; \
	echo "system: installing $$missing"; \
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	output=$$({ timeout 300 apt-get update -qq; timeout 900 apt-get install -qq -y --no-install-recommends $$missing; } 2>&1) \
	  || echo "system: installation failed, their tests will be skipped: $$(echo "$$output" | tail -n 1)"

check: $(READY)  ## check lint rules, format, types and import directions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)  ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

sync: $(READY)  ## generate the synchronous client and the CLI reference
	$(BIN)/python -m tools.sync_client
	$(BIN)/python -m tools.cli_reference

test: $(READY)  ## run all tests except the end-to-end tests
	$(BIN)/python -m pytest -m "not e2e" -n 2 --dist worksteal -q

e2e: $(READY) system  ## run the end-to-end tests: real processes and real data
	$(BIN)/python -m pytest -m e2e -n 2 --dist loadfile -v

demo: $(READY)  ## distill a teacher and compare; TEACHER=file DATA=zip STUDENT=name for your own
	@$(BIN)/python -m dlkd_client.local.demo $(if $(TEACHER),--teacher "$(TEACHER)") $(if $(DATA),--data "$(DATA)") $(if $(STUDENT),--student "$(STUDENT)") \
	  $(if $(EPOCHS),--epochs "$(EPOCHS)") $(if $(SEEDS),--seeds "$(SEEDS)")

up: $(READY)  ## start the service on http://127.0.0.1:8000 with its files in ./data
	@$(BIN)/dlkd up --data data --port 8000

docs: $(READY)  ## build the documentation into site/, which opens without a server
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict && echo "docs: site/index.html"

docs-serve: $(READY)  ## serve the documentation on http://127.0.0.1:8001 and rebuild it on changes
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

pictures: $(READY)  ## take new screenshots of the portal for the documentation
	$(BIN)/python -m pytest -q tests/e2e/portal --screenshots out/screenshots
	mkdir -p docs/portal
	for name in $$(grep -o 'portal/[a-z-]*\.png' docs/portal.md); do cp "out/screenshots/$$(basename $$name)" docs/portal/; done

bench: $(READY)  ## run the benchmarks
	$(BIN)/python -m benchmarks.import_time
	$(BIN)/python -m benchmarks.short_budget

catalog: $(READY)  ## check that every network in the catalog is recognized from its weights (hours)
	$(BIN)/python -m benchmarks.catalog_sweep

clean:  ## remove caches and builds; .venv and data stay
	rm -rf dist out site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@if ! $(BIN)/python -c '' 2>/dev/null; then \
	  found=; \
	  for python in $(CANDIDATES); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "setup: Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing). Choose one: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	  fi; \
	  if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "setup: $$found has no venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; \
	  fi; \
	  echo "setup: creating .venv with $$($$found --version)"; \
	  $$found -m venv --clear .venv; \
	fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	@echo "setup: installing the packages of requirements.lock (5 GB the first time)"
	@$(BIN)/uv pip sync --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --offline --editable .
	@touch $(READY)
