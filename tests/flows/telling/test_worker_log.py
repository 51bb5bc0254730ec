"""What a retrain that a worker runs says in Prefect: every stage once, at the right level, and how far the search has got."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from tests.operation import ROOT, TERMINAL, Operated, Worker, ask
from tests.small import at_day, small_config

STAGES = ("load", "validate", "drift", "split", "features", "decide", "tune", "train", "evaluate", "gate", "refit", "register", "report")
WARNING, DEBUG = 30, 10


def start_run(operated: Operated, pool: str, parameters: dict[str, Any]) -> str:
    """A run of a deployment of the flow file, by hand, on a pool of its own; its id."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: operated.api_url}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        flow_id = client.create_flow_from_name("retrain")
        steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
        deployment = client.create_deployment(
            flow_id, pool, entrypoint="flows/retrain.py:retrain", work_pool_name=pool, pull_steps=steps, parameters=parameters
        )
        return str(client.create_flow_run_from_deployment(deployment).id)


def progress_of(operated: Operated, flow_run_id: str) -> list[dict[str, Any]]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}, "key": {"any_": ["tuning-progress"]}}}
    found: list[dict[str, Any]] = ask(f"{operated.api_url}/artifacts/filter", wanted)
    return found


@pytest.mark.flow
@pytest.mark.usefixtures("store")
def test_the_log_tells_every_stage_once_and_the_bar_moves(operated: Operated, worker: Worker, tmp_path: Path) -> None:
    config = small_config(tmp_path / "logged", name="logged", tuning={"trials": 30, "minutes": None})
    worker("logged")
    run_id = start_run(operated, "logged", {"config": str(config), "as_of": at_day(120).isoformat()})
    seen, deadline = set[float](), time.monotonic() + 240
    while (state := ask(f"{operated.api_url}/flow_runs/{run_id}")["state"])["type"] not in TERMINAL:
        assert time.monotonic() < deadline, state
        seen |= {one["data"] for one in progress_of(operated, run_id)}
        time.sleep(0.3)
    time.sleep(2.5)  # Prefect sends log lines in batches
    lines = ask(f"{operated.api_url}/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC", "limit": 200})
    assert state["name"] == "Promoted", state["message"]
    said = [line["message"] for line in lines]
    assert [said.count(f"{stage} ...") for stage in STAGES] == [1] * len(STAGES)
    assert [line for line in said if line.startswith("tuning ended: ")]
    assert [line["message"] for line in lines if line["level"] >= WARNING or line["level"] <= DEBUG] == []
    ours = [line["message"] for line in lines if line["name"] == "evertune"]
    assert len(set(ours)) == len(ours) < 40
    printed = (tmp_path / "elsewhere" / "worker-0.log").read_text()
    assert "%|" not in printed  # a library's own bar
    assert "mlflow" not in printed
    assert [one["data"] for one in progress_of(operated, run_id)] == [100.0]
    assert len(seen) >= 2
