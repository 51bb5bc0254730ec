"""kill -9 of a retrain at every stage; the next retrain puts everything right, and nothing is lost but what was running."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.homes import Home
from tests.servers import Program
from tests.small import at_day, small_config
from tests.stores import Retrain

PROMOTING: dict[str, Any] = {"gate": {"min_rows": 20, "margin": 0.5, "unsure": "promote", "explain": False}}
"""What comes after the kill goes live."""
RETRAIN = """
import os, signal, sys
from datetime import datetime
import flows.retrain
from configs.reading import read_config
from flows.telling.recording import SearchRecord
from mlflow import MlflowClient

config, as_of, point = sys.argv[1:]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)

def killed_in(stage):
    # the stage begins, and its process is gone
    stage.plain = lambda *args, **kwargs: die()

def killed_around(owner, name, after, wanted):
    method = getattr(owner, name)
    def call(self, *args, **kwargs):
        hit = wanted(args)
        if hit and not after:
            die()
        found = method(self, *args, **kwargs)
        if hit:
            die()
        return found
    setattr(owner, name, call)

if point in ("load", "validate", "train"):
    killed_in({"load": flows.retrain.load_table, "validate": flows.retrain.validate_table, "train": flows.retrain.train_model}[point])
elif point == "tune":
    killed_around(SearchRecord, "add", True, lambda args: args[0].number == 2)
elif point == "between log_model and register":
    killed_around(MlflowClient, "create_model_version", False, lambda args: True)
elif point == "after the alias":
    killed_around(MlflowClient, "set_registered_model_alias", True, lambda args: "champion" in args)
flows.retrain.run_retrain(read_config(config), datetime.fromisoformat(as_of))
"""
KILLED = [
    ("load", "load or validate", "promoted"),
    ("validate", "load or validate", "promoted"),
    ("tune", "tune", "promoted"),
    ("train", "train", "promoted"),
    ("between log_model and register", "gate, refit or register", "promoted"),
    ("after the alias", "", "unchanged"),
]


def retrains(client: MlflowClient) -> list[Any]:
    """The runs of `shop`, the oldest first."""
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    wanted = "tags.`evertune.kind` = 'retrain'"
    return list(client.search_runs([experiment.experiment_id], wanted, order_by=["attributes.start_time"]))


def require_gone(mark: str, seconds: float = 10) -> None:
    """No process whose environment holds this is left within so many seconds. The test run's own workers share the home."""
    deadline = time.monotonic() + seconds
    while left := [folder.name for folder in Path("/proc").glob("[0-9]*") if mark in environment_of(folder)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def environment_of(process: Path) -> list[str]:
    try:
        return (process / "environ").read_text(errors="replace").split("\0")
    except OSError:  # it ended while we looked
        return []


def require_order(home: Home, client: MlflowClient) -> None:
    """What holds whenever nobody retrains: no scratch, nothing that says it runs, sound databases, one champion."""
    scratch = (path.name for path in (home.root / "scratch").glob("*") if path.is_dir())
    assert [name for name in scratch if not name.startswith(f"{os.getpid()}-")] == []  # the test run's own workers live
    everything = client.search_runs([found.experiment_id for found in client.search_experiments()], "attributes.status = 'RUNNING'")
    assert everything == []
    for name in ("mlflow.db", "studies.db"):
        with closing(sqlite3.connect(home.root / name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    versions = client.search_model_versions("name = 'shop'")
    identities = [version.tags["evertune.identity"] for version in versions]
    assert len(identities) == len(set(identities))
    live = client.get_registered_model("shop").aliases["champion"]
    assert "evertune.promoted" in client.get_model_version("shop", live).tags


@pytest.mark.parametrize(("point", "stage", "verdict"), KILLED, ids=[point for point, *_ in KILLED])
def test_after_a_kill_the_next_retrain_puts_everything_right(
    retrain_shop: Retrain, program: Program, tmp_path: Path, client: MlflowClient, store: Home, point: str, stage: str, verdict: str
) -> None:
    tuning: dict[str, Any] = {"tuning": {"trials": 6, "minutes": None, "parallel": 1}} if point == "tune" else {"tuning": {"when": "never"}}
    process = program(
        RETRAIN, str(small_config(tmp_path / "shop", **PROMOTING, **tuning)), at_day(120).isoformat(), point, KILLED_BY=str(tmp_path)
    )
    said, _ = process.communicate(timeout=180)
    assert process.returncode == -signal.SIGKILL, said
    require_gone(f"KILLED_BY={tmp_path}")  # its workers died with it
    assert [run.info.status for run in retrains(client)] == ["RUNNING"]

    again = retrain_shop(day=120, **PROMOTING, **tuning)
    assert (again.verdict, again.version) == (verdict, "1")
    killed, after = retrains(client)
    assert after.info.status == "FINISHED"
    if stage:
        assert (killed.info.status, killed.data.tags["failure.stage"], killed.data.tags["evertune.verdict"]) == ("FAILED", stage, "failed")
        assert "run the same retrain again" in killed.data.tags["failure.message"]
    else:
        assert (killed.info.status, killed.data.tags["evertune.verdict"]) == ("FINISHED", "promoted")
    if point == "tune":
        kept = client.search_runs([killed.info.experiment_id], f"tags.`mlflow.parentRunId` = '{killed.info.run_id}'")
        assert len(kept) == 3
        written = {run.info.start_time for run in kept if run.info.status in ("FINISHED", "KILLED")}
        assert len(written) == 3
        assert sum(again.trials.values()) == 6  # those of the dead search count
        numbers = client.search_runs([after.info.experiment_id], f"tags.`mlflow.parentRunId` = '{after.info.run_id}'")
        assert sorted(int(run.data.tags["evertune.trial"]) for run in numbers) == list(range(6))
    require_order(store, client)
