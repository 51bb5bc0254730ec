"""Questions on a real Prefect server: nobody answers, somebody decides elsewhere, a person answers a deployed retrain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running, Suspended

from flows.retraining.approving import expire_approvals
from flows.retraining.questions import PREFIX, Question
from tasks.errors import ConfigError
from tasks.homes import Home
from tasks.settings.operation import ApprovalSettings
from tests.flows.retraining.test_approving_settled import asked_of
from tests.operation import ROOT, Operated, Worker, ask, await_run
from tests.registered import Shelf, shelf
from tests.small import at_day, small_config

__all__ = ["shelf"]
pytestmark = pytest.mark.flow


@pytest.fixture
def prefect(operated: Operated) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: operated.api_url}), get_client(sync_client=True) as client:
        yield client


def deployed(client: SyncPrefectClient, pool: str, parameters: dict[str, Any]) -> str:
    """A run of a deployment of the flow file; its id."""
    client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    flow = client.create_flow_from_name("retrain")
    entrypoint = "flows/retrain.py:retrain"
    deployment = client.create_deployment(flow, pool, entrypoint=entrypoint, work_pool_name=pool, pull_steps=steps, parameters=parameters)
    return str(client.create_flow_run_from_deployment(deployment).id)


def suspended(client: SyncPrefectClient, pool: str, question: Question) -> str:
    """A retrain that asked this and went; its id."""
    run_id: Any = deployed(client, pool, {"config": question.config})
    client.set_flow_run_state(run_id, Running())
    client.create_flow_run_input(run_id, f"{PREFIX}1", question.to_json())
    client.set_flow_run_state(run_id, Suspended(pause_key=f"{PREFIX}1"))
    return str(run_id)


@pytest.mark.parametrize(
    ("default", "there", "name", "said"),
    [
        ("reject", True, "Kept", "rejected by evertune, after the deadline (nobody answered by"),
        ("approve", True, "Promoted", "approved by evertune, after the deadline (nobody answered by"),
        ("approve", False, "Kept", "but its config cannot be read"),
    ],
)
def test_what_nobody_answers_in_time_is_ended_by_the_configs_default(
    prefect: SyncPrefectClient,
    operated: Operated,
    shelf: Shelf,
    tmp_path: Path,
    default: Literal["reject", "approve"],
    there: bool,
    name: str,
    said: str,
) -> None:
    shelf.add_champion()
    config = small_config(tmp_path) if there else tmp_path / "gone.yaml"
    asked = replace(asked_of(shelf, shelf.add_waiting()), default=default, config=str(config), deadline=datetime.now(UTC))
    run_id = suspended(prefect, f"expiring-{default}-{there}", asked)
    assert len(expire_approvals("shop")) == 1
    state = ask(f"{operated.api_url}/flow_runs/{run_id}")["state"]
    assert (state["type"], state["name"]) == ("COMPLETED", name)
    assert said in state["message"]
    assert shelf.aliases["champion"] == ("2" if name == "Promoted" else "1")
    assert expire_approvals("shop") == []


def test_what_may_still_be_answered_waits_until_it_is_decided_elsewhere(
    prefect: SyncPrefectClient, operated: Operated, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.add_champion()
    run_id = suspended(prefect, "expiring-early", replace(asked_of(shelf, shelf.add_waiting()), config=str(small_config(tmp_path))))
    assert expire_approvals("shop") == []
    assert ask(f"{operated.api_url}/flow_runs/{run_id}")["state"]["name"] == "Suspended"
    shelf.promote("2", by="bob@office")
    with shelf.lease():
        assert expire_approvals("shop") == []
    with shelf.lease() as lease:
        assert len(expire_approvals("shop", lease)) == 1
    state = ask(f"{operated.api_url}/flow_runs/{run_id}")["state"]
    assert state["name"] == "Promoted"
    assert "v2 was made champion by bob@office meanwhile" in state["message"]


def test_a_deployed_retrain_lets_go_asks_and_goes_on_with_the_answer(
    prefect: SyncPrefectClient, operated: Operated, worker: Worker, store: Home, tmp_path: Path
) -> None:
    config = small_config(tmp_path / "approved", name="approved", tuning={"when": "never"})
    worker("approved")
    run_id = deployed(prefect, "approved", {"config": str(config), "as_of": at_day(120).isoformat(), "promote": "ask"})
    resume = f"{operated.api_url}/flow_runs/{run_id}/resume"
    client = MlflowClient(store.mlflow_url)

    assert await_run(operated.api_url, run_id, states={"PAUSED", "FAILED", "CRASHED"})["state"]["name"] == "Suspended"
    assert client.get_registered_model("approved").aliases == {"challenger": 1}
    for empty in ({}, {"decision": "approve"}, {"decision": "perhaps", "who": "Ada"}, {"decision": "approve", "who": " "}):
        assert ask(resume, {"run_input": empty})["status"] == "REJECT", empty
    assert ask(resume, {"run_input": {"decision": "approve", "who": "Ada", "reason": "looked at it"}})["status"] == "ACCEPT"
    assert ask(resume, {"run_input": {"decision": "reject", "who": "Bob"}})["status"] == "ABORT"

    state = await_run(operated.api_url, run_id)["state"]
    assert (state["name"], state["message"]) == ("Promoted", state["message"]), state
    assert state["message"].startswith("approved by Ada (looked at it): promote is ask: ")
    assert client.get_model_version("approved", "1").tags["evertune.promoted_by"] == "Ada"
    assert client.get_registered_model("approved").aliases == {"champion": 1}
    runs = client.search_runs([client.get_experiment_by_name("approved").experiment_id], "tags.`evertune.kind` = 'retrain'")
    assert [run.data.tags["evertune.verdict"] for run in runs] == ["promoted"]  # no stage ran again
    pages = ask(f"{operated.api_url}/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["approval"]}}})
    assert sorted("promoted" in page["data"] for page in pages) == [False, True]


@pytest.mark.parametrize("days", [0, 366])
def test_a_deadline_is_sensible(days: int) -> None:
    with pytest.raises(ValueError, match="must be from 1m to 365d"):
        ApprovalSettings(deadline=timedelta(days=days))


def test_a_config_names_its_deadline(tmp_path: Path) -> None:
    from configs.reading import read_config

    path = small_config(tmp_path, operation={"approval": {"deadline": "0s"}})
    with pytest.raises(ConfigError, match=r"operation\.approval\.deadline"):
        read_config(path)
