# Everything a user or a developer types. `make` alone lists it.
PYTHON ?= python3
BIN := .venv/bin
AS_OF ?= 2013-10-01

.DEFAULT_GOAL := help
.PHONY: help setup extras retrain test everyday lint lock up benchmark screenshots clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/evertune.lock  ## make .venv from the lock (only when the lock changed)

.venv/evertune.lock: requirements.lock pyproject.toml deploy/setup.sh
	@sh deploy/setup.sh $(PYTHON)
	@cp requirements.lock $@

extras: setup  ## add what model family keras needs: TensorFlow, about 1 GB
	@sh deploy/extras.sh

retrain: setup  ## retrain flights, with about a minute of tuning
	@$(BIN)/evertune run configs/flights.yaml --as-of $(AS_OF) --tune always

test: setup  ## every check and every test
	@sh tests/run.sh

everyday: setup  ## every check, and the tests that need no server of Prefect's or MLflow's: about ten minutes
	@sh tests/run.sh tests/configs tests/tasks

lint: setup  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

lock: setup  ## renew the locks (newest versions that pyproject.toml allows)
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --extra dask \
		--generate-hashes --upgrade --quiet --custom-compile-command "make lock" -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml deploy/image.in --constraint requirements.lock --python-version 3.11 --python-platform linux --extra dask \
		--generate-hashes --no-annotate --quiet --custom-compile-command "make lock" -o deploy/image.lock
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["keras"], sep="\n")' | \
		$(BIN)/uv pip compile - --constraint requirements.lock --universal --python-version 3.11 --no-annotate \
		--generate-hashes --upgrade --quiet --custom-compile-command "make lock" -o deploy/extras.lock
	@$(BIN)/uv pip compile tests/benchmarks/requirements.in --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --upgrade --quiet --custom-compile-command "make lock" -o tests/benchmarks/requirements.txt

up: setup  ## Prefect, MLflow and a worker here: flights by its schedule and by hand, until Ctrl-C
	@$(BIN)/evertune up configs/flights.yaml

benchmark: .venv-benchmark/peers.lock  ## Evertune against its peers, about an hour; ARGS="--months 2013-06 --seeds 0 --budgets 10" for a look
	@.venv-benchmark/bin/python -m tests.benchmarks.tuning $(ARGS)

.venv-benchmark/peers.lock: tests/benchmarks/requirements.txt requirements.lock | setup
	@sh tests/benchmarks/setup.sh
	@cp tests/benchmarks/requirements.txt $@

clean:  ## remove .venv and caches; keeps .evertune, where models and runs are
	rm -rf .venv .venv-benchmark .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage dist

screenshots: setup  ## pictures of the newest run in .evertune, for the README (needs chromium)
	@$(BIN)/python tests/browser/screenshots.py .evertune tests/browser/screenshots
