# Needs make and Python >= 3.11 only; everything else is fetched into .venv and .local.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
WORKER := .venv-3.13
INFRA := .venv-infra
AUDIT := .venv-audit
PIP := -m pip install --quiet --disable-pip-version-check
USABLE = $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

# One lock for every supported Python and system; Microsoft's worker knows Python 3.13 alone.
LOCK = $(BIN)/uv pip compile --quiet --no-config --universal --generate-hashes --python-version $(1) $(if $(UPGRADE),--upgrade)

# What failed beside other tests runs once more, alone, and is named.
ALONE = $(BIN)/python -m tests.alone

# A virtual environment that was not finished, or whose Python is gone, counts as not installed and is made anew.
ifneq ($(shell $(USABLE) && echo yes),yes)
$(shell rm -f $(VENV)/.installed-*)
endif

.DEFAULT_GOAL := help
.PHONY: help setup run demo client test exhaustive simulate sdks quick check format bench speed quality infra docs lock audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.installed-dev ## install everything, start nothing

run: $(VENV)/.installed-local $(if $(filter azurite,$(STORAGE)),$(VENV)/.installed-azurite) ## start the service on PORT (7071); prints the link to the demo (STORAGE=azurite: on Azurite; TLS=1: by HTTPS; PROCESSES=4: with four processes)
	@exec $(BIN)/python -m local $(if $(STORAGE),--storage "$(STORAGE)") $(if $(TLS),--tls)

demo: $(VENV)/.installed-local ## simulate traffic through the official SDK and draw the learning curve (DATA, ENDPOINT, KEY)
	@DATA="$(DATA)" ENDPOINT="$(ENDPOINT)" KEY="$(KEY)" exec $(BIN)/python -m examples.demo

client: | environment ## build the Python package for applications that decide in their own process, in dist/
	@$(BIN)/python client/backend.py dist

test: export PYTHONDONTWRITEBYTECODE =  # hundreds of processes are started: each would compile the app anew
test: $(VENV)/.installed-dev worker browser ## run the tests; those of Azure's engine start an Azurite
	$(BIN)/python -m pytest -n 5 --dist loadscope || $(ALONE)

exhaustive: export PYTHONDONTWRITEBYTECODE =
exhaustive: $(VENV)/.installed-dev worker browser ## run the rest of the long sweeps, of which `make test` runs representatives
	$(BIN)/python -m pytest -n 5 --dist loadscope -m exhaustive || $(ALONE)

simulate: $(VENV)/.installed-dev ## play schedules of several processes, crashes and faults in virtual time, on two cores (SEEDS=FIRST:LAST; ARGS)
	@exec $(BIN)/python -m tests.simulation $(or $(SEEDS),0:1000) $(ARGS)

sdks: $(VENV)/.installed-dev ## try the official SDKs for Python and JavaScript, and for Go if it is installed (SDK=go: that one; its first time takes minutes)
	$(BIN)/python -m pytest -n 4 --dist loadscope tests/sdk/$(SDK) || $(ALONE)

quick: $(VENV)/.installed-dev ## run the tests that need no Azurite and start no app
	$(BIN)/python -m pytest -m "not azurite and not slow"

check: $(VENV)/.installed-dev ## lint, formatting, types and the floors between the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format the code and fix simple faults
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.installed-dev ## measure speed, each figure beside a floor of the same run
	$(BIN)/python -m benchmarks

speed: $(VENV)/.installed-dev ## measure Rank and training beside Vowpal Wabbit, in one process
	PYTHONPATH=client $(BIN)/python -m benchmarks.speed

quality: $(VENV)/.installed-dev ## measure the rewards in made worlds and on the data sets in the folder DATA (ARGS: --vw, --against FOLDER, ...)
	$(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)") $(ARGS)

infra: $(VENV)/.installed-dev $(INFRA)/.installed ## check the templates, queries, hooks and workflows, with checkov as well
	$(BIN)/python -m pytest tests/infra

docs: $(VENV)/.installed-dev ## write docs/api.md from the description of the API
	$(BIN)/python -m tests.docs.api_page

