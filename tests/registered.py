"""Registered models made without training: real versions in a real registry, whose files are a few bytes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from tasks.homes import Home
from tasks.leases import Lease, hold_lease
from tasks.registry import Move, await_review, make_champion, read_entry
from tasks.registry.champions import SETTINGS_FILE
from tasks.registry.digesting import model_digest
from tasks.registry.versions import DIGEST
from tasks.tracking import Tracker, connect
from tests.small import small_table

WRITES = (
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "set_model_version_tag",
    "delete_model_version_tag",
    "create_registered_model",
    "create_model_version",
)
RECIPE = {"family": "lightgbm", "hyperparameters": {"num_leaves": 7}, "model": {"family": "lightgbm"}}


class Killed(BaseException):
    """What a process that is killed does not get to do."""


class Shelf:
    """Versions of one model, as retrains leave them."""

    def __init__(self, tracker: Tracker, folder: Path, studies: str, name: str = "shop") -> None:
        self.tracker, self.folder, self.studies, self.name = tracker, folder, studies, name
        self.client = tracker.client

    def add(self, whole: bool = True, settings: bool = True, **tags: str) -> str:
        """A version that nothing points at; `whole`: with a run and files of its own. `tags` are given without `evertune.`"""
        if not read_entry(self.tracker, self.name).versions:
            self.client.create_registered_model(self.name)
        told = {f"evertune.{key}": value for key, value in tags.items()}
        if not whole:
            return str(self.client.create_model_version(self.name, self.folder.as_uri(), tags=told).version)
        run = self._retrain(settings)
        logged = self.client.create_logged_model(self.tracker.experiment, name=self.name, source_run_id=run)
        files = self.folder / run
        files.mkdir(parents=True)
        (files / "MLmodel").write_text("flavors: {}\n")
        self.client.log_model_artifacts(logged.model_id, str(files))
        told = {DIGEST: model_digest(files), "evertune.verdict": "promote", "evertune.identity": run, **told}
        return str(self.client.create_model_version(self.name, logged.model_uri, run_id=run, tags=told, model_id=logged.model_id).version)

    def _retrain(self, settings: bool) -> str:
        given = {"evertune.kind": "retrain", "evertune.model": self.name, "evertune.as_of": "2024-05-01T00:00:00+00:00"}
        run: str = self.client.create_run(self.tracker.experiment, tags={**given, "evertune.tuning": "ran"}).info.run_id
        if settings:
            self.client.log_text(run, json.dumps(RECIPE), SETTINGS_FILE)
        self.client.set_terminated(run)
        return run

    def promote(self, version: str, by: str = "retrain 1a2b", lease: Lease | None = None) -> str:
        """Make it champion, as a retrain does that judged it against the champion of now."""
        make_champion(self.tracker, self.name, version, self.aliases.get("champion"), lease, Move(by, "better"))
        return version

    def add_champion(self, **tags: Any) -> str:
        return self.promote(self.add(**tags))

    def add_waiting(self, **tags: Any) -> str:
        """A version that the gate was not sure of."""
        against = {"judged_against": self.aliases.get("champion", "")}
        version = self.add(**{"verdict": "ask", "reason": "the rows cannot tell", **against, **tags})
        await_review(self.tracker, self.name, version, None)
        return version

    @property
    def aliases(self) -> dict[str, str]:
        return read_entry(self.tracker, self.name).aliases

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(self.name, version).tags)

    def log(self, version: str) -> list[str]:
        """What was done with a version, without the times."""
        return [f"{act['act']} by {act['by']}" for act in json.loads(self.tags(version).get("evertune.log", "[]"))]

    def lease(self, seize: bool = False) -> AbstractContextManager[Lease]:
        return hold_lease(self.studies, self.name, 30, "another one", seize)


@contextmanager
def killed_before_write(monkeypatch: pytest.MonkeyPatch, tracker: Tracker, number: int) -> Iterator[None]:
    """The process is as good as killed before its `number`-th write to the registry (from 0); with fewer writes nothing happens."""
    left = number

    def guarded(method: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return method(*args, **kwargs)

        return write

    with monkeypatch.context() as patch:
        for name in WRITES:
            patch.setattr(tracker.client, name, guarded(getattr(tracker.client, name)))
        yield


@pytest.fixture
def shelf(store: Home, tmp_path: Path) -> Shelf:
    """An empty one, of the model `shop`."""
    return Shelf(connect(store, "shop"), tmp_path / "models", store.studies_url)


def moving_table(version: str) -> pd.DataFrame:
    """The small table, read while somebody moves the alias in MLflow."""
    MlflowClient(Home.from_environment().mlflow_url).set_registered_model_alias("shop", "champion", version)
    return small_table()


def unleasing_table() -> pd.DataFrame:
    """The small table, read while somebody deletes the lease."""
    with sqlite3.connect(Home.from_environment().root / "studies.db") as studies:
        studies.execute("DELETE FROM evertune_leases")
    studies.close()
    return small_table()


def stopping_table() -> pd.DataFrame:
    """The small table, read by a process that is stopped meanwhile."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return small_table()
