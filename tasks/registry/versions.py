"""Versions: what the registry holds of a model, and the version that a retrain registers.

What a version says of itself is in its tags, named here. They are written so that a run that is killed anywhere leaves
nothing that the next one cannot tell from the tags.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.errors import Conflict
from tasks.leases import Lease
from tasks.records import Champion, Evaluation, Interval, Verdict
from tasks.tracking import Tracker

ALIAS, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
IDENTITY = "evertune.identity"
"""What the version was made from; the same retrain finds it again by this, and never registers a second one."""
DIGEST = "evertune.digest"
TARGET = "evertune.target"
"""The column it predicts."""
ANCHOR = "evertune.anchor"
ITSELF = "itself"
"""The anchor of a version that was clearly better than the champion before it; its number is not known before it is registered."""
JUDGED_AGAINST = "evertune.judged_against"
"""The champion it was compared with; empty for none."""
PENDING = "evertune.pending"
"""Since when it waits for a person (UTC)."""
REJECTED = "evertune.rejected"
PROMOTED, PROMOTED_BY = "evertune.promoted", "evertune.promoted_by"
"""When it last became champion (UTC), and by whom."""
REPLACED = "evertune.replaced"
"""The version that was champion until it last became it: where `previous` belongs."""
REIGN = "evertune.reign"
"""The how-many-th champion it was when it last became one: clocks may be put back, this only grows."""
LOG = "evertune.log"
"""JSON list of what people and retrains did with it: at, act, by, why."""
LONGEST_LOG = 50
LONGEST_TAG = 5000
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Entry:
    """What the registry says of one model at one moment; nothing at all for a name it does not know."""

    name: str
    aliases: dict[str, str]
    """Alias -> version."""
    versions: tuple[Any, ...]
    """MLflow's model versions, the newest first; deleted ones are not among them."""

    def find(self, version: str | None) -> Any | None:
        """The version of that number, if it is there."""
        return next((found for found in self.versions if str(found.version) == version), None)

    def of_identity(self, identity: str) -> Any | None:
        """The version that a retrain of this identity registered."""
        return next((version for version in self.versions if version.tags.get(IDENTITY) == identity), None)

    @property
    def champion(self) -> Any | None:
        return self.find(self.aliases.get(ALIAS))

    @property
    def last_recorded(self) -> Any | None:
        """The version that became champion last as far as tags tell: another one than `champion` where a hand, or a kill, came between."""
        promoted = [version for version in self.versions if PROMOTED in version.tags]
        return max(promoted, key=lambda version: (int(version.tags.get(REIGN, 0)), version.tags[PROMOTED]), default=None)


def read_entry(tracker: Tracker, name: str) -> Entry:
    """What the registry says of the model now."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = tracker.client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # the latter for what is no name
            return Entry(name, {}, ())
        raise
    found = tracker.client.search_model_versions(f"name = {quoted(name)}", max_results=10_000)
    versions = sorted(found, key=lambda version: -int(version.version))
    return Entry(name, {alias: str(version) for alias, version in aliases.items()}, tuple(versions))


def quoted(text: str) -> str:
    """As MLflow's filters want it; what holds both kinds of quotes names nothing that there is."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def find_version(tracker: Tracker, name: str, identity: str) -> str | None:
    """The version that a retrain of the same identity registered, if it got that far."""
    found = read_entry(tracker, name).of_identity(identity)
    return None if found is None else str(found.version)


def current_version(tracker: Tracker, name: str) -> str | None:
    """The version that the alias points at now."""
    return read_entry(tracker, name).aliases.get(ALIAS)


def waits(tracker: Tracker, name: str, version: str) -> bool:
    """Whether a version still waits for a person."""
    found = read_entry(tracker, name).find(version)
    return found is not None and PENDING in found.tags