lock: $(VENV)/.installed-lock ## write the locks from requirements/*.in (UPGRADE=1: with the newest versions that their ranges allow)
	$(call LOCK,3.11) requirements/dev.in --output-file requirements/dev.txt
	$(call LOCK,3.11) --constraint requirements/dev.txt requirements/app.in --output-file requirements.txt
	for each in server local azurite cli parquet; do \
	  $(call LOCK,3.11) --constraint requirements/dev.txt requirements/$$each.in --output-file requirements/$$each.txt || exit; \
	done
	$(call LOCK,3.13) --constraint requirements/dev.txt requirements/worker.in --output-file requirements/worker.txt
	for each in infra audit lock; do $(call LOCK,3.11) requirements/$$each.in --output-file requirements/$$each.txt || exit; done

audit: $(AUDIT)/.installed ## look for known faults in the deployed packages, and list all packages in .local/contents.cdx.json
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.txt
	@mkdir -p .local
	$(AUDIT)/bin/cyclonedx-py requirements requirements.txt --output-reproducible --output-file .local/contents.cdx.json

clean: ## remove installed packages and caches; the service's data and keys in .local stay
	rm -rf $(VENV) $(WORKER) $(INFRA) $(AUDIT) dist .local/azurite .local/go examples/javascript/node_modules tests/browser/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-local: requirements/local.txt | environment
	@echo "Installing what the service needs ..."
	@$(BIN)/python $(PIP) -r requirements/local.txt
	@touch $@

$(VENV)/.installed-azurite: requirements/azurite.txt | environment
	@echo "Installing what Azurite needs ..."
	@$(BIN)/python $(PIP) -r requirements/azurite.txt
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt | environment
	@echo "Installing what the service and its tests need ..."
	@$(BIN)/python $(PIP) -r requirements/dev.txt
	@touch $@ $(VENV)/.installed-local $(VENV)/.installed-azurite

.PHONY: environment
environment:
	@$(USABLE) && exit 0; \
	rm -rf $(VENV); \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    if $$python -c 'import venv, ensurepip' 2>/dev/null; then \
	      echo "Making $(VENV) with $$($$python --version) ..."; exec $$python -m venv $(VENV); \
	    fi; \
	    incomplete=$$python; \
	  fi; \
	done; \
	if [ -n "$$incomplete" ]; then \
	  echo "$$incomplete cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2; \
	else \
	  echo "Python 3.11 or newer is needed and was not found. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	fi; exit 1

$(VENV)/.installed-lock: requirements/lock.txt | environment
	@$(BIN)/python $(PIP) -r requirements/lock.txt
	@touch $@

$(AUDIT)/.installed: requirements/audit.txt | environment
	@echo "Installing what audits ..."
	@$(BIN)/python -m venv --clear $(AUDIT) && $(AUDIT)/bin/python $(PIP) -r requirements/audit.txt
	@touch $@

$(INFRA)/.installed: requirements/infra.txt | environment
	@echo "Installing checkov ..."
	@$(BIN)/python -m venv --clear $(INFRA) && $(INFRA)/bin/python $(PIP) -r requirements/infra.txt
	@touch $@

# The HTTP tests run a second time in Microsoft's worker, which wants Python 3.13; without one they are skipped and say so.
.PHONY: worker
worker: requirements/worker.txt
	@if [ -f $(WORKER)/.installed ] && $(WORKER)/bin/python -c 'import pip' 2>/dev/null && [ -z "$$(find $^ -newer $(WORKER)/.installed)" ]; then exit 0; fi; \
	for python in $(PYTHON313) python3.13 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13*/bin/python3.13 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then \
	    echo "Installing Microsoft's worker into $(WORKER) with $$python ..."; \
	    "$$python" -m venv --clear $(WORKER) && $(WORKER)/bin/python $(PIP) -r requirements/worker.txt && touch $(WORKER)/.installed; exit; \
	  fi; \
	done; \
	echo "No Python 3.13 here: the HTTP tests run in the local host only (PYTHON313=/path/to/python3.13 names one)."

# Pages are tested in a chromium, which no Python package carries; without one these tests are skipped and say so.
# The one without windows takes the least work.
.PHONY: browser
browser:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$name >/dev/null 2>&1 && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing chromium ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium-headless-shell >/dev/null 2>&1 && exit 0; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null && exit 0; \
	fi; \
	echo "No chromium here: pages are not tested in a browser (Debian: apt install chromium-headless-shell)."
