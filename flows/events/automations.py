"""Automations: what Prefect does when one of a config's events comes. It runs the config's deployment, with a note that says why.

The trigger's `within` is the cool-down, as far as Prefect keeps it (prefect/server/events/triggers.py, `evaluate`): a
reactive trigger with a threshold of 1 fires at once and opens its next bucket where the last one ends, so that the first
event is followed by a whole cool-down. An event late in that next bucket fires too, and then only the rest of the bucket
holds others off. What is left of the cool-down then, `flows.events.cooldowns` holds in the retrain itself.

An automation that is written anew loses its bucket, and with it a cool-down that runs: one that is as it should be is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from configs.schema import RetrainConfig
from flows.events.causes import Cause, find_causes, prefix_of
from tasks.errors import ConfigError

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

TAG = "evertune"
MARK = "Written by Evertune from operation.events; change it there. Switched off here, it stays off."
PAGE = 200


def register(config: RetrainConfig, api_url: str) -> list[str]:
    """Make Prefect's automations those of the config: new ones made, changed ones changed, others of this config removed.

    Returns what was done, a line each; nothing where all is as it should be. One that a person has switched off stays off; one
    that is not ours is not touched. Raises ConfigError where the deployment retrain/<name>, which they run, is not there.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        there = {found.name: found for found in _read_ours(client, config.name)}
        causes = find_causes(config)
        deployment = _find_deployment(client, config.name) if causes else None
        done = [_write(client, automation_of(cause, deployment), there.get(cause.automation)) for cause in causes if deployment]
        wanted = {cause.automation for cause in causes}
        gone = [found for name, found in there.items() if name not in wanted]
        for found in gone:
            client.delete_automation(found.id)
    return [*filter(None, done), *(f"automation {found.name}: removed" for found in gone)]


def automation_of(cause: Cause, deployment: UUID) -> AutomationCore:
    """The automation of one cause."""
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=cause.automation,
        description=MARK,
        tags=[TAG],
        enabled=True,
        trigger=EventTrigger(
            match=dict(cause.resource),
            expect={cause.event},
            posture=Posture.Reactive,
            threshold=1,
            within=cause.held,
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment, parameters={"note": cause.note})],
    )


def _write(client: SyncPrefectClient, wanted: AutomationCore, there: Automation | None) -> str:
    if there is None:
        client.create_automation(wanted)
        return f"automation {wanted.name}: made"
    if _content(there) == _content(wanted):
        return ""
    client.update_automation(there.id, wanted.model_copy(update={"enabled": there.enabled}))
    return f"automation {wanted.name}: changed" + ("" if there.enabled else ", and left switched off")


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What we decide of an automation; whether it is switched on is up to people."""
    told = automation.model_dump(mode="json", include={"description", "tags", "trigger", "actions"})
    return {**told, "trigger": {key: value for key, value in told["trigger"].items() if key != "id"}}


def _read_ours(client: SyncPrefectClient, config_name: str) -> list[Automation]:
    """This config's automations: by our tag, and by their names."""
    found: list[Automation] = []
    while True:
        answer = client.request("POST", "/automations/filter", json={"limit": PAGE, "offset": len(found)})
        page = _parse(answer.json())
        found += page
        if len(page) < PAGE:
            return [one for one in found if TAG in one.tags and one.name.startswith(prefix_of(config_name))]


def _parse(content: Any) -> list[Automation]:
    from prefect.events.schemas.automations import Automation

    return [Automation.model_validate(one) for one in content]


def _find_deployment(client: SyncPrefectClient, name: str) -> UUID:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(f"retrain/{name}").id
    except ObjectNotFound:
        raise ConfigError(f"operation.events: there is no deployment retrain/{name} to run; deploy it first (evertune deploy)") from None
