"""The topology of deploy/compose.yaml for real: PostgreSQL, both servers with passwords, two workers, and one of them dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import psutil
import psycopg
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.services.preflight import basic
from tests.topology import ROOT, Topology, ask_with, kill_tree, start_topology

pytestmark = pytest.mark.postgres
WANTED: dict[str, Any] = {
    "config": "configs/flights.yaml",
    "as_of": "2013-03-01T00:00:00+00:00",
    "trials": 6,
    "overrides": {"tuning.minutes": None, "split.test": "10d", "split.folds": 2, "split.fold": "10d", "gate.explain": False},
}


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    with start_topology(tmp_path_factory.mktemp("topology")) as started:
        yield started


@pytest.fixture
def prefect(topology: Topology) -> Iterator[SyncPrefectClient]:
    given = topology.environment("worker")
    settings = {PREFECT_API_URL: given["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: given["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        yield client


def until(found: Callable[[], Any], seconds: float, what: str, topology: Topology) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s\n{topology.logs()[-6000:]}"
        time.sleep(0.3)
    return value


def finished_trials(topology: Topology) -> list[int]:
    """Ids of trials that are over, in the database of studies."""
    address = f"postgresql://studies@127.0.0.1:{topology.database.port}/studies"
    with psycopg.connect(address, password=topology.secrets["STUDIES_DB_PASSWORD"]) as connection:
        if connection.execute("SELECT to_regclass('trials')").fetchone() == (None,):
            return []
        return [row[0] for row in connection.execute("SELECT trial_id FROM trials WHERE state IN ('COMPLETE', 'PRUNED') ORDER BY 1")]


def deploy(client: SyncPrefectClient) -> Any:
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    flow = client.create_flow_from_name("retrain")
    return client.create_deployment(
        flow,
        "flights",
        work_pool_name="evertune",
        entrypoint="flows/retrain.py:retrain",
        path=".",
        pull_steps=pull,
        enforce_parameter_schema=False,
    )


def runner(workers: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes] | None:
    """The worker that a flow run is a child of."""
    return next((worker for worker in workers if psutil.Process(worker.pid).children()), None)


def test_a_retrain_whose_worker_is_killed_is_finished_by_another_one(topology: Topology, prefect: SyncPrefectClient) -> None:
    workers = [topology.start("worker", "worker-0"), topology.start("worker", "worker-1")]
    until(lambda: "started!" in topology.log("worker-0").read_text(), 120, "the first worker's start", topology)
    deployment = deploy(prefect)

    first = prefect.create_flow_run_from_deployment(deployment, parameters=WANTED)
    before = until(lambda: finished_trials(topology), 180, "a first trial", topology)
    killed = runner(workers)
    assert killed is not None
    kill_tree(killed)
    assert state(prefect, first).type is StateType.RUNNING
    kept = finished_trials(topology)
    assert set(before) <= set(kept)

    second = prefect.create_flow_run_from_deployment(deployment, parameters=WANTED)
    until(lambda: state(prefect, second).is_final(), 240, "the end of the second run", topology)
    assert (state(prefect, second).name, state(prefect, second).type) == ("Promoted", StateType.COMPLETED), topology.logs()[-6000:]
    assert set(kept) <= set(finished_trials(topology))
    assert len(finished_trials(topology)) == WANTED["trials"]


def state(client: SyncPrefectClient, run: FlowRun) -> Any:
    return client.read_flow_run(run.id).state
