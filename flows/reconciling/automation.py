"""The automation in Prefect's server that ends a flow run whose heartbeats stop: it needs no worker, and no reconciler, to be alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.reconciling.flow_runs import FLOWS, HEARTBEAT

NAME = "evertune: crashed runs"
HEARTBEAT_SECONDS = 30
"""What a deployment's PREFECT_FLOWS_HEARTBEAT_FREQUENCY has to be: with Prefect's default, 180, this would end living runs."""
WITHIN = timedelta(seconds=75)
"""Below 2.5 heartbeats runs that have just come to their end are hit too."""


def register_heartbeats(api_url: str) -> str:
    """Make the automation, or bring it up to date; one that a person switched off stays off. Returns its id.

    One that is as it should be is left alone: written anew, it would forget the silences that it is counting.
    """
    wanted = _automation()
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        found = next(iter(client.read_automations_by_name(NAME)), None)
        if found is None:
            return str(client.create_automation(wanted))
        if _content(found) != _content(wanted):
            client.update_automation(found.id, wanted.model_copy(update={"enabled": found.enabled}))
        return str(found.id)


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What we decide of it, without the ids that Prefect gives."""
    told = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    return {**told, "trigger": {key: value for key, value in told["trigger"].items() if key != "id"}}


def _automation() -> AutomationCore:
    """After a heartbeat of a deployed run of ours: the next one, or any change of its state, or it has crashed."""
    return AutomationCore(
        name=NAME,
        description=f"No heartbeat for {WITHIN.total_seconds():.0f} seconds: the process of this run was killed.",
        enabled=True,
        trigger=EventTrigger(
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=[
                {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)},
                {"prefect.resource.role": "deployment"},
            ],
            for_each={"prefect.resource.id"},
            after={HEARTBEAT},
            expect={"prefect.flow-run.*"},  # by any name: our final states are called Promoted, Kept, ...
            posture=Posture.Proactive,
            threshold=1,
            within=WITHIN,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, name="Crashed", message=f"no heartbeat for {WITHIN.total_seconds():.0f} s: its process is dead"
            )
        ],
    )
