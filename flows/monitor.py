"""Monitor: a small flow that looks at the champion between retrains: drift of the data, decay of its score, its age.

It tells; what follows is up to automations and notices. It holds nothing, and changes no model.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from configs.reading import read_config
from flows.events.emitting import emit_for
from flows.events.monitoring import look_at_champion
from flows.notices.sending import announce
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
    try:
        wanted = read_config(config)
        look = look_at_champion(wanted, datetime.now(UTC))
    except EvertuneError as error:
        return Failed(message=str(error), data=error)
    for alarm in look.alarms:
        fields = {**(look.fields or {}), "reason": alarm.reason, **alarm.figures}
        emit_for(wanted, alarm.event, fields)
        announce(wanted, alarm.occurrence, fields)
    return Completed(name=look.name, message=look.message)
