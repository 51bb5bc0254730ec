"""The reconciler after a worker and its flow run were killed: Prefect's run, MLflow's and the lease are put right."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.reconcile import reconcile
from flows.reconciling.owners import read_hold
from flows.retrain import retrain
from tasks.homes import Home
from tests.flows.notices.sinks import http_sink
from tests.operation import Operated, Worker, ask
from tests.small import small_config

pytestmark = pytest.mark.flow
ROOT = Path(__file__).parent.parent.parent
SOURCE = """
import time

def read_slowly():
    time.sleep(600)
"""


def deploy(pool: str, config: Path) -> FlowRun:
    """A run of retrain, waiting for a worker of this pool."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        made = client.create_deployment(
            client.create_flow(retrain),
            name=pool,
            work_pool_name=pool,
            entrypoint="flows/retrain.py:retrain",
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
        )
        return client.create_flow_run_from_deployment(made, parameters={"config": str(config)})


def running(client: MlflowClient, seconds: float = 240) -> Any:
    """The retrain's run in MLflow, once it is there and names Prefect's."""
    deadline = time.monotonic() + seconds
    while True:
        experiment = client.get_experiment_by_name("shop")
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        if found and found[0].data.tags.get("evertune.flow_run_id"):
            return found[0]
        assert time.monotonic() < deadline, "the retrain never began"
        time.sleep(0.5)


def test_after_a_worker_was_killed_with_its_run_everything_is_put_right(
    operated: Operated, worker: Worker, store: Home, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = f"killed-{uuid.uuid4().hex[:6]}"
    (tmp_path / "slow.py").write_text(SOURCE)
    monkeypatch.setenv("PREFECT_API_URL", operated.api_url)
    with (
        http_sink() as sink,
        temporary_settings({PREFECT_API_URL: operated.api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        notify = [{"to": "webhook", "url": sink.address, "on": ["failed"]}]
        source = {"kind": "python", "function": "slow:read_slowly"}
        config = small_config(tmp_path / "shop", source=source, operation={"notify": notify})
        flow_run = deploy(pool, config)
        process = worker(pool, PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]))
        run = running(client)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.kill(int(run.data.tags["evertune.pid"]), signal.SIGKILL)
        time.sleep(0.5)
        assert ask(f"{operated.api_url}/flow_runs/{flow_run.id}")["state"]["type"] == "RUNNING"
        assert client.get_run(run.info.run_id).info.status == "RUNNING"

        mended = reconcile(return_state=True)
        assert (mended.type, mended.name) == ("COMPLETED", "Mended"), mended.message
        assert f"(run {run.info.run_id[:8]}): FAILED" in str(mended.message)
        state = ask(f"{operated.api_url}/flow_runs/{flow_run.id}")["state"]
        assert (state["type"], "died in stage load or validate" in state["message"]) == ("CRASHED", True)
        after = client.get_run(run.info.run_id)
        assert (after.info.status, after.data.tags["failure.stage"]) == ("FAILED", "load or validate")
        assert read_hold(store, "shop") is None
        again = reconcile(return_state=True)
        (told,) = sink.bodies
        assert (told["event"], told["model"], "died in stage" in told["reason"]) == ("failed", "shop", True)
        assert f"(run {run.info.run_id[:8]})" not in str(again.message)


def test_where_nothing_was_retrained_there_is_nothing_to_mend(prefect_server: str, home: Path) -> None:
    state = reconcile(return_state=True)
    assert (state.type, state.name, state.message) == ("COMPLETED", "Nothing to mend", "nothing was retrained yet")
