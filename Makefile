# Isocenter: `make run` shows the demo hospital, `make test` tests everything. `make` alone lists the rest.

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
UV := $(shell command -v uv || echo $(VENV)/bin/uv)
LOCK := $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help setup run test check format docs lock bench screenshots clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

setup: $(STAMP) ## make .venv with everything that Isocenter, its tests and its checks need

$(STAMP): requirements.txt requirements-dev.txt scripts/setup.sh
	scripts/setup.sh $(VENV)
	@touch $@

run: $(STAMP) ## make the demo hospital if there is none, and serve it on http://127.0.0.1:8050
	scripts/demo.sh

test: $(STAMP) ## run all tests; installs the system packages that they use where it may
	scripts/system-packages.sh
	$(PYTHON) -m pytest -n 2

check: $(STAMP) ## check format, lint, types, import rules, spelling, dead code, migrations and generated pages
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell
	$(PYTHON) scripts/dead_code.py
	$(PYTHON) scripts/check_migrations.py
	$(PYTHON) scripts/make_docs.py --check

format: $(STAMP) ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: $(STAMP) ## write the generated pages of docs/ from the code
	$(PYTHON) scripts/make_docs.py

lock: $(STAMP) ## pin the newest versions of everything in requirements*.in
	$(LOCK) --upgrade requirements.in -o requirements.txt
	$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt

bench: $(STAMP) ## run the benchmarks; each prints the ratio of two things measured in one run
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(PYTHON) $$file || exit 1; done

screenshots: $(STAMP) ## make the pictures of docs/pictures from the demo
	scripts/system-packages.sh chromium
	$(PYTHON) scripts/screenshots.py

clean: ## remove the environment and what tools left; data stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache test-results
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
