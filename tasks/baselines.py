"""Baselines: what earlier retrains left behind to be compared with. One search of MLflow serves all of it.

A retrain looks only at runs whose as-of is earlier than its own: a replay must not be compared with its future. A
decision on a test window wears it whenever it was made, so decisions at the same as-of count too.
"""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from tasks.checks.shares import Profile, parse_profile
from tasks.errors import ServiceUnavailable
from tasks.records import Champion, Decided, PastScore
from tasks.sources.source import mask
from tasks.tracking import Tracker

PROFILE_FILE, FINGERPRINT_FILE = "profile.json", "fingerprint.json"
MODEL_TAG, AS_OF_TAG, VERDICT_TAG = "evertune.model", "evertune.as_of", "evertune.verdict"
FIRST_TAG, LAST_TAG = "evertune.test_first", "evertune.test_last"
"""Times of the first and the last row of the test window."""
SIDES_TAG = "evertune.test_sides"
"""What decided which rows of a table without time are test rows; see tasks.splitting.sides."""
STUDY_TAG = "evertune.study"
"""Name of the study that the retrain searched in."""
METRIC_TAG = "evertune.metric_name"
ANSWERED_TAG = "evertune.answered_by"
"""On a run that gave an earlier run's answer again: it decided nothing itself."""
DECIDED = ("promoted", "kept", "ask")
MOST_READ = 5
"""Runs that are looked at, the newest first, before there is said to be no fingerprint."""
PAGE = 1000
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Past:
    """One run of the model: its as-of (UTC), what it came to, and MLflow's own record of it."""

    as_of: datetime
    run: Any

    @property
    def id(self) -> str:
        return str(self.run.info.run_id)

    @property
    def tags(self) -> dict[str, str]:
        return cast("dict[str, str]", self.run.data.tags)

    @property
    def decided(self) -> bool:
        """Whether a gate weighed a challenger in this very run."""
        return self.run.info.status == "FINISHED" and self.tags.get(VERDICT_TAG) in DECIDED and ANSWERED_TAG not in self.tags


@dataclass(frozen=True)
class Baselines:
    """The runs of one model, the newest as-of first; of several at one as-of the one that started last is first."""

    tracker: Tracker
    model: str
    runs: tuple[Past, ...]

    def read_fingerprint(self, before: datetime) -> dict[str, Any] | None:
        """What the data was at the newest retrain with an as-of earlier than `before`, however that retrain ended.

        One that is missing or cannot be read is passed over with a word in the log. Raises ServiceUnavailable.
        """
        for past in [past for past in self.runs if past.as_of < before][:MOST_READ]:
            content = _read(self.tracker, past.id, FINGERPRINT_FILE)
            if isinstance(content, dict):
                return content
            if content is not None:
                log.warning("baselines: %s of run %s is left out, it is no object", FINGERPRINT_FILE, past.id)
        return None

    def read_decisions(self, before: datetime) -> tuple[Decided, ...]:
        """Every decision on a test window with a time, as-of up to and including `before`, the oldest first."""
        found = (_decision(past) for past in reversed(self.runs) if past.decided and past.as_of <= before)
        return tuple(decision for decision in found if decision is not None)

    def count_decisions(self, sides: str, before: datetime) -> int:
        """Decisions on the test bucket of a table without time that these sides cut off, as-of up to and including `before`."""
        return sum(past.decided and past.as_of <= before and past.tags.get(SIDES_TAG) == sides for past in self.runs)

    def read_past(self, before: datetime) -> tuple[PastScore, ...]:
        """What earlier retrains scored, the oldest first; of several at one as-of the one that started last."""
        last: dict[datetime, Past] = {}
        for past in self.runs:
            if past.decided and past.as_of < before and METRIC_TAG in past.tags:
                last.setdefault(past.as_of, past)
        return tuple(_score(past) for past in reversed(last.values()))


