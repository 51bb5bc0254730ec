"""The flow on the test run's real Prefect server: states, skipped branches, artifacts, links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from prefect import get_client
from prefect.client.schemas import FlowRun, TaskRun
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId

from flows.retrain import retrain
from tasks.errors import ConfigError, DataRejected
from tasks.homes import Home
from tasks.records import Result
from tests.small import at_day, small_config

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("prefect_server", "store")]


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(small_config(tmp_path / "shop"))


def flow_run(run_id: Any) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


def task_runs(run_id: Any) -> dict[str, TaskRun]:
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
    return {task.name: task for task in found}


def artifacts(run_id: Any) -> dict[str | None, Any]:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id])))
    return {artifact.key: artifact.data for artifact in found}


def test_called_from_python_it_returns_a_result_that_prints_well(config: str) -> None:
    result = retrain(config, as_of=at_day(120))
    assert isinstance(result, Result)
    assert str(result).startswith("shop 2024-04-30: promoted")


def test_the_final_state_is_named_by_the_verdict(config: str) -> None:
    state = retrain(config, as_of=at_day(120), return_state=True)
    assert (state.type, state.name) == ("COMPLETED", "Promoted")
    again = retrain(config, as_of=at_day(120), return_state=True)
    assert (again.type, again.name) == ("COMPLETED", "Unchanged")
    assert "no new labelled rows" in str(again.message)


def test_every_stage_is_a_task_named_as_the_pipeline(config: str) -> None:
    result = retrain(config, as_of=at_day(120))
    assert isinstance(result, Result)
    tasks = task_runs(result.prefect_flow_run_id)
    stages = ["load", "validate", "drift", "split", "features", "decide", "tune", "train", "evaluate", "gate", "refit", "register"]
    assert set(tasks) == {*stages, "explain", "report"}
    assert all(task.state_type == "COMPLETED" for task in tasks.values())


def test_a_skipped_branch_is_visible_as_skipped_with_its_reason(config: str) -> None:
    result = retrain(config, as_of=at_day(120), tune="never", overrides={"gate.floors": {"roc_auc": 0.999}})
    assert isinstance(result, Result)
    tasks = task_runs(result.prefect_flow_run_id)
    for stage, reason in (("tune", "tuning.when is never"), ("register", "below its floor")):
        state = tasks[stage].state
        assert state is not None
        assert state.name == "Skipped"
        assert reason in str(state.message)


def test_artifacts_hold_the_validation_table_the_report_and_the_way_to_mlflow(config: str) -> None:
    result = retrain(config, as_of=at_day(120))
    assert isinstance(result, Result)
    found = artifacts(result.prefect_flow_run_id)
    assert {"validation", "report", "mlflow"} <= set(found)
    assert "Promoted" in str(found["report"])
    assert str(result.mlflow_run_id) in str(found["mlflow"])


def test_the_mlflow_run_names_the_prefect_run(config: str, store: Home) -> None:
    result = retrain(config, as_of=at_day(120))
    assert isinstance(result, Result)
    tags = MlflowClient(store.mlflow_url).get_run(str(result.mlflow_run_id)).data.tags
    assert tags["evertune.flow_run_id"] == result.prefect_flow_run_id
    assert tags["prefect.flow_run"] == result.look["Prefect"]
    assert str(result.prefect_flow_run_id) in result.look["Prefect"]


def test_rejected_data_fails_the_flow_with_a_message_and_no_traceback(config: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataRejected, match="sold_out"):
        retrain(config, overrides={"target": "sold_out"})
    state = retrain(config, overrides={"target": "sold_out"}, return_state=True)
    assert state.type == "FAILED"
    assert "sold_out" in str(state.message)
    assert "Traceback" not in caplog.text


def test_a_wrong_config_fails_the_flow_before_anything_runs(config: str) -> None:
    with pytest.raises(ConfigError, match="trials"):
        retrain(config, overrides={"tuning.trails": 3})


def test_a_task_from_a_failed_stage_is_failed(config: str) -> None:
    with pytest.raises(DataRejected) as rejected:
        retrain(config, overrides={"target": "sold_out"})
    tasks = task_runs(rejected.value.summary["prefect_flow_run_id"])
    assert tasks["validate"].state_type == "FAILED"
    assert flow_run(rejected.value.summary["prefect_flow_run_id"]).state_type == "FAILED"
