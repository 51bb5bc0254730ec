"""Dead runs on a real MLflow store: who is dead, what becomes of the run, and that nobody who lives is touched."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from flows.reconciling.leftovers import remove_leftovers
from flows.reconciling.owners import SAFE_AGE
from flows.reconciling.runs import end_dead_runs, find_stage
from flows.reconciling.sweeping import sweep
from tasks.executors.scratch import Scratch
from tasks.homes import Home
from tasks.leases import hold_lease, process_started
from tasks.registry import Move, make_champion, read_entry
from tasks.registry.aliases import INTENT
from tasks.tracking import this_machine
from tests.registered import Killed, Shelf, killed_before_write, shelf

__all__ = ["shelf"]
Opened = Callable[..., str]
ELSEWHERE = {"host": "node7", "machine": "another boot pid:[1]"}


@pytest.fixture(scope="module")
def sleeper() -> Iterator[int]:
    """A process that lives."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture(scope="module")
def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


@pytest.fixture
def opened(shelf: Shelf, dead_pid: int) -> Opened:
    """Open a run as a retrain of `shop` does; its process is dead unless `pid` lives. Tags are given without `evertune.`"""

    def open_one(pid: int | None = None, started: float | None = None, **tags: str | None) -> str:
        own = {"host": platform.node(), "machine": this_machine(), "pid": str(pid or dead_pid), "model": "shop", "kind": "retrain"}
        own |= {"process_started": (process_started(pid) if pid else None) or "1"}
        told = {f"evertune.{key}": value for key, value in {**own, **tags}.items() if value is not None}
        begun = None if started is None else int(1000 * started)
        name = "shop 2024-04-30"
        return str(shelf.client.create_run(shelf.tracker.experiment, start_time=begun, tags=told, run_name=name).info.run_id)

    return open_one


def ended(client: MlflowClient, run_id: str) -> tuple[str, dict[str, str]]:
    run = client.get_run(run_id)
    return run.info.status, run.data.tags


def test_a_run_of_a_dead_process_fails_and_its_open_trials_are_killed(shelf: Shelf, opened: Opened, store: Home, dead_pid: int) -> None:
    run = opened()
    trials = {
        status: shelf.client.create_run("1", tags={"mlflow.parentRunId": run, "evertune.kind": "trial"})
        for status in ("FINISHED", "RUNNING")
    }
    shelf.client.set_terminated(trials["FINISHED"].info.run_id)
    (line,) = end_dead_runs(store, shelf.tracker, "shop")
    assert (
        line == f"shop 2024-04-30 (run {run[:8]}): FAILED, its process (pid {dead_pid} on {platform.node()}) died in stage load or validate"
    )
    status, tags = ended(shelf.client, run)
    assert (status, tags["evertune.verdict"], tags["failure.stage"]) == ("FAILED", "failed", "load or validate")
    assert "run the same retrain again" in tags["failure.message"]
    assert [ended(shelf.client, trial.info.run_id)[0] for trial in trials.values()] == ["FINISHED", "KILLED"]
    assert end_dead_runs(store, shelf.tracker, "shop") == []


def test_a_model_that_a_dead_process_was_writing_is_pending_no_more(shelf: Shelf, opened: Opened, store: Home) -> None:
    model = shelf.client.create_logged_model(shelf.tracker.experiment, name="shop", source_run_id=opened())
    end_dead_runs(store, shelf.tracker, "shop")
    assert shelf.client.get_logged_model(model.model_id).status == "FAILED"


def test_whoever_lives_is_left_alone(shelf: Shelf, opened: Opened, store: Home, sleeper: int) -> None:
    living, other = opened(sleeper), opened(model="other")
    ours = opened(os.getpid())
    assert end_dead_runs(store, shelf.tracker, "shop") == []
    assert [ended(shelf.client, run)[0] for run in (living, other, ours)] == ["RUNNING"] * 3


def test_a_pid_that_was_given_to_another_process_is_not_its_owner(shelf: Shelf, opened: Opened, store: Home, sleeper: int) -> None:
    run = opened(sleeper, process_started="1")
    end_dead_runs(store, shelf.tracker, "shop")
    assert ended(shelf.client, run)[0] == "FAILED"


