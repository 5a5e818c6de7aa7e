# The only command surface. `make run` on a fresh clone needs Python 3.11 and a package index, nothing else.
#   TONGBAO_HOME  where the county's state lies (default: var/)
#   EXPORTS       a folder of exports to pull instead of the simulated systems
#   COUNTY        with EXPORTS: `make county` reads them by the profile counties/<COUNTY> (or a folder that has one)
#   PROFILES      with `make up`: also start these, PROFILES="demo superset"
#   PERIODS       with EXPORTS: publish exactly these, e.g. PERIODS="2022-07 2022-07--2022-08"
#   BACKEND       with `make superset`: duckdb (default) or postgres, the mirror of TONGBAO_POSTGRES
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
REQUIREMENTS ?= requirements/dev.txt
CLIENTS ?= .clients
INSTALLED := $(VENV)/.installed-$(notdir $(REQUIREMENTS))
# Superset needs other versions of what Airflow and dbt need, so it has an environment of its own.
SUPERSET_VENV ?= var/superset-venv
SUPERSET := $(SUPERSET_VENV)/.installed
BACKEND ?= duckdb
# Compiled once at install; an interpreter that may not write bytecode would compile Airflow at every start.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help install run county ui stop backfill status rebuild dbt superset test test-superset clients lint format bench faults study lock up down clean

help:  ## this overview
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 16

install: $(INSTALLED)  ## the environment, from the hash-pinned requirements (only when they changed)

$(INSTALLED): $(REQUIREMENTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(REQUIREMENTS)
	@touch $@

run: install  ## the monthly run, end to end: pull, validate, build, rank, publish, print
	@$(BIN)/python -m ops run $(if $(EXPORTS),--exports "$(EXPORTS)") $(if $(PERIODS),--periods "$(PERIODS)")

county: install  ## exports as another county spells them, without Airflow: make county COUNTY=pingshan EXPORTS=<folder>
	@TONGBAO_COUNTY="$(COUNTY)" $(BIN)/python -m counties run --exports "$(EXPORTS)" $(PERIODS)

ui: install  ## the same under Airflow's web pages, until Ctrl-C
	@$(BIN)/python -m ops ui $(if $(EXPORTS),--exports "$(EXPORTS)")

stop: install  ## stop what `make ui` or a killed run left running
	@$(BIN)/python -m ops stop

backfill: install  ## pull a year again in the Airflow of `make ui`: make backfill YEAR=2022
	@$(BIN)/python -m ops backfill "$(YEAR)"

dbt: install  ## dbt on a copy of the newest build: make dbt ARGS="run --select unit_rankings"
	@$(if $(COUNTY),TONGBAO_COUNTY="$(COUNTY)") $(BIN)/python -m ops.scratch $(ARGS)

superset: install $(SUPERSET)  ## Superset with the dashboards, on loopback, until Ctrl-C: make superset BACKEND=postgres
	@TONGBAO_SUPERSET_VENV="$(abspath $(SUPERSET_VENV))" $(BIN)/python -m ops superset --backend "$(BACKEND)" --port 8088

$(SUPERSET): requirements/superset.txt
	@test -x $(SUPERSET_VENV)/bin/python || $(PYTHON) -m venv $(SUPERSET_VENV)
	$(SUPERSET_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/superset.txt
	@touch $@

test-superset: install $(SUPERSET)  ## the tests that need a real Superset, its environment installed first
	TONGBAO_SUPERSET=required TONGBAO_SUPERSET_VENV="$(abspath $(SUPERSET_VENV))" $(BIN)/python -m pytest tests/end_to_end/test_superset.py tests/end_to_end/test_superset_assets.py

test: install  ## all tests
	$(BIN)/python -m pytest $(TESTS)

# Two environments of their own: other DuckDB releases than the warehouse's, harlequin, a notebook's kernel.
clients: install  ## DuckDB 1.4 and 1.5, psql, harlequin and a notebook read while thirty releases are published
	@for version in 1.4 1.5; do \
	  home="$(CLIENTS)/duckdb-$$version"; test -x "$$home/bin/python" || $(PYTHON) -m venv "$$home"; \
	  "$$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	    -r requirements/clients/duckdb-$$version.txt || exit 1; \
	done
	TONGBAO_CLIENTS="$(abspath $(CLIENTS))" $(BIN)/python -m pytest tests/clients -s

lint: install  ## ruff, mypy, sqlfluff; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests

format: install  ## write what ruff would
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

status: install  ## what is landed, validated, published; how old it is and which source is late
	@$(BIN)/python -m upkeep status

rebuild: install  ## the served release again from raw files alone, timed; are the digests the same?
	@$(BIN)/python -m upkeep rebuild

bench: install  ## a month through the DAGs and at several sizes, beside yardsticks; BENCH="--part sizes --sizes 1,50,500"
	@$(BIN)/python -m ops.bench $(BENCH)

faults: install  ## the card of faults: damaged deliveries, kills, full disks, limits; writes var/faults.json
	@$(BIN)/python -m faults

study: install  ## fairness of the rules on simulated counties, beside raw rates and target-and-slope; writes var/study.json
	@$(BIN)/python -m study

lock:  ## compile the hash-pinned requirements from the .in files (needs uv)
	uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url requirements/base.in -o requirements/base.txt
	uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url requirements/dev.in -o requirements/dev.txt
	for version in 1.4 1.5; do uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  requirements/clients/duckdb-$$version.in -o requirements/clients/duckdb-$$version.txt || exit 1; done
	uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url requirements/superset.in -o requirements/superset.txt

up:  ## the deployment in containers (docs/deployment.md): make up PROFILES="demo superset"
	@$(PYTHON) deploy/secrets.py
	docker compose $(addprefix --profile ,$(PROFILES)) up --detach --build --wait

down:  ## stop the containers; the state stays in their volumes
	docker compose --profile "*" down

clean:  ## caches and build products; never the county's state
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target dbt_project/logs
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
