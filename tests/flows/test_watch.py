"""Events on a real Prefect server: a file that changes, an outside event, and the retrains that automations make of them."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.context import FlowRunContext
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed
from prefect.utilities.callables import parameter_schema

from configs.reading import read_config
from configs.schema import RetrainConfig
from flows.events.automations import register
from flows.events.causes import find_causes
from flows.events.cooldowns import cooling
from flows.events.sightings import read_sighting
from flows.events.watching import look_at_source
from flows.retrain import retrain
from flows.watch import watch
from tasks.errors import ConfigError
from tests.operation import ROOT, Operated, Worker, ask, await_run
from tests.small import small_config, small_table
from tests.stores import Retrain

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.flow


@pytest.fixture
def served(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Flows and clients of this test use the shared server."""
    monkeypatch.setenv("PREFECT_API_URL", operated.api_url)
    with temporary_settings({PREFECT_API_URL: operated.api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield operated.api_url


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """One under a name of its own, set off by new data and by a warehouse's event."""
    name = f"shop-{uuid4().hex[:8]}"
    outside = {"event": "warehouse.loaded", "resource": {"prefect.resource.id": f"warehouse.{name}"}, "cooldown": "1h"}
    events = {"new_data": {"cooldown": "1h"}, "outside": [outside]}
    return small_config(tmp_path / "shop", name=name, operation={"events": events})


def deploy(flow: Flow[..., Any], config: Path, pool: str) -> UUID:
    """flow/<config name> in that pool, as a worker elsewhere runs it."""
    with get_client(sync_client=True) as client:
        return client.create_deployment(
            client.create_flow(flow),
            read_config(config).name,
            parameters={"config": str(config)},
            entrypoint=f"flows/{flow.name}.py:{flow.name}",
            work_pool_name=pool,
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
            parameter_openapi_schema=parameter_schema(flow).model_dump(),
            enforce_parameter_schema=True,
        )


@pytest.fixture
def pool(served: str) -> str:
    name = f"events-{uuid4().hex[:8]}"
    ask(f"{served}/work_pools/", {"name": name, "type": "process"})
    return name


def runs_of(deployment: UUID) -> list[FlowRun]:
    """Through Prefect's client, which asks again where a busy SQLite has the server answer 503."""
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment])))


def await_true(condition: Callable[[], Any], seconds: float = 90, pause: float = 0.3) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s"
        time.sleep(pause)
    return found


def test_watch_tells_new_data_once_and_holds_back_in_the_cool_down(served: str, config: Path) -> None:
    assert watch(str(config), return_state=True).name == "New data"
    again = watch(str(config), return_state=True)
    assert (again.name, "1 file" in str(again.message)) == ("Nothing new", True)
    small_table(days=121).to_csv(config.parent / "table.csv")
    held = watch(str(config), return_state=True)
    assert (held.name, "told at the first look after" in str(held.message)) == ("Cooling down", True)
    wanted = read_config(config)
    seen = read_sighting(wanted.name, wanted.source.location)
    assert seen is not None
    assert not seen.watermark.moved_since(seen.watermark)
    assert read_sighting(wanted.name, "another.csv") is None
    look = Flow(look_at_source, name="watch", validate_parameters=False, persist_result=False)  # events are told by flows alone
    later = look(wanted, datetime.now(UTC) + 2 * HOUR)
    assert (later.name, "before: 1 file" in later.message) == ("New data", True)
    still = look(wanted, datetime.now(UTC) + 2.5 * HOUR)
    assert still.name == "Nothing new", "no retrain has come of it, but the cool-down is not over"
    again = look(wanted, datetime.now(UTC) + 4 * HOUR)
    assert (again.name, "no retrain has come to an end since" in again.message) == ("New data", True)
    config.with_name("table.csv").unlink()
    assert watch(str(config), return_state=True).type == "FAILED"


def test_the_first_look_takes_what_the_last_retrain_read_as_seen(served: str, retrain_shop: Retrain, tmp_path: Path) -> None:
    name = f"shop-{uuid4().hex[:8]}"
    retrain_shop(name=name)
    look = look_at_source(read_config(tmp_path / "shop" / "shop.yaml"), NOW)
    assert (look.name, "the last retrain" in look.message) == ("Nothing new", True)


