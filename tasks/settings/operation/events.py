"""Settings of events: what, beside the clock, sets a retrain off. Each has a cool-down: no second retrain of it before that."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from tasks.settings.values import Duration, Settings


class NewDataEvent(Settings):
    """A small flow looks at the source's watermark, and tells when it has moved."""

    every: Duration = timedelta(minutes=15)
    """How often it looks."""
    cooldown: Duration = timedelta(hours=1)


class DriftEvent(Settings):
    """A small flow compares the newest rows with those that the champion was trained on."""

    every: Duration = timedelta(days=1)
    cooldown: Duration = timedelta(days=1)


class DecayEvent(Settings):
    """A small flow scores the champion's own predictions once the labels have arrived."""

    every: Duration = timedelta(days=1)
    cooldown: Duration = timedelta(days=1)
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Decayed: shown to be worse, on newer rows, by more than this share of its score at promotion."""


class OutsideEvent(Settings):
    """An event of somebody else's, such as a warehouse that has been loaded."""

    event: Annotated[str, Field(min_length=1, max_length=255)]
    """Its name, such as warehouse.loaded; * at its end matches any rest."""
    resource: dict[str, str] = {}
    """Labels that the event's resource must have, such as {prefect.resource.id: warehouse.flights}."""
    cooldown: Duration = timedelta(hours=1)


class EventSettings(Settings):
    """Which events set a retrain off; none when left out."""

    new_data: NewDataEvent | None = None
    drift: DriftEvent | None = None
    decay: DecayEvent | None = None
    outside: tuple[OutsideEvent, ...] = ()
