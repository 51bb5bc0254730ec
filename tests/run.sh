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
if [ $# -gt 0 ]; then
    exec $bin/pytest --cov --cov-report=term:skip-covered "$@"
fi
# Two side by side: one mostly waits for servers, the other one computes. What the second prints is shown once it has ended.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
COVERAGE_FILE=.coverage.parts $bin/pytest --cov --cov-report= --durations=15 tests/configs tests/benchmarks tests/tasks >"$said" 2>&1 &
parts=$!
trap 'kill $parts 2>/dev/null; rm -f "$said"' INT TERM
flows=0
COVERAGE_FILE=.coverage.flows $bin/pytest --cov --cov-report= --durations=25 tests/flows tests/faults tests/browser tests/deploy || flows=$?
result=0
wait $parts || result=$?
cat "$said"
$bin/coverage combine --quiet .coverage.parts .coverage.flows
$bin/coverage report --skip-covered
[ "$flows" = 0 ] || result=$flows
exit $result
