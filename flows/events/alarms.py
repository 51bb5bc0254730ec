"""Alarms: what a look at the champion has to tell, and what of it is news.

What was told is kept with the champion's monitor run, so that another champion begins anew. An alarm is news when it comes,
when it comes back, when there is more to it (another column drifts), and after `operation.remind` if it still is so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tasks.wording import clean

MOST, LONGEST = 100, 40
"""Names that are remembered, and of each so many characters: MLflow's tags are short."""
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Alarm:
    """Something to tell: the notice's occurrence, the event, why, figures, and the names of what it is about, if it has any."""

    occurrence: str
    event: str
    reason: str
    figures: dict[str, Any]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """When an alarm was last told, and about which names."""

    at: datetime
    names: frozenset[str] = field(default_factory=frozenset)


def read_told(text: str) -> dict[str, Told]:
    """Occurrence -> what was told of it; nothing where the text is empty, or somebody has changed it beyond reading."""
    try:
        found = json.loads(text or "{}")
        return {key: Told(datetime.fromisoformat(one["at"]), frozenset(one["names"])) for key, one in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("what the monitor told last makes no sense, so it is told again: %r", error)
        return {}


def write_told(told: Mapping[str, Told]) -> str:
    return json.dumps({key: {"at": one.at.isoformat(), "names": sorted(one.names)} for key, one in told.items()})


def find_news(alarms: Sequence[Alarm], told: Mapping[str, Told], now: datetime, remind: timedelta | None) -> tuple[Alarm, ...]:
    """The alarms that are to be told now."""

    def is_news(alarm: Alarm) -> bool:
        last = told.get(alarm.occurrence)
        if last is None or not _short(alarm.names) <= last.names:
            return True
        return remind is not None and now >= last.at + remind

    return tuple(filter(is_news, alarms))


def remember(alarms: Sequence[Alarm], told: Mapping[str, Told], sent: Collection[Alarm], now: datetime) -> dict[str, Told]:
    """What is told by now: the alarms that were sent, and of those before, whatever still is so."""
    before = {alarm.occurrence: told[alarm.occurrence] for alarm in alarms if alarm.occurrence in told}
    return before | {alarm.occurrence: Told(now, _short(alarm.names)) for alarm in alarms if alarm in sent}


def _short(names: Sequence[str]) -> frozenset[str]:
    return frozenset(clean(name, LONGEST) for name in sorted(names)[:MOST])
