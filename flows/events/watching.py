"""One look at a source: is there something that no retrain has seen and nobody was told of?"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from configs.schema import RetrainConfig
from flows.events.emitting import NEW_DATA, emit_for
from flows.events.sightings import Sighting, read_sighting, write_sighting
from flows.events.watermarks import Watermark, read_watermark
from flows.services.preflight import check_services
from tasks.baselines import MODEL_TAG, VERDICT_TAG
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tasks.settings.operation import NewDataEvent
from tasks.tracking import connect
from tasks.wording import say_moment

SEEN = ("promoted", "kept", "ask", "unchanged", "data_rejected")
"""Verdicts of a retrain that has looked at all its data."""
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Look:
    """`name` is the state's: New data, Nothing new, or Cooling down."""

    name: str
    message: str


def look_at_source(config: RetrainConfig, now: datetime) -> Look:
    """Tell `evertune.data.new` if the watermark has moved, and remember that it was told.

    Within the cool-down nothing is told and nothing is remembered: what came meanwhile is told once it is over, where an
    automation's own cool-down would have swallowed it. After it the same is told again, if no retrain has come to an end
    meanwhile: the event may have been lost, or the retrain have died. Raises what reading the source raises; ServiceUnavailable.
    """
    mark, location = read_watermark(config.source, config.table, now), config.source.location
    seen = read_sighting(config.name, location)
    if mark.how:
        log.info("watch: %s", mark.how)
    if seen is None and (run := _seen_by_retrain(config, mark)):
        seen = Sighting(location, mark)
        write_sighting(config.name, seen)
        return Look("Nothing new", f"the first look; the last retrain (MLflow run {run}) has seen it: {_say(mark)}")
    cooldown = (config.operation.events.new_data or NewDataEvent()).cooldown
    cooling = seen is not None and seen.told is not None and now < seen.told + cooldown
    if seen is not None and not mark.moved_since(seen.watermark):
        told = seen.told
        if told is not None and not cooling:
            run = _last_retrain(config, (*SEEN, None))
            if run is None or run.info.start_time < told.timestamp() * 1000:
                return _tell(config, mark, now, location, f"told at {say_moment(told)}, and no retrain has come to an end since")
            told = None if VERDICT_TAG in run.data.tags else told  # without a verdict it is still under way
        if Sighting(location, mark, told) != seen:  # rows went away: from now on, that is what new ones are told from
            write_sighting(config.name, Sighting(location, mark, told))
        return Look("Nothing new", _say(mark))
    if seen is not None and seen.told is not None and cooling:
        return Look("Cooling down", f"new data, told at the first look after {say_moment(seen.told + cooldown)}: {_say(mark)}")
    return _tell(config, mark, now, location, f"before: {seen.watermark}" if seen is not None else "the first look")


def _tell(config: RetrainConfig, mark: Watermark, now: datetime, location: str, why: str) -> Look:
    reason = f"new data: {mark} ({why})"
    if not emit_for(config, NEW_DATA, {"reason": reason, "rows": mark.rows, "watermark": mark.to_json(), "source": location}):
        raise ServiceUnavailable("the event evertune.data.new could not be sent, see the log; the next look tries again")
    write_sighting(config.name, Sighting(location, mark, now))
    return Look("New data", reason)


def _say(mark: Watermark) -> str:
    return f"{mark}; {mark.how}" if mark.how else str(mark)


def _seen_by_retrain(config: RetrainConfig, mark: Watermark) -> str | None:
    """The id of the last retrain's run, where that read what there is now; None where it did not, or nobody can tell.

    Rows by their number, files by their time: none was written since that retrain began.
    """
    run = _last_retrain(config, SEEN)
    if run is None or run.data.tags.get("evertune.source") != config.source.location:
        return None
    if mark.rows is not None:
        same = run.data.metrics.get("data/rows_read") == mark.rows
    else:
        same = mark.newest is not None and datetime.fromisoformat(mark.newest).timestamp() * 1000 < run.info.start_time
    return str(run.info.run_id) if same else None


def _last_retrain(config: RetrainConfig, verdicts: tuple[str | None, ...]) -> Any | None:
    """The MLflow run of the newest retrain with one of these verdicts; None among them: one that is under way."""
    check_services()
    tracker = connect(Home.from_environment(), config.name)
    wanted = f"tags.`{MODEL_TAG}` = '{config.model_name}' and tags.`evertune.kind` = 'retrain'"
    runs = tracker.client.search_runs([tracker.experiment], wanted, max_results=20, order_by=["attributes.start_time DESC"])
    return next((run for run in runs if run.data.tags.get(VERDICT_TAG) in verdicts), None)
