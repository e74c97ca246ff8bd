# Everything a user or the CI does. Each target installs what it needs into .venv, once, at the versions and hashes
# of requirements/*.txt; Python 3.11 or later, git and make are all that must be there. The tests also need Chromium and
# Java 17 or later, and ENGINE=spark needs Java: apt-get installs them where they are missing.
#
#   PYTHON=python3.12   the interpreter .venv is made with, where the first one found is not the one wanted

PORT ?= 3000
STORAGE ?= files
ENGINE ?=
PYTEST_ARGS ?=
WORKERS ?= auto
UPGRADE ?=

BIN := .venv/bin
FOREGROUND := $(BIN)/python -m tools.foreground --storage $(STORAGE)
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --group build $(UPGRADE)

PEERS := $(basename $(notdir $(wildcard benchmarks/peers/*.in)))
LOCK_PEER := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(UPGRADE)

STORAGES := files postgres s3 azure
ifneq ($(filter run materialize,$(MAKECMDGOALS)),)
ifneq ($(words $(STORAGE))$(filter $(STORAGE),$(STORAGES)),1$(STORAGE))
$(error STORAGE=$(STORAGE) is no storage of the demo. Choose one of: $(STORAGES))
endif
endif
ENGINES := polars spark duckdb
ifneq ($(filter run materialize,$(MAKECMDGOALS)),)
ifneq ($(words $(ENGINE))$(filter $(ENGINE),$(ENGINES)),$(if $(strip $(ENGINE)),1$(ENGINE),0))
$(error ENGINE=$(ENGINE) is no engine. Choose one of: $(ENGINES))
endif
ifneq ($(strip $(ENGINE)),)
export ALIGNED_ENGINE := $(ENGINE)
endif
endif
# What the demo needs: for a storage with a server also that server, which is one of the tests'; for an engine its package.
DEMO := $(if $(filter files,$(STORAGE)),.venv/run.stamp,.venv/dev.stamp) $(if $(filter azure,$(STORAGE)),.venv/azurite.stamp) \
	$(if $(filter spark duckdb,$(ENGINE)),.venv/$(ENGINE).stamp) $(if $(filter spark,$(ENGINE)),java)

.DEFAULT_GOAL := help
.PHONY: help run materialize test check format lock bench clean java

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

run: $(DEMO) ## Materialise the demo and serve the web UI, on PORT=3000; STORAGE=postgres, s3 or azure, ENGINE=spark
	@$(FOREGROUND) $(BIN)/aligned-dagster run --port $(PORT)

materialize: $(DEMO) ## Materialise the demo, print the summary and end; STORAGE and ENGINE as for run
	@$(FOREGROUND) $(BIN)/aligned-dagster materialize

test: .venv/dev.stamp .venv/azurite.stamp ## Run the tests, those in a browser too; PYTEST_ARGS="-k name", WORKERS=processes
	@tools/chromium.sh
	@tools/java.sh
	@tools/postgres_jdbc.sh
	@$(BIN)/python -m compileall -q aligned_dagster tools # once, and not in each of the processes that tests start
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: .venv/dev.stamp ## Check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/dev.stamp ## Format the code and mend what lint can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: .venv/build.stamp ## Write requirements/*.txt from pyproject.toml; UPGRADE=--upgrade for newer versions
	$(COMPILE) pyproject.toml --extra dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra demo -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) pyproject.toml --extra demo --extra spark -c requirements/dev.txt -o requirements/spark.txt
	$(COMPILE) pyproject.toml --extra demo --extra duckdb -c requirements/dev.txt -o requirements/duckdb.txt
	$(COMPILE) -c requirements/dev.txt -o requirements/build.txt
	$(foreach peer,$(PEERS),$(LOCK_PEER) benchmarks/peers/$(peer).in -o benchmarks/peers/$(peer).txt &&) true

bench: .venv/dev.stamp ## Measure beside the peers; QUICK=1 in minutes, ONLY=name; writes benchmarks/results
	@$(BIN)/python -m benchmarks $(ONLY) $(if $(QUICK),--quick)

clean: ## Remove .venv and caches; data/ and dagster_home/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

java:
	@tools/java.sh

.venv/%.stamp: requirements/%.txt requirements/build.txt pyproject.toml tools/install.sh
	@tools/install.sh $*

.venv/azurite.stamp: tools/azurite.sh tools/azurite/package.json tools/azurite/package-lock.json | .venv/dev.stamp
	@tools/azurite.sh
