"""Monitor: a small flow that looks at the champion between retrains: drift of the data, decay of its score, its age.

It tells what is news; what follows is up to automations and notices. It holds nothing, and changes no model.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from prefect import flow
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from configs.reading import read_config
from configs.schema import RetrainConfig
from flows.events.alarms import Alarm
from flows.events.emitting import emit_for
from flows.events.monitoring import look_at_champion
from flows.notices.sending import announce
from flows.telling.occasions import superseded
from flows.telling.settling import settle_in
from tasks.errors import EvertuneError


@flow(name="monitor", persist_result=False, validate_parameters=True)
def monitor(config: str) -> State[Any]:
    """Compare the newest data with what the champion was trained on, and its score with the one it was promoted for.

    Args:
        config: Path of the YAML file.

    The final state is named by what was found (such as Drift, decay), else As before, or No champion.
    """
    settle_in()
    if reason := superseded():
        return Completed(name="Skipped", message=reason)
    try:
        wanted = read_config(config)
        look = look_at_champion(wanted, datetime.now(UTC), partial(_tell, wanted))
    except EvertuneError as error:
        return Failed(message=str(error), data=error)
    return Completed(name=look.name, message=look.message)


def _tell(config: RetrainConfig, alarm: Alarm, fields: dict[str, Any]) -> bool:
    """As an event and as a notice; False where the event did not get out, so that the next look tells it again."""
    told = {**fields, "reason": alarm.reason}
    sent = emit_for(config, alarm.event, told | alarm.figures)
    announce(config, alarm.occurrence, told | {"details": alarm.figures})
    return sent
