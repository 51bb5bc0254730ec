"""Sightings: what was last seen of a source, kept in a Prefect variable, where a person can read it, change it and delete it.

Not in MLflow: a look comes every few minutes and must be cheap. A variable is written last-wins. Two looks at once may
therefore tell the same news twice: the event goes out first, the variable follows. What a second event of the same news does
is the automation's cool-down, and a retrain without new rows is `unchanged`.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from flows.events.watermarks import Watermark

TAG = "evertune"
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Sighting:
    """`told`: when news of this source were last told (UTC); None where they never were."""

    location: str
    watermark: Watermark
    told: datetime | None = None


def read_sighting(config_name: str, location: str) -> Sighting | None:
    """What was last seen; None where nothing was, where it was of another source, or where somebody has changed it beyond reading."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        variable = client.read_variable_by_name(variable_name(config_name))
    if variable is None:
        return None
    try:
        found = _parse(variable.value)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("the variable %s makes no sense and is written anew: %r", variable.name, error)
        return None
    return found if found.location == location else None


def write_sighting(config_name: str, sighting: Sighting) -> None:
    """Remember it in place of the last one."""
    from prefect.variables import Variable

    told = None if sighting.told is None else sighting.told.isoformat()
    content = {"location": sighting.location, "watermark": sighting.watermark.to_json(), "told": told}
    Variable.set(variable_name(config_name), content, tags=[TAG], overwrite=True)


def variable_name(config_name: str) -> str:
    """`evertune-seen-shop`. Prefect takes small letters only: where two names would fall together, a hash tells them apart."""
    small = config_name.lower()
    return f"evertune-seen-{small}" + ("" if small == config_name else f"-{hashlib.sha256(config_name.encode()).hexdigest()[:8]}")


def _parse(content: Any) -> Sighting:
    known = {field.name for field in fields(Watermark)}
    mark = Watermark(**{key: value for key, value in content["watermark"].items() if key in known})
    return Sighting(str(content["location"]), mark, None if content["told"] is None else datetime.fromisoformat(content["told"]))
