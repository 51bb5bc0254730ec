"""Memory across retrains: what a search found is written beside its MLflow run, and read back by the retrains after it.

A retrain remembers only searches whose as-of is earlier than its own: a replay must not learn from its future, and the
same retrain asked again must remember the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.errors import ServiceUnavailable
from tasks.models.recipes import Candidates
from tasks.records import Hyperparameters, Remembered, Search, Trial
from tasks.reports.importance import parameter_importance
from tasks.settings import Scalar
from tasks.sources.source import mask
from tasks.tracking import Tracker
from tasks.trials.memory import describe_space

MEMORY_FILE = "memory.json"
MODEL_TAG = "evertune.model"
"""On a retrain's run: the registered model it is for. One experiment may hold retrains of several."""
VERSION = 1
MOST_READ = 5
"""Artifacts read at most, the newest retrains'."""
PAGE = 1000
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class LastSearch:
    """The newest search there is to remember."""

    as_of: datetime
    metric: str
    space: dict[str, str]
    """As `tasks.trials.memory.describe_space` put it."""
    seconds: float
    newest: datetime | None
    """Time of the newest row it saw (UTC); None without a time column."""
    run_id: str


@dataclass(frozen=True)
class Memory:
    """What a retrain may know of those before it."""

    settings: tuple[Remembered, ...] = ()
    """Good settings, the newest retrain's first, of each what was chosen before the other finalists."""
    last: LastSearch | None = None
    earlier: tuple[dict[str, Any], ...] = ()
    """What `write_memory` wrote, the oldest first; for the report."""

    @property
    def digest(self) -> str:
        """64 bits of hash of everything that a search, or the decision to have one, may depend on."""
        return memory_digest(self.settings, self.last)


def write_memory(search: Search, as_of: datetime, candidates: Candidates, newest: datetime | None) -> dict[str, Any]:
    """What later retrains will want to know of a search, as plain JSON. `newest` is the time of the newest row it saw.

    Scores are for people to read: they are never compared with those of another retrain.
    """
    return {
        "version": VERSION,
        "as_of": as_of.isoformat(),
        "newest": None if newest is None else newest.isoformat(),
        "metric": search.metric,
        "method": search.method,
        "space": describe_space(candidates),
        "ranges": search.space,
        "trials": search.counts,
        "seconds": round(search.seconds, 3),
        "seconds_to_best": None if search.best is None else round(search.best.started + search.best.seconds, 3),
        "best": None if search.best is None else search.best.number,
        "chosen": None if search.chosen is None else search.chosen.number,
        "finalists": [_finalist(trial) for trial in _kept(search)],
        "importance": parameter_importance(search),
    }


def recall(tracker: Tracker, model: str, before: datetime, settings: int) -> Memory:
    """What retrains of this model with an as-of earlier than `before` found, the newest first; about `settings` good settings.

    Reads as many artifacts as it takes to have that many different ones, at least one and at most MOST_READ. One that is
    missing or cannot be read is left out with a word in the log. Raises ServiceUnavailable when MLflow does not answer.
    """
    good: dict[tuple[object, ...], Remembered] = {}
    read: list[tuple[LastSearch, dict[str, Any]]] = []
    for run in _searches(tracker, model, before)[:MOST_READ]:
        if (content := _read(tracker, run.info.run_id)) is None:
            continue
        try:
            last, found = _parse(content, run.info.run_id)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("memory: %s of run %s is left out, it makes no sense: %r", MEMORY_FILE, run.info.run_id, error)
            continue
        read.append((last, content))
        for known in found:
            good.setdefault((known.family, *sorted(known.choices.items())), known)
        if len(good) >= settings:
            break
    return Memory(tuple(good.values())[:settings], read[0][0] if read else None, tuple(content for _, content in reversed(read)))


