#!/bin/sh
# Every check and every test: `make test`. Checks that need a program this machine lacks are left out, in plain words.
set -eu
bin=.venv/bin
sh deploy/extras.sh || echo "left out: tests of model family keras (TensorFlow could not be installed: see above; later: make extras)"
echo "== format, lint, types, import contracts"
$bin/ruff format --check --quiet .
$bin/ruff check --quiet .
$bin/mypy
$bin/lint-imports
echo "== tests"
command -v chromium >/dev/null || echo "left out: browser tests (no chromium; on Debian: sudo apt-get install chromium)"
[ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || echo "left out: PostgreSQL tests (no server; on Debian: sudo apt-get install postgresql)"
exec $bin/pytest --cov --cov-report=term:skip-covered "$@"