def test_elsewhere_a_retrain_lives_as_long_as_it_holds_its_lease(
    shelf: Shelf, opened: Opened, store: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened(**ELSEWHERE)
    tags = ended(shelf.client, run)[1]
    owner = {**ELSEWHERE, "pid": int(tags["evertune.pid"]), "process_started": tags["evertune.process_started"]}
    with monkeypatch.context() as there:
        there.setattr("tasks.leases._this_process", lambda: owner)
        held = hold_lease(store.studies_url, "shop", 30)
        held.__enter__()
    assert sweep(store, shelf.tracker) == []
    assert ended(shelf.client, run)[0] == "RUNNING"
    held.__exit__(None, None, None)
    (line,) = sweep(store, shelf.tracker)
    assert "on node7) died" in line
    assert ended(shelf.client, run)[0] == "FAILED"


def test_elsewhere_without_a_common_lease_only_what_is_old_is_dead(
    shelf: Shelf, opened: Opened, store: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.reconciling.owners.leases_are_shared", lambda *_: False)
    long_ago = time.time() - SAFE_AGE.total_seconds() - 60
    young, old, dry = opened(**ELSEWHERE), opened(started=long_ago, **ELSEWHERE), opened(kind="dry_run", **ELSEWHERE)
    sweep(store, shelf.tracker)
    assert [ended(shelf.client, run)[0] for run in (young, old, dry)] == ["RUNNING", "FAILED", "RUNNING"]


def test_what_went_live_was_a_success_and_is_called_so(shelf: Shelf, opened: Opened, store: Home) -> None:
    run = opened()
    version = shelf.promote(shelf.add(reason="it is better"), by=f"retrain {run}")
    (line,) = sweep(store, shelf.tracker)
    status, tags = ended(shelf.client, run)
    assert (status, tags["evertune.verdict"], tags["evertune.version"]) == ("FINISHED", "promoted", version)
    assert "failure.stage" not in tags
    assert f"FINISHED, since v{version} of shop had gone live" in line


@pytest.mark.parametrize(("writes", "status"), [(1, "FAILED"), (2, "FINISHED")])
def test_the_alias_is_the_commit_point(
    shelf: Shelf, opened: Opened, store: Home, monkeypatch: pytest.MonkeyPatch, writes: int, status: str
) -> None:
    run, version = opened(), shelf.add()
    with killed_before_write(monkeypatch, shelf.tracker, writes), pytest.raises(Killed):
        make_champion(shelf.tracker, "shop", version, None, None, Move(f"retrain {run}", "better"))
    assert INTENT in shelf.tags(version)
    sweep(store, shelf.tracker)
    assert ended(shelf.client, run)[0] == status
    assert read_entry(shelf.tracker, "shop").aliases == ({"champion": version} if status == "FINISHED" else {})
    assert INTENT not in shelf.tags(version)


def test_a_run_killed_before_it_named_its_model_is_found_by_its_experiment(shelf: Shelf, opened: Opened, store: Home) -> None:
    run = opened(model=None)
    end_dead_runs(store, shelf.tracker, "shop")
    assert ended(shelf.client, run)[0] == "FAILED"


def test_a_model_that_somebody_holds_is_left_to_them(shelf: Shelf, opened: Opened, store: Home) -> None:
    run = opened()
    with hold_lease(store.studies_url, "shop", 30):
        assert sweep(store, shelf.tracker) == []
    assert ended(shelf.client, run)[0] == "RUNNING"
    assert len(sweep(store, shelf.tracker)) == 1


def test_a_trial_that_outlived_its_retrain_is_killed(shelf: Shelf, opened: Opened, store: Home) -> None:
    run = opened()
    trial = shelf.client.create_run("1", tags={"mlflow.parentRunId": run, "evertune.kind": "trial"}).info.run_id
    shelf.client.set_terminated(run, "KILLED")
    assert sweep(store, shelf.tracker) == [f"{shelf.client.get_run(trial).info.run_name} (run {trial[:8]}): KILLED, its retrain is over"]
    assert ended(shelf.client, trial)[0] == "KILLED"


@pytest.mark.parametrize(
    ("tags", "family", "stage"),
    [
        ({"data_digest": "1"}, False, "split or features"),
        ({"data_digest": "1", "tuning": "ran"}, False, "tune"),
        ({"data_digest": "1", "tuning": "skipped"}, False, "train"),
        ({"data_digest": "1", "tuning": "ran"}, True, "evaluate"),
        ({"data_digest": "1", "tuning": "ran", "metric_name": "log_loss"}, True, "gate, refit or register"),
    ],
)
def test_the_stage_is_told_by_what_was_written(shelf: Shelf, opened: Opened, tags: dict[str, Any], family: bool, stage: str) -> None:
    run = opened(**tags)
    if family:
        shelf.client.log_param(run, "family", "lightgbm")
    assert find_stage(shelf.client.get_run(run), read_entry(shelf.tracker, "shop")) == stage


def test_folders_of_dead_processes_go_and_others_stay(store: Home, tmp_path: Path) -> None:
    living = Scratch.open(store.root / "scratch")
    (store.root / "scratch" / "77-dead").mkdir()
    old, young = (tmp_path / f".{store.root.name}.restoring-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    long_ago = time.time() - SAFE_AGE.total_seconds() - 60
    os.utime(old, (long_ago, long_ago))
    assert len(remove_leftovers(store)) == 2
    assert (living.folder.is_dir(), old.exists(), young.exists()) == (True, False, True)
    assert not (store.root / "scratch" / "77-dead").exists()
    assert remove_leftovers(store) == []
    living.close()
