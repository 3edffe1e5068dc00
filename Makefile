# The work is done in Python; this file only names it. `make up PYTHON=python3.12` chooses another Python.
PYTHON ?= python3
RUN := .venv/bin/
.DEFAULT_GOAL := up
.PHONY: up down status test test-containers check fmt bench faults faults-release chromium parser contracts asyncapi docs screenshots lock vendor clean bootstrap bootstrap-dev

up: bootstrap  ## everything, in the foreground
	@exec $(RUN)lienthong up $(ARGS)

# With what is installed, if that works: another Python or a full disk must not keep what runs from being stopped.
down:
	@$(RUN)python -c 'import deploy.cli' 2>/dev/null || $(MAKE) --no-print-directory bootstrap
	@exec $(RUN)python -m deploy.cli down

status:
	@$(RUN)python -c 'import deploy.cli' 2>/dev/null || $(MAKE) --no-print-directory bootstrap
	@exec $(RUN)python -m deploy.cli status $(ARGS)

test: bootstrap-dev chromium parser
	$(RUN)pytest -q $(ARGS)

test-containers: bootstrap-dev  ## the flow tests in containers; needs an engine and its compose plugin
	$(RUN)pytest -q -m containers tests/containers $(ARGS)

check: bootstrap-dev
	$(RUN)ruff check
	$(RUN)ruff format --check
	$(RUN)mypy
	$(RUN)lint-imports
	$(RUN)pytest -q tests/architecture

fmt: bootstrap-dev
	$(RUN)ruff check --fix
	$(RUN)ruff format

bench: bootstrap-dev
	$(RUN)python -m tests.bench $(ARGS)

faults: bootstrap-dev  ## what is done to two rivers before a change goes in; at most 15 minutes
	$(RUN)python -m tests.faults $(ARGS)

# Every part by itself and at most 45 minutes; those that held at this commit, by their record, are passed over.
FAULTS := points kills-1 kills-2 kills-3 kills-4 servers outage mail disorder losses \
  restored-intake restored-routing restored-notification \
  forgery-1 forgery-2 forgery-3 forgery-4 network storms clocks disk brokers everything-1 everything-2
faults-release: bootstrap-dev  ## what is done to it before a release; PART=kills-1 does one part
	$(RUN)python -m tests.faults --record $(or $(PART),$(FAULTS)) $(ARGS)

chromium:
	@$(PYTHON) deploy/chromium.py

parser:
	@$(PYTHON) deploy/parser.py

contracts: bootstrap-dev  ## what the services say to one another, written anew: docs/contracts and the golden records
	$(RUN)lienthong contracts
	$(RUN)python -m tests.contracts

asyncapi: bootstrap-dev parser  ## AsyncAPI's own parser reads the document
	$(RUN)lienthong contracts --check
	node tests/contracts/parser/check.js docs/contracts/asyncapi.json

docs: bootstrap-dev  ## the documents as a site, in var/site
	@$(RUN)python -m deploy.site

screenshots: bootstrap-dev chromium  ## pictures of the sample town that runs, in docs/pictures
	@$(RUN)python -m deploy.pictures

lock: bootstrap-dev
	$(RUN)python -m deploy.launcher.locks

vendor:  ## what the browser needs, copied from its packages to where it is served; needs Node, and only to change it
	npm ci --ignore-scripts --no-audit --no-fund
	@$(PYTHON) deploy/vendor.py

clean: bootstrap  ## stops everything and removes what was built and downloaded; dossiers (var/postgres, …) stay
	$(RUN)lienthong down
	for each in var/*/run; do test ! -d $$each || LIENTHONG_VAR=$${each%/run} $(RUN)lienthong down || exit 1; done
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache var/tools var/jars var/test var/site \
	  tests/contracts/parser/node_modules

bootstrap bootstrap-dev:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "✗ $(PYTHON) is not Python 3.11 or newer: install it, or name it: make up PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) deploy/bootstrap.py $(if $(findstring dev,$@),--dev)
