#!/bin/sh
# Install what optional families need into .venv, on top of requirements.lock: TensorFlow for family keras, about 1 GB.
# Done in no time when it is there already. Versions that both locks name are the same; hashes are checked either way.
set -eu
if ! .venv/bin/uv pip install --quiet --no-deps --require-hashes --compile-bytecode --python .venv -r deploy/extras.lock; then
    echo "extras: uv could not; pip takes over" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r deploy/extras.lock
fi
cp deploy/extras.lock .venv/extras.lock
