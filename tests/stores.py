"""Fixtures around a real MLflow store on SQLite: migrated once for the whole run, copied for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from tasks.executors.executor import Executor, JobLimits
from tasks.executors.processes import Processes
from tasks.homes import Home
from tasks.records import Result
from tasks.registry.proving import Prover
from tests.engine import Borrowed
from tests.small import small_config


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database, which takes seconds to make; tests work on copies."""
    from tasks.tracking import connect

    home = Home.named(tmp_path_factory.mktemp("migrated"))
    home.prepare()
    given = os.environ.pop("MLFLOW_TRACKING_URI", None)
    connect(home, "template")
    if given is not None:
        os.environ["MLFLOW_TRACKING_URI"] = given
    return home.root / "mlflow.db"


@pytest.fixture
def store(home: Path, migrated_store: Path) -> Home:
    """This test's home, with an MLflow store in it."""
    made = Home.from_environment()
    shutil.copy(migrated_store, made.root / "mlflow.db")
    return made


@pytest.fixture
def client(store: Home) -> MlflowClient:
    return MlflowClient(store.mlflow_url)


@pytest.fixture(scope="session")
def prover() -> Iterator[Prover]:
    """The clean process that every model of the test run is proven in: it takes seconds to start."""
    with Prover() as shared:
        yield shared


Retrain = Callable[..., Result]


@pytest.fixture
def retrain_shop(store: Home, tmp_path: Path, two_workers: Processes, prover: Prover, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retrain]:
    """Retrain the small example without Prefect: `retrain_shop(day=120, table=..., force=..., **config changes)`.

    Its trials run on the test run's workers, which would else take two seconds to start, unless the config limits them; its
    model is proven by the test run's prover.
    """
    import flows.retrain
    import flows.retraining.searching
    from configs.reading import read_config
    from flows.retrain import run_retrain
    from tests.small import at_day

    opened = flows.retraining.searching.open_executor

    def lend(kind: Any, capacity: int | None, threads: int, limits: JobLimits, *others: Any) -> Executor:
        shared = kind == "processes" and capacity in (None, two_workers.capacity) and limits == JobLimits()
        return Borrowed(two_workers) if shared else opened(kind, capacity, threads, limits, *others)

    monkeypatch.setattr(flows.retraining.searching, "open_executor", lend)
    monkeypatch.setattr(flows.retrain, "Prover", lambda _: nullcontext(prover))

    def retrain(day: int = 120, table: pd.DataFrame | None = None, force: bool = False, **changes: Any) -> Result:
        path = small_config(tmp_path / "shop", table, **changes)
        as_of: datetime = at_day(day)
        return run_retrain(read_config(path), as_of, force)

    return retrain


@pytest.fixture
def evertune(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command here; returns exit code, standard output, standard error."""
    monkeypatch.setattr("flows.command_line._log_to_the_terminal", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    from flows.command_line import main

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