def test_automations_are_made_once_and_a_person_s_switch_is_respected(served: str, config: Path, pool: str) -> None:
    wanted = read_config(config)
    with pytest.raises(ConfigError, match="no deployment retrain/"):
        register(wanted, served)
    deploy(retrain, config, pool)
    assert [line.split(": ", 2)[1:] for line in register(wanted, served)] == [
        ["new data", "made"],
        [f"event warehouse.loaded (prefect.resource.id warehouse.{wanted.name})", "made"],
    ]
    assert register(wanted, served) == [], "nothing is written where all is as it should be: it would end a cool-down"
    with get_client(sync_client=True) as client:
        (found,) = client.read_automations_by_name(f"evertune {wanted.name}: new data")
        client.pause_automation(found.id)
        assert register(wanted, served) == []
        changed = changed_events(wanted, {"new_data": {"cooldown": "2h"}})
        lines = register(changed, served)
        assert [line.rpartition(": ")[2] for line in lines] == ["changed, and left switched off", "removed"]
        (after,) = client.read_automations_by_name(f"evertune {wanted.name}: new data")
    assert (after.enabled, after.trigger.within) == (False, timedelta(hours=2, minutes=-1))
    assert [line.rpartition(": ")[2] for line in register(changed_events(wanted, {}), served)] == ["removed"]


def changed_events(config: RetrainConfig, events: dict[str, Any]) -> RetrainConfig:
    return config.model_copy(update={"operation": config.operation.changed(events=events)})


def test_new_data_and_an_outside_event_set_off_a_retrain_and_only_one_in_a_cool_down(
    operated: Operated, served: str, config: Path, pool: str, worker: Worker
) -> None:
    wanted = read_config(config)
    looked = f"{pool}-watch"
    ask(f"{served}/work_pools/", {"name": looked, "type": "process"})
    retraining, looking = deploy(retrain, config, pool), deploy(watch, config, looked)
    register(wanted, served)

    # a server that has just made an automation is deaf to it for a moment; the loads after the first one are in the cool-down
    (run,) = await_true(lambda: load(served, f"warehouse.{wanted.name}") or runs_of(retraining), pause=2)
    assert run.parameters["note"] == f"the event warehouse.loaded of warehouse.{wanted.name}"
    assert run.created_by is not None
    assert run.created_by.display_value == find_causes(wanted)[1].automation
    load(served, f"warehouse.{wanted.name}")
    load(served, "warehouse.other")
    worker(looked)
    with get_client(sync_client=True) as client:
        look = client.create_flow_run_from_deployment(looking)
    assert await_run(served, str(look.id))["state"]["name"] == "New data"
    runs = await_true(lambda: len(found := runs_of(retraining)) > 1 and found)
    (other,) = [found for found in runs if found.id != run.id]
    assert "new data: 1 file" in other.parameters["note"]
    time.sleep(2)
    assert len(runs_of(retraining)) == 2, "neither the second event nor another warehouse's makes a run"


def load(api_url: str, resource: str) -> None:
    """Somebody else's event, as their client sends it."""
    event = {"event": "warehouse.loaded", "resource": {"prefect.resource.id": resource}, "id": str(uuid4()), "payload": {}}
    ask(f"{api_url}/events", [{**event, "occurred": datetime.now(UTC).isoformat()}])


def test_a_retrain_too_soon_after_one_of_the_same_automation_is_left_out(served: str, config: Path, pool: str) -> None:
    """What Prefect's trigger does not keep of a cool-down: an event late in its second bucket is followed by a short one."""
    wanted = read_config(config)
    deployment = deploy(retrain, config, pool)
    data, warehouse = (cause.automation for cause in find_causes(wanted))
    by_hand, first = set_off(served, deployment, None, 0), set_off(served, deployment, data, 0)
    outside = set_off(served, deployment, warehouse, 10)
    soon, later = set_off(served, deployment, data, 58), set_off(served, deployment, data, 61)
    reasons = []
    for run in (by_hand, first, outside, soon, later):
        with FlowRunContext.model_construct(flow_run=run):
            reasons.append(cooling(wanted))
    assert [reason is None for reason in reasons] == [True, True, True, False, False]
    assert "evertune.data.new set off a retrain at 1 May 2026, less than 1h before this one" in str(reasons[3])
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(soon.id, Completed(name="Skipped"), force=True)
    with FlowRunContext.model_construct(flow_run=later):
        assert cooling(wanted) is None, "one that was left out itself does not count"


def set_off(api_url: str, deployment: UUID, automation: str | None, minute: int) -> FlowRun:
    """A run of the deployment as an automation makes one, so many minutes past midnight."""
    by = {"Prefect-Automation-Id": str(uuid4()), "Prefect-Automation-Name": b64encode((automation or "").encode()).decode()}
    when = {"type": "SCHEDULED", "state_details": {"scheduled_time": (NOW + timedelta(minutes=minute)).isoformat()}}
    with get_client(sync_client=True) as client:
        url = f"{api_url}/deployments/{deployment}/create_flow_run"
        made = client._client.post(url, json={"state": when}, headers=by if automation else {})
        return client.read_flow_run(made.raise_for_status().json()["id"])
