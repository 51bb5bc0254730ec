"""The automation in Prefect's server that has the reconciler look when a flow run's heartbeats stop.

It does not end the run itself: heartbeats also stop where the server was away or a laptop slept, and what it calls Crashed can
neither ask nor wait any more. The reconciler looks whether the process lives.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.reconciling.flow_runs import FLOWS, HEARTBEAT, TAG

NAME = "evertune: crashed runs"
HEARTBEAT_SECONDS = 30
"""What a deployment's PREFECT_FLOWS_HEARTBEAT_FREQUENCY has to be: with Prefect's default, 180, this would end living runs."""
WITHIN = timedelta(seconds=95)
"""A little more than the three heartbeats after which the reconciler takes silence for death."""
RECONCILER = "reconcile/evertune"


def register_heartbeats(api_url: str) -> str:
    """Make the automation, or bring it up to date; one that a person switched off stays off. Returns its id.

    The reconciler must have been deployed.

    One that is as it should be is left alone: written anew, it would forget the silences that it is counting.
    """
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        wanted = _automation(client.read_deployment_by_name(RECONCILER).id)
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


def _automation(reconciler: UUID) -> AutomationCore:
    """After a heartbeat of a deployed run of ours: the next one, or any change of its state, or the reconciler looks."""
    return AutomationCore(
        name=NAME,
        description=f"No heartbeat of a run for {WITHIN.total_seconds():.0f} seconds: the reconciler looks whether its process lives.",
        enabled=True,
        trigger=EventTrigger(
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=[
                {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)},
                {"prefect.resource.role": "deployment"},
                {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"},
            ],
            for_each={"prefect.resource.id"},
            after={HEARTBEAT},
            expect={"prefect.flow-run.*"},  # by any name: our final states are called Promoted, Kept, ...
            posture=Posture.Proactive,
            threshold=1,
            within=WITHIN,
        ),
        actions=[RunDeployment(source="selected", deployment_id=reconciler, parameters={})],
    )
