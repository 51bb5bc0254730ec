"""Servers that go away in mid-run, for a while or for good: nothing is lost, nothing is there twice, nobody waits for minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

import tasks.patience
from flows.services.pages import start_mlflow
from flows.services.preflight import MLFLOW_LIMITS
from flows.services.servers import free_socket, start_prefect
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tests.operation import ask
from tests.small import small_config
from tests.stores import Retrain

LONG_SEARCH: dict[str, Any] = {"trials": None, "minutes": 0.25, "parallel": 2}
PATIENCE = 4.0
"""Seconds that an outage is waited for in tests of what happens then."""


class Mlflow:
    """MLflow's real server on this test's store, on a port that it keeps."""

    def __init__(self, home: Home) -> None:
        with free_socket() as listener:
            self.port = listener.getsockname()[1]
        self.home, self.address = home, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.child = start_mlflow(self.home, self.port)
        self.child.wait_until_healthy(f"{self.address}/health", 180)

    def kill(self) -> None:
        """kill -9, all of it."""
        for process in psutil.Process(self.child.process.pid).children(recursive=True):
            process.kill()
        self.child.process.wait(30)


@pytest.fixture
def mlflow_server(store: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mlflow]:
    """The server, named by the environment, with the client's patience as `evertune run` has it."""
    for name, value in MLFLOW_LIMITS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    server = Mlflow(store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    yield server
    server.child.stop()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An outage is given up after a few seconds instead of a minute."""
    monkeypatch.setattr(tasks.patience, "WAIT_SECONDS", PATIENCE)
    monkeypatch.setattr(tasks.patience, "REST_SECONDS", 3600.0)  # for ever: the next run asks afresh all the same
    tasks.patience.outage_of.cache_clear()
    yield
    tasks.patience.outage_of.cache_clear()


def during_the_search(client: MlflowClient, act: Callable[[], None]) -> threading.Thread:
    """Act once the first trials of a search are in the store."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            experiment = client.get_experiment_by_name("shop")
            if experiment and len(client.search_runs([experiment.experiment_id], "tags.`evertune.kind` = 'trial'")) >= 2:
                act()
                return
            time.sleep(0.1)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def runs(client: MlflowClient, kind: str) -> list[Any]:
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`evertune.kind` = '{kind}'", max_results=5000)
    return sorted(found, key=lambda run: int(run.info.start_time))


def test_mlflow_away_for_ten_seconds_while_it_is_tuned_costs_nothing(
    retrain_shop: Retrain, mlflow_server: Mlflow, client: MlflowClient
) -> None:
    def restart() -> None:
        mlflow_server.kill()
        time.sleep(10)
        mlflow_server.start()

    thread = during_the_search(client, restart)
    result = retrain_shop(tuning=LONG_SEARCH)
    thread.join()
    assert result.verdict == "promoted"
    assert result.seconds["tune"] < 60 * LONG_SEARCH["minutes"] + 10
    trials = runs(client, "trial")
    assert sum((result.trials or {}).values()) == len(trials) > 10
    assert set(Counter(run.data.tags["evertune.trial"] for run in trials).values()) == {1}
    assert not [run for run in trials if run.info.status == "RUNNING"]
    for run in trials:
        points = [client.get_metric_history(run.info.run_id, name) for name in ("log_loss", "fold_1", "curve/fold_1")]
        assert all(len({point.step for point in history}) == len(history) for history in points)
        assert run.info.status != "FINISHED" or all(points)
    (parent,) = runs(client, "retrain")
    assert parent.info.status == "FINISHED"


def test_mlflow_away_for_good_ends_the_run_with_75_and_the_same_run_goes_on_later(
    retrain_shop: Retrain, mlflow_server: Mlflow, client: MlflowClient, brief: None
) -> None:
    search = {"trials": 40, "minutes": None, "parallel": 2}
    thread = during_the_search(client, mlflow_server.kill)
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable, match=r"has not answered for 4 seconds .*run the same again once it is back") as ended:
        retrain_shop(tuning=search)
    thread.join()
    assert ended.value.exit_code == 75
    assert ended.value.summary["verdict"] == "failed"
    assert client.search_model_versions("name = 'shop'") == []
    assert [run.info.status for run in runs(client, "retrain")] == ["RUNNING"]
    print(f"ended after {time.monotonic() - started:.1f} s")
    mlflow_server.start()
    again = retrain_shop(tuning=search)
    assert again.verdict == "promoted"
    assert [str(version.version) for version in client.search_model_versions("name = 'shop'")] == ["1"]
    assert again.seconds["tune"] < 5  # all forty trials were kept
    mine = [run for run in runs(client, "trial") if run.data.tags["mlflow.parentRunId"] == again.mlflow_run_id]
    assert sorted(int(run.data.tags["evertune.trial"]) for run in mine) == list(range(40))


def test_prefect_gone_for_good_while_it_is_tuned_costs_its_pages_alone(used_home: Home, tmp_path: Path) -> None:
    config = small_config(tmp_path / "shop", tuning={"trials": 20, "minutes": None})
    command = [sys.executable, "-m", "flows.command_line", "run", str(config), "--as-of", "2024-04-30", "--json"]
    settings = {**os.environ, "PREFECT_CLIENT_MAX_RETRIES": "1"}  # each takes seconds, and what comes after them is what is asked here
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        read = threading.Thread(target=lambda: said.extend(iter(process.stderr.readline, "")))  # type: ignore[union-attr]
        said: list[str] = []
        read.start()
        while not any("tune ..." in line for line in said):
            assert process.poll() is None, said
            time.sleep(0.05)
        (server,) = [found for found in psutil.Process(process.pid).children(recursive=True) if is_server(found)]
        server.kill()
        killed = time.monotonic()
        out = process.stdout.read()  # type: ignore[union-attr]
        assert process.wait() == 0
    read.join()
    assert time.monotonic() - killed < 60
    assert json.loads(out)["verdict"] == "promoted"
    assert any("Prefect's server is gone" in line for line in said)
    assert not any(line.startswith("Traceback") for line in said)
    assert MlflowClient(used_home.mlflow_url).get_registered_model("shop").aliases == {"champion": 1}


def test_prefect_killed_and_back_after_ten_seconds_hears_how_it_ended(used_home: Home, tmp_path: Path) -> None:
    config = small_config(tmp_path / "shop", tuning={"trials": 30, "minutes": None})
    address, server = start_prefect(used_home, free_socket(), pages=True)
    port = int(address.rpartition(":")[2])
    server.wait_until_healthy(f"{address}/api/health", 180)
    try:
        command = [sys.executable, "-m", "flows.command_line", "run", str(config), "--as-of", "2024-04-30", "--json"]
        settings = {**os.environ, "PREFECT_API_URL": f"{address}/api"}
        with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "tune ..." in line:
                    break
            for child in psutil.Process(server.process.pid).children(recursive=True):
                child.kill()
            server.process.wait(30)
            time.sleep(10)
            server = start_prefect(used_home, free_socket(port), pages=True)[1]
            out, said = process.communicate(timeout=180)
            assert process.returncode == 0, said
        result = json.loads(out)
        assert result["verdict"] == "promoted"
        server.wait_until_healthy(f"{address}/api/health", 180)
        run = ask(f"{address}/api/flow_runs/{result['prefect_flow_run_id']}")
        assert (run["state"]["type"], run["state"]["name"]) == ("COMPLETED", "Promoted")
    finally:
        server.stop()


def is_server(process: psutil.Process) -> bool:
    """Prefect's own, not its guard."""
    command = process.cmdline()
    return "flows.services.prefect_server" in command and "flows.services.guard" not in command