def register(tracker: Tracker, name: str, uri: str, run_id: str, tags: Mapping[str, Any], identity: str, lease: Lease | None = None) -> str:
    """A new version, or the one that another process of the same identity registered meanwhile. Raises Conflict (lease lost)."""
    from mlflow.exceptions import MlflowException

    if lease is not None:
        lease.check()
    if (known := find_version(tracker, name, identity)) is not None:
        return known
    try:
        tracker.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    every = {key: str(value)[:LONGEST_TAG] for key, value in {**tags, IDENTITY: identity}.items()}
    return str(tracker.client.create_model_version(name, uri, run_id=run_id, tags=every, model_id=uri.removeprefix("models:/")).version)


def tell_version(tracker: Tracker, name: str, version: str, tags: Mapping[str, Any], lease: Lease | None = None) -> None:
    """Bring the tags of a version up to date: it was judged again. Raises Conflict when the lease is lost."""
    if lease is not None:
        lease.check()
    set_tags(tracker, require_version(read_entry(tracker, name), version), {key: str(value) for key, value in tags.items()})


def verdict_tags(verdict: Verdict, evaluation: Evaluation, champion: Champion | None) -> dict[str, str]:
    """What a version says of how it was judged."""
    metric, interval = evaluation.metric, evaluation.interval
    before = evaluation.champion.get(metric)
    return {
        "evertune.verdict": verdict.answer,
        "evertune.reason": verdict.reason,
        "evertune.metric": f"{metric} {evaluation.challenger[metric]:.6g}" + ("" if before is None else f" (before {before:.6g})"),
        **({} if interval is None else {"evertune.interval": format_interval(interval)}),
        JUDGED_AGAINST: champion.version if champion else "",
        ANCHOR: next_anchor(interval, champion),
    }


def format_interval(interval: Interval) -> str:
    """As JSON: how much worse than its rival, in the metric's units; ends that are not known are left out."""
    told = {key: float(f"{value:.6g}") for key, value in asdict(interval).items() if isinstance(value, int | float) and value == value}
    return json.dumps(told)


def set_tags(tracker: Tracker, version: Any, tags: Mapping[str, str]) -> None:
    """Tags of one version, in this order, those that it does not have already."""
    for key, value in tags.items():
        if version.tags.get(key) != value[:LONGEST_TAG]:
            tracker.client.set_model_version_tag(version.name, str(version.version), key, value[:LONGEST_TAG])


def drop_tags(tracker: Tracker, version: Any, *keys: str) -> None:
    """Take these tags from a version, where it has them."""
    for key in keys:
        if key in version.tags:
            tracker.client.delete_model_version_tag(version.name, str(version.version), key)


def read_log(version: Any) -> list[dict[str, str]]:
    """What was done with a version, the oldest first."""
    try:
        told = json.loads(version.tags.get(LOG, "[]"))
        return [{str(key): str(value) for key, value in act.items()} for act in told]
    except (ValueError, AttributeError, TypeError):
        log.warning("the tag %s of %s v%s is not ours, and is left out", LOG, version.name, version.version)
        return []


def add_to_log(tracker: Tracker, version: Any, act: str, by: str, why: str) -> None:
    """Note who did what with a version, when and why; once only, where a killed run had noted it already."""
    acts = read_log(version)
    if acts and [acts[-1].get(key) for key in ("act", "by", "why")] == [act, by, why[:500]]:
        return
    acts.append({"at": moment(), "act": act, "by": by, "why": why[:500]})
    tracker.client.set_model_version_tag(version.name, str(version.version), LOG, json.dumps(acts[-LONGEST_LOG:]))


def require_version(entry: Entry, version: str) -> Any:
    """The version; Conflict when it is gone."""
    found = entry.find(version)
    if found is None:
        there = ", ".join(f"v{found.version}" for found in reversed(entry.versions)) or "none"
        raise Conflict(f"model {entry.name} has no version {version}; there are: {there}")
    return found


def moment() -> str:
    """Now, as tags have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def next_anchor(interval: Interval | None, champion: Champion | None) -> str:
    """The last clearly better version up to this one: itself, where the interval says so or nothing came before it."""
    if champion is None or (interval is not None and interval.high < 0):
        return ITSELF
    return champion.anchor or champion.version
