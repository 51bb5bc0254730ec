"""One look at the champion: has the data drifted, has the score decayed, is it too old? Written to MLflow, so that it makes a curve.

Each champion has one MLflow run of kind `monitor`, which every look adds a point to; a point's step is the champion's age in
days. A run each look would be a bar each in MLflow, and never a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from configs.schema import RetrainConfig
from flows.events.alarms import Alarm, find_news, read_told, remember, write_told
from flows.events.decays import Decay, measure_decay, read_promotion
from flows.events.emitting import DECAY, DRIFT, OLD
from flows.events.looks import say_age, say_decay, tell_look
from flows.services.preflight import check_services
from flows.telling.links import find_links
from flows.telling.occasions import find_occasion
from tasks.artifacts import publish_markdown
from tasks.baselines import MODEL_TAG, read_profile
from tasks.drift import measure_drift, say_drift
from tasks.errors import EvertuneError
from tasks.homes import Home
from tasks.loading import load_table
from tasks.records import Champion, DriftReport
from tasks.registry import find_prior, read_entry
from tasks.registry.versions import require_version
from tasks.settings.operation import DecayEvent
from tasks.stage import Timing, timed
from tasks.tracking import Run, Tracker, connect, open_run, service_fault
from tasks.validation import validate_table
from tasks.wording import clean

KIND = "monitor"
TOLD = "evertune.told"
"""Tag of the monitor run: what was told of this champion, and when."""
Tell = Callable[[Alarm, dict[str, Any]], bool]
"""Tell an alarm, with the fields that every event and notice of this look has; False where it did not get out."""
MOST_COLUMNS = 300
"""Columns whose index is written at each look, what drifted most first."""


@dataclass(frozen=True)
class Look:
    """No `alarms` where all is as it was; `told` are those that were news."""

    name: str
    message: str
    alarms: tuple[Alarm, ...] = ()
    told: tuple[Alarm, ...] = ()


def look_at_champion(config: RetrainConfig, now: datetime, tell: Tell) -> Look:
    """Measure, write it to MLflow and to Prefect, tell what is news, and remember that it was told.

    Raises EvertuneError: the data is rejected as it is by a retrain; ServiceUnavailable also where MLflow fails in the middle.
    What was told and could not be remembered is told again.
    """
    home = Home.from_environment()
    check_services()
    try:
        with timed() as timing:
            return _look(config, now, home, connect(home, config.name), timing, tell)
    except EvertuneError:
        raise
    except Exception as error:
        foreseen = service_fault(error)
        if foreseen is None:
            raise
        raise foreseen from error


def _look(config: RetrainConfig, now: datetime, home: Home, tracker: Tracker, timing: Timing, tell: Tell) -> Look:
    champion = find_prior(tracker, config.model_name, None, config.target).champion
    if champion is None:
        return Look("No champion", f"{config.model_name} has no champion to look at yet; a retrain makes the first one")
    table = validate_table(load_table(config.source, now), config.table, config.validation, now, keep=config.kept_columns)
    drift = measure_drift(table, champion, read_profile(tracker, champion), config.validation.drift)
    share = (config.operation.events.decay or DecayEvent()).margin
    decay = measure_decay(champion, table, read_promotion(tracker.client.get_run(champion.run_id)), share, config.gate)
    made = _made(tracker, champion)
    alarms = tuple(_alarms(config, champion, drift, decay, now, made))
    occasion = find_occasion()
    with _monitor_run(tracker, config, champion, now, timing) as run:
        links = find_links(home, run, occasion.flow_run_id)
        _write(run, drift, decay, (now - made).days, timing, config)
        page = tell_look(champion, drift, decay, say_age(now - made, config.operation.max_age), links.mlflow)
        run.text(page, f"looks/{now:%Y-%m-%d-%H%M}.md")
        found = "; ".join(alarm.reason for alarm in alarms)
        run.tags({"evertune.alarms": " ".join(alarm.occurrence for alarm in alarms), "mlflow.note.content": page})
        publish_markdown("monitor", page, clean(found or "the champion is as it was"))
        fields = {
            "model": config.model_name,
            "version": champion.version,
            "as_of": now.isoformat(timespec="seconds"),
            "mlflow_run_id": run.id,
            "prefect_flow_run_id": occasion.flow_run_id,
            "links": links.to_look(),
        }
        before = read_told(tracker.client.get_run(run.id).data.tags.get(TOLD, ""))
        told = tuple(alarm for alarm in find_news(alarms, before, now, config.operation.remind) if tell(alarm, fields))
        run.tags({TOLD: write_told(remember(alarms, before, told, now))})
    if not alarms:
        return Look("As before", f"v{champion.version}: {say_decay(decay)}; {say_drift(drift) if drift.columns else drift.note}")
    message = found if told else f"{found}; told before"
    return Look(", ".join(alarm.occurrence for alarm in alarms).capitalize(), message, alarms, told)


def _made(tracker: Tracker, champion: Champion) -> datetime:
    """When the version was registered. Raises Conflict where it has gone meanwhile."""
    found = require_version(read_entry(tracker, champion.name), champion.version)
    return datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)


def _alarms(config: RetrainConfig, champion: Champion, drift: DriftReport, decay: Decay, now: datetime, made: datetime) -> Iterator[Alarm]:
    who = f"{config.model_name} v{champion.version}"
    if drift.drifted:
        columns = {one.column: round(one.index, 4) for one in drift.drifted[:20]}
        yield Alarm(
            "drift",
            DRIFT,
            f"drift since {who} was trained: {say_drift(drift)}",
            {"columns": columns},
            tuple(one.column for one in drift.drifted),
        )
    if decay.decayed:
        names = ("metric", "then", "now", "difference", "low", "margin", "rows", "days", "confidence")
        yield Alarm("decay", DECAY, f"{who} has decayed: {say_decay(decay)}", {name: getattr(decay, name) for name in names})
    limit = config.operation.max_age
    if limit is not None and now - made > limit:
        reason = f"{who} is old: {say_age(now - made, limit)}"
        yield Alarm("old", OLD, reason, {"age_days": round((now - made).total_seconds() / 86400, 2), "trained": made.isoformat()})


@contextmanager
def _monitor_run(tracker: Tracker, config: RetrainConfig, champion: Champion, now: datetime, timing: Timing) -> Iterator[Run]:
    """The champion's monitor run: the one that there is, else a new one."""
    tags = {"evertune.kind": KIND, MODEL_TAG: config.model_name, "evertune.version": champion.version}
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = tracker.client.search_runs([tracker.experiment], wanted, max_results=1, order_by=["attributes.start_time"])
    if not found:
        with open_run(tracker, f"{config.name} v{champion.version} monitor", {**tags, "evertune.as_of": now.isoformat()}, timing) as run:
            yield run
        return
    run = Run(tracker, found[0].info.run_id)
    yield run
    tracker.client.set_terminated(run.id, "FINISHED")  # with the time of this look as its end


def _write(run: Run, drift: DriftReport, decay: Decay, age: int, timing: Timing, config: RetrainConfig) -> None:
    """One point on each curve; scores first, since MLflow lists metrics in the order they came."""
    figures = {
        decay.metric or "score": decay.now,
        "decay/at_promotion": decay.then,
        "decay/worse_by": decay.difference,
        "decay/worse_by_at_least": decay.low,
        "decay/margin": decay.margin,
        "decay/rows": decay.rows,
        "decay/days": decay.days,
        "champion/age_days": age,
        "drift/drifted": len(drift.drifted) if drift.columns else None,
        "drift/target": drift.target.index if drift.target else None,
        **{_metric_name(f"drift/column/{one.column}"): one.index for one in drift.columns[:MOST_COLUMNS]},
        "seconds/total": timing.total(),
    }
    run.batch([(name, float(value), age) for name, value in figures.items() if value is not None])


def _metric_name(text: str) -> str:
    """MLflow takes letters, digits and some marks."""
    return re.sub(r"[^\w\-. /]", "_", text, flags=re.ASCII)[:240].rstrip(" ./")
