#!/bin/sh
# Make .venv from the lock: `sh deploy/setup.sh [python]`. uv installs it in half a minute; where uv cannot
# (a mirror that only pip knows), pip does the same more slowly. Hashes are checked either way.
set -eu
python=${1:-python3}

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

command -v "$python" >/dev/null || fail "no $python found; install Python 3.11 to 3.13, or name one: make setup PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$("$python" --version) is not supported; name Python 3.11 to 3.13: make setup PYTHON=/path/to/python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "this Python has no venv; on Debian and Ubuntu: sudo apt-get install python3-venv"
"$python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null ||
    fail "LightGBM needs the system library libgomp1; on Debian and Ubuntu: sudo apt-get install libgomp1 (Fedora: sudo dnf install libgomp)"

echo "setup: making .venv from requirements.lock"
.venv/bin/python -m pip --version >/dev/null 2>&1 && .venv/bin/python -c "import sys; sys.exit('$("$python" -c 'import sys; print(sys.version_info[:2])')' != str(sys.version_info[:2]))" ||
    { rm -rf .venv; "$python" -m venv .venv; }
sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ /p}' requirements.lock > .venv/uv.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock
if ! .venv/bin/uv pip sync --quiet --require-hashes --compile-bytecode --python .venv requirements.lock; then
    echo "setup: uv could not; pip takes over" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
fi
# The lock knows nothing of TensorFlow, so what `make extras` had added is gone again.
[ ! -e .venv/extras.lock ] || sh deploy/extras.sh || echo "setup: TensorFlow could not be installed again; later: make extras" >&2
# The project itself, in place; its build tool is in the lock, so nothing is fetched unchecked.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
