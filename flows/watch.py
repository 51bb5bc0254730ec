"""Watch: a small flow that looks at a config's source every few minutes, and tells when there is new data.

It reads no more than the source's watermark, where that can be. What follows is up to automations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from configs.reading import read_config
from flows.events.watching import look_at_source
from flows.telling.occasions import superseded
from flows.telling.settling import settle_in
from tasks.errors import EvertuneError


@flow(name="watch", persist_result=False, validate_parameters=True)
def watch(config: str) -> State[Any]:
    """Look whether a model's source has new data, and tell it as the event evertune.data.new.

    Args:
        config: Path of the YAML file.

    The final state is named New data, Nothing new, Cooling down (new, but told not long ago), or Skipped (a later
    look is due too).
    """
    settle_in()
    if reason := superseded():
        return Completed(name="Skipped", message=reason)
    try:
        look = look_at_source(read_config(config), datetime.now(UTC))
    except EvertuneError as error:
        return Failed(message=str(error), data=error)
    return Completed(name=look.name, message=look.message)