def memory_digest(settings: Sequence[Remembered], last: LastSearch | None = None) -> str:
    """64 bits of hash of what is remembered, for a retrain's identity; empty when nothing is."""
    if not settings and last is None:
        return ""
    known = [[known.family, sorted(known.choices.items()), known.as_of.isoformat()] for known in settings]
    text = json.dumps([known, last and [last.as_of.isoformat(), last.metric, last.space]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(search: Search) -> list[Trial]:
    """The chosen trial, then the other finalists."""
    trials = ([] if search.chosen is None else [search.chosen]) + list(search.finalists)
    return list({trial.number: trial for trial in trials}.values())


def _finalist(trial: Trial) -> dict[str, Any]:
    told = ("number", "family", "choices", "hyperparameters", "value", "fold_values", "origin", "size", "seconds")
    return {name: getattr(trial, name) for name in told}


def _searches(tracker: Tracker, model: str, before: datetime) -> list[Any]:
    """Finished runs in which a search of this model ended, as-of earlier than `before`, the newest as-of first."""
    from mlflow.exceptions import MlflowException

    wanted = f"tags.`{MODEL_TAG}` = '{model}' and tags.`evertune.tuning` = 'ran' and attributes.status = 'FINISHED'"
    wanted += " and tags.`evertune.kind` = 'retrain'"  # a dry run leaves nothing behind that a retrain could see
    found: list[Any] = []
    token: str | None = None
    try:
        while token != "":
            page = tracker.client.search_runs([tracker.experiment], wanted, max_results=PAGE, page_token=token)
            found += [(as_of, run.info.start_time, run) for run in page if (as_of := _as_of(run)) is not None and as_of < before]
            token = page.token or ""
    except MlflowException as error:
        raise ServiceUnavailable(f"the memory of earlier retrains cannot be read: {mask(str(error)).splitlines()[0]}") from error
    return [run for _, _, run in sorted(found, key=lambda entry: entry[:2], reverse=True)]


def _as_of(run: Any) -> datetime | None:
    try:
        return _utc(run.data.tags["evertune.as_of"])
    except (KeyError, ValueError):
        log.warning("memory: run %s is left out, its tag evertune.as_of is missing or no date", run.info.run_id)
        return None


def _read(tracker: Tracker, run_id: str) -> Any:
    """The artifact's content; None where it is missing or no JSON."""
    from mlflow.exceptions import MlflowException

    try:
        if all(entry.path != MEMORY_FILE for entry in tracker.client.list_artifacts(run_id)):
            log.warning("memory: run %s is left out, it has no %s", run_id, MEMORY_FILE)
            return None
        with tempfile.TemporaryDirectory() as folder:
            text = Path(tracker.client.download_artifacts(run_id, MEMORY_FILE, folder)).read_text(encoding="utf-8")
        return json.loads(text)
    except (MlflowException, OSError) as error:
        raise ServiceUnavailable(f"the memory of run {run_id} cannot be read: {mask(str(error)).splitlines()[0]}") from error
    except ValueError as error:  # of JSON, or of UTF-8
        log.warning("memory: run %s is left out, its %s is damaged: %s", run_id, MEMORY_FILE, error)
        return None


def _parse(content: Any, run_id: str) -> tuple[LastSearch, list[Remembered]]:
    """Raises KeyError, TypeError, ValueError or AttributeError for what `write_memory` cannot have written."""
    if content["version"] != VERSION:
        raise ValueError(f"it is of version {content['version']}, not {VERSION}")
    as_of, newest = _utc(content["as_of"]), content["newest"]
    seconds, space = float(content["seconds"]), {str(name): str(text) for name, text in content["space"].items()}
    last = LastSearch(as_of, str(content["metric"]), space, seconds, None if newest is None else _utc(newest), run_id)
    origin = "retrain of " + as_of.strftime("%Y-%m-%d" if as_of.time() == datetime.min.time() else "%Y-%m-%d %H:%M")
    return last, [Remembered(str(known["family"]), _choices(known["choices"]), origin, as_of) for known in content["finalists"]]


def _choices(told: dict[str, Any]) -> Hyperparameters:
    wrong = [name for name, value in told.items() if not isinstance(value, Scalar)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} must be a number, a text, true or false")
    return dict(told)


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
