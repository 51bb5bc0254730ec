"""Prefect's runs on a real server: ended with their MLflow run, by their silence, and by the server's own automation."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Pending, Running

from flows.reconciling import automation, flow_runs
from flows.reconciling.automation import NAME, register_heartbeats
from flows.reconciling.flow_runs import HEARTBEAT, end_flow_run, end_silent_flow_runs
from tests.operation import Operated, ask

pytestmark = pytest.mark.flow


@pytest.fixture
def client(operated: Operated) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: operated.api_url}), get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A flow of this test's own, in place of those that other tests run on this server."""
    name = f"flow-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(flow_runs, "FLOWS", (name,))
    monkeypatch.setattr(automation, "FLOWS", (name,))
    return flow(name=name)(lambda: None)


def state_of(client: SyncPrefectClient, run: FlowRun) -> tuple[Any, Any]:
    found = client.read_flow_run(run.id)
    return found.state_type, found.state_name


def beat(operated: Operated, run: FlowRun, ago: float) -> None:
    """A heartbeat as Prefect's engine sends it."""
    event = {
        "id": str(uuid.uuid4()),
        "occurred": (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(),
        "event": HEARTBEAT,
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
        "related": [
            {
                "prefect.resource.id": f"prefect.flow.{run.flow_id}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": flow_runs.FLOWS[0],
            },
            {"prefect.resource.id": f"prefect.deployment.{uuid.uuid4()}", "prefect.resource.role": "deployment"},
            *({"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in run.tags),
        ],
    }
    ask(f"{operated.api_url}/events", [event])


def running(client: SyncPrefectClient, own: Any, since: float, tag: str = "evertune") -> FlowRun:
    """A run that has been Running for so many seconds."""
    state: Any = Running()
    run = client.create_flow_run(own, tags=[tag], state=Pending())
    state.timestamp = datetime.now(UTC) - timedelta(seconds=since)
    client.set_flow_run_state(run.id, state, force=True)
    return run


def test_a_prefect_run_ends_with_its_mlflow_run(client: SyncPrefectClient, own: Any) -> None:
    run = running(client, own, 0)
    opened = datetime.now(UTC) + timedelta(seconds=1)
    assert not end_flow_run(str(run.id), opened - timedelta(minutes=5), "Crashed", "an earlier attempt of the same run")
    assert end_flow_run(str(run.id), opened, "Crashed", "its process died")
    assert state_of(client, run) == (StateType.CRASHED, "Crashed")
    assert not end_flow_run(str(run.id), opened, "Crashed", "once only")
    assert end_flow_run(str(run.id), opened, "Promoted", "v2 is live")
    assert state_of(client, run) == (StateType.COMPLETED, "Promoted")
    assert not end_flow_run(str(uuid.uuid4()), opened, "Crashed", "another server's")


def test_a_run_that_is_silent_for_three_heartbeats_has_crashed(operated: Operated, client: SyncPrefectClient, own: Any) -> None:
    kinds = {"silent": (130, 100), "beating": (40, 10), "once": (300,), "once long ago": (600,), "cancelling": (130, 100)}
    runs = {name: running(client, own, 0) for name in (*kinds, "without", "known")}
    runs["others"] = running(client, own, 0, "theirs")
    client.set_flow_run_state(runs["cancelling"].id, Cancelling(), force=True)
    for name, agos in {**kinds, "known": (1000, 900), "others": (1000, 900)}.items():
        for ago in agos:
            beat(operated, runs[name], ago)
    deadline = time.monotonic() + 60
    while len(flow_runs._heartbeats(client, runs["known"].id, datetime.min.replace(tzinfo=UTC) + timedelta(days=1))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    with pytest.MonkeyPatch.context() as patch:  # their states are as old as the test
        patch.setattr(flow_runs, "_began", lambda _: datetime.now(UTC) - timedelta(hours=1))
        lines = end_silent_flow_runs({str(runs["known"].id)})
    assert len(lines) == 3
    states = {name: state_of(client, run)[0] for name, run in runs.items()}
    crashed, living = StateType.CRASHED, StateType.RUNNING
    assert states == {
        "silent": crashed,
        "beating": living,
        "once": living,
        "once long ago": crashed,
        "cancelling": StateType.CANCELLED,
        "without": living,
        "known": living,
        "others": living,
    }


def test_the_server_has_the_reconciler_look_when_the_heartbeats_of_a_run_of_ours_stop(
    operated: Operated, client: SyncPrefectClient, own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = client.create_deployment(client.create_flow(own), "looks")
    monkeypatch.setattr(automation, "RECONCILER", f"{own.name}/looks")
    monkeypatch.setattr(automation, "WITHIN", timedelta(seconds=10))
    monkeypatch.setattr(automation, "NAME", f"{NAME} of {own.name}")
    made = register_heartbeats(operated.api_url)
    assert register_heartbeats(operated.api_url) == made
    try:
        worked = client.create_deployment(client.create_flow(own), "works")
        killed = client.create_flow_run_from_deployment(worked, state=Running(), tags=["evertune"])
        others = running(client, own, 0, "theirs")
        for run in (killed, others):
            beat(operated, run, 0)
        deadline = time.monotonic() + 90
        while not (looks := looks_of(operated, reconciler)):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        time.sleep(3)
        assert len(looks_of(operated, reconciler)) == len(looks) == 1
        assert state_of(client, killed)[0] == StateType.RUNNING, "it may live: the reconciler finds out"
        assert len(client.read_automations_by_name(automation.NAME)) == 1
    finally:
        client.delete_automation(uuid.UUID(made))


def looks_of(operated: Operated, deployment: uuid.UUID) -> list[Any]:
    found: list[Any] = ask(f"{operated.api_url}/flow_runs/filter", {"deployments": {"id": {"any_": [str(deployment)]}}})
    return found