def find_baselines(tracker: Tracker, model: str) -> Baselines:
    """Every retrain of this model that the store knows. Raises ServiceUnavailable when MLflow does not answer."""
    from mlflow.exceptions import MlflowException

    wanted = f"tags.`{MODEL_TAG}` = '{model}' and tags.`evertune.kind` = 'retrain'"
    found: list[Past] = []
    token: str | None = None
    try:
        while token != "":
            page = tracker.client.search_runs([tracker.experiment], wanted, max_results=PAGE, page_token=token)
            found += [Past(as_of, run) for run in page if (as_of := _as_of(run)) is not None]
            token = page.token or ""
    except MlflowException as error:
        raise ServiceUnavailable(f"the baselines of earlier retrains cannot be read: {mask(str(error)).splitlines()[0]}") from error
    return Baselines(tracker, model, tuple(sorted(found, key=lambda past: (past.as_of, past.run.info.start_time), reverse=True)))


def read_profile(tracker: Tracker, champion: Champion) -> Profile | None:
    """What the rows that the champion was trained on looked like; None, with a word in the log, where its run does not say.

    Raises ServiceUnavailable when MLflow does not answer.
    """
    content = _read(tracker, champion.run_id, PROFILE_FILE)
    if content is None:
        log.info("baselines: champion v%s has no %s that can be read; drift cannot be told", champion.version, PROFILE_FILE)
        return None
    try:
        return parse_profile(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("baselines: %s of run %s is left out, it makes no sense: %r", PROFILE_FILE, champion.run_id, error)
        return None


def read_fingerprint(tracker: Tracker, champion: Champion) -> dict[str, Any] | None:
    """What the data was when the champion was trained; None where its run does not say. Raises ServiceUnavailable."""
    content = _read(tracker, champion.run_id, FINGERPRINT_FILE)
    return content if isinstance(content, dict) else None


def _decision(past: Past) -> Decided | None:
    """None for a test window without a time, and for tags that are no dates."""
    if FIRST_TAG not in past.tags or LAST_TAG not in past.tags:
        return None
    try:
        first, last = _utc(past.tags[FIRST_TAG]), _utc(past.tags[LAST_TAG])
    except ValueError as error:
        log.warning("baselines: the decision of run %s is left out: %s", past.id, error)
        return None
    return Decided(past.as_of, first, last, past.tags[VERDICT_TAG])


def _score(past: Past) -> PastScore:
    metric, scores = past.tags[METRIC_TAG], past.run.data.metrics
    return PastScore(
        as_of=past.as_of.strftime("%Y-%m-%d") if past.as_of.time() == datetime.min.time() else past.as_of.isoformat(timespec="seconds"),
        verdict=past.tags[VERDICT_TAG],
        version=past.tags.get("evertune.version"),
        metric=metric,
        challenger=scores.get(metric),
        champion=scores.get(f"champion/{metric}"),
        run_id=past.id,
    )


def _as_of(run: Any) -> datetime | None:
    try:
        return _utc(run.data.tags[AS_OF_TAG])
    except (KeyError, ValueError):
        log.warning("baselines: run %s is left out, its tag %s is missing or no date", run.info.run_id, AS_OF_TAG)
        return None


def _read(tracker: Tracker, run_id: str, path: str) -> Any:
    """The artifact's content; None where the run or the artifact is gone, or it is no JSON."""
    from mlflow.exceptions import MlflowException

    try:
        if all(entry.path != path for entry in tracker.client.list_artifacts(run_id)):
            return None
        with tempfile.TemporaryDirectory() as folder:
            text = Path(tracker.client.download_artifacts(run_id, path, folder)).read_text(encoding="utf-8")
        return json.loads(text)
    except (MlflowException, OSError) as error:
        if isinstance(error, MlflowException) and error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            log.warning("baselines: run %s is left out: %s", run_id, str(error).splitlines()[0])
            return None
        raise ServiceUnavailable(f"{path} of run {run_id} cannot be read: {mask(str(error)).splitlines()[0]}") from error
    except ValueError as error:  # of JSON, or of UTF-8
        log.warning("baselines: %s of run %s is left out, it is damaged: %s", path, run_id, error)
        return None


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
