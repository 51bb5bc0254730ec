"""Fixtures that every test may use. Real servers live in fixtures of their own, one for the whole run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ.update(
    {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MPLBACKEND": "agg",
        "OMP_WAIT_POLICY": "PASSIVE",  # as the command line has it
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
)
ROOT = Path(__file__).parent.parent
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what is in its background so, and every child would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # and nohup so
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An EVERTUNE_HOME of this test's own, and no server of anybody else's."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EVERTUNE_HOME", str(folder))
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "EVERTUNE_STUDIES_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


pytest_plugins = ["tests.engine", "tests.operation", "tests.servers", "tests.stores"]
