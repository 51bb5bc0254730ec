"""Causes: what, beside the clock, sets a config's retrain off, as its section `operation.events` has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from configs.schema import RetrainConfig
from flows.events.emitting import CONFIG_LABEL, DECAY, DRIFT, NEW_DATA, resource_of
from tasks.settings.operation import OutsideEvent

REASON = "{{ event.payload.reason }}"
MOMENT = timedelta(minutes=1)
OUTSIDE = "the event {{ event.event | truncate(200) }} of {{ event.resource.id | truncate(200) }}"
"""Somebody else's payload is not repeated: nobody knows how long it is, or what is in it."""


@dataclass(frozen=True)
class Cause:
    """An event that is listened to. `note` is a template of Prefect's, which becomes the note of the retrain."""

    automation: str
    """Name of the automation in Prefect: `evertune shop: new data`."""
    event: str
    resource: dict[str, str]
    cooldown: timedelta
    note: str

    @property
    def held(self) -> timedelta:
        """How long others are held off: a moment less, since looks and schedules that are a cool-down apart never are so to the second."""
        return self.cooldown - min(MOMENT, self.cooldown / 10)


def find_causes(config: RetrainConfig) -> tuple[Cause, ...]:
    """Those that are configured, each under a name of its own."""
    return tuple(_find(config))


def prefix_of(config_name: str) -> str:
    """What the names of this config's automations begin with. No name of a config holds a colon."""
    return f"evertune {config_name}: "


def _find(config: RetrainConfig) -> Iterator[Cause]:
    events, prefix = config.operation.events, prefix_of(config.name)
    resource = {"prefect.resource.id": resource_of(config.model_name), CONFIG_LABEL: config.name}
    for name, event, settings in (("new data", NEW_DATA, events.new_data), ("drift", DRIFT, events.drift), ("decay", DECAY, events.decay)):
        if settings is not None:
            yield Cause(prefix + name, event, resource, settings.cooldown, REASON)
    for outside in events.outside:
        yield Cause(prefix + _name(outside), outside.event, outside.resource, outside.cooldown, OUTSIDE)


def _name(outside: OutsideEvent) -> str:
    labels = ", ".join(f"{label} {value}" for label, value in sorted(outside.resource.items()))
    return f"event {outside.event}" + (f" ({labels})" if labels else "")
