# Everything that one does with this project. `make` alone lists it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# The first of these that is Python 3.11 or newer makes the environment.
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3.14

.PHONY: help setup system check format sync test e2e demo up docs docs-serve pictures bench clean

help:  ## this list
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## install into .venv, once (5 GB: torch comes with its GPU libraries)

system:  ## Debian's packages for the long stories (a browser, a broker), where root may install them
	@missing=; \
	command -v chromium >/dev/null || missing="chromium"; \
	[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$$missing rabbitmq-server"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "system: not installed, and not by us without root and apt-get: $$missing. Their tests will be skipped"; exit 0; \
	fi; \
	echo "system: installing $$missing"; \
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	said=$$({ timeout 300 apt-get update -qq; timeout 900 apt-get install -qq -y --no-install-recommends $$missing; } 2>&1) \
	  || echo "system: that failed, and their tests will be skipped: $$(echo "$$said" | tail -n 1)"

check: $(READY)  ## lint, format, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)  ## put the code into its format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

sync: $(READY)  ## write what is made of other code: the client without async, the page of the command
	$(BIN)/python -m tools.sync_client
	$(BIN)/python -m tools.command_page

test: $(READY)  ## every test but the long stories
	$(BIN)/python -m pytest -m "not e2e" -n 2 --dist worksteal -q

e2e: $(READY) system  ## the long stories: real processes, real data
	$(BIN)/python -m pytest -m e2e -v

demo: $(READY)  ## distil, compare, download, check; your own with TEACHER=file DATA=zip STUDENT=name
	@$(BIN)/python -m dlkd_client.demo $(if $(TEACHER),--teacher "$(TEACHER)") $(if $(DATA),--data "$(DATA)") $(if $(STUDENT),--student "$(STUDENT)") \
	  $(if $(EPOCHS),--epochs "$(EPOCHS)") $(if $(SEEDS),--seeds "$(SEEDS)")

up: $(READY)  ## start the service on http://127.0.0.1:8000 with its files in ./data
	@$(BIN)/dlkd up --data data --port 8000

docs: $(READY)  ## build the documentation into site/; site/index.html opens without a server
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict && echo "docs: site/index.html"

docs-serve: $(READY)  ## the documentation on http://127.0.0.1:8001, built again at each change
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

pictures: $(READY)  ## take the documentation's pictures of the portal anew
	$(BIN)/python -m pytest -q tests/e2e/portal --pictures out/pictures
	mkdir -p docs/portal
	for name in $$(grep -o 'portal/[a-z-]*\.png' docs/portal.md); do cp "out/pictures/$$(basename $$name)" docs/portal/; done

bench: $(READY)  ## measure what is measured
	$(BIN)/python -m benchmarks.start_up
	$(BIN)/python -m benchmarks.short_budget

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
	    echo "setup: Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo absent). Name one: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	  fi; \
	  if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "setup: $$found has no venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; \
	  fi; \
	  echo "setup: making .venv with $$($$found --version)"; \
	  $$found -m venv --clear .venv; \
	fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	@echo "setup: installing what requirements.lock names (5 GB the first time)"
	@$(BIN)/uv pip sync --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --offline --editable .
	@touch $(READY)
