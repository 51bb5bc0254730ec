#!/bin/sh
# Make .venv-benchmark: the project's lock, and on top of it the peers' own. The project's .venv stays as locked.
# uv's cache makes it cheap; where uv cannot, pip does the same more slowly. Hashes are checked either way.
set -eu
peers=tests/benchmarks/requirements.txt
echo "benchmark: making .venv-benchmark from requirements.lock and $peers"
rm -rf .venv-benchmark
.venv/bin/python -m venv .venv-benchmark
if ! .venv/bin/uv pip install --quiet --no-deps --require-hashes --compile-bytecode --python .venv-benchmark -r requirements.lock -r "$peers"; then
    echo "benchmark: uv could not; pip takes over" >&2
    .venv-benchmark/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock -r "$peers"
fi
