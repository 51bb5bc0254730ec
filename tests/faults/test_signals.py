"""SIGTERM and Ctrl-C at a stage where the process is busy: it ends in order, within 10 seconds, and leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.homes import Home
from tests.servers import gone, processes_in
from tests.small import at_day, small_config, small_table

pytestmark = pytest.mark.command
EVERTUNE = Path(sys.executable).parent / "evertune"
SLOW: dict[str, dict[str, Any]] = {
    "load": {"source": {"kind": "python", "function": "slow:read_slowly"}},
    "train": {
        "tuning": {"when": "never"},
        "model": {"family": "lightgbm", "max_rounds": 100_000_000, "early_stopping_rounds": 100_000_000},
    },
}
SOURCE = """
import time
from tests.small import small_table

def read_slowly():
    time.sleep(300)
    return small_table()
"""


@pytest.mark.parametrize(
    ("stage", "number", "code"), [("load", signal.SIGTERM, 143), ("load", signal.SIGINT, 130), ("train", signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_run_in_order_at_any_stage(
    used_home: Home, store: Home, client: MlflowClient, tmp_path: Path, stage: str, number: signal.Signals, code: int
) -> None:
    (tmp_path / "slow.py").write_text(SOURCE)
    config = small_config(tmp_path / "shop", small_table(), **SLOW[stage])
    command = [str(EVERTUNE), "run", str(config), "--as-of", at_day(120).isoformat()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if f"{stage} ..." in line:
                break
        time.sleep(1.5 if stage == "load" else 0)  # in the middle of it
        asked = time.monotonic()
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(60) == code, said
    assert time.monotonic() - asked < 10
    assert gone(store.root, max(0.0, asked + 10 - time.monotonic())), processes_in(store.root)
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"
    assert run.data.tags["failure.stage"] == stage or stage == "train"  # which may be over by then
