"""What `evertune clean` would delete of a model, and why the rest stays. Nothing is changed here.

The unit is a retrain: its run and the trials under it, the models it logged, its version, its study and its report go
together, or not at all. What has no retrain of ours behind it is left alone, and a retrain whose model somebody else
registered, under whatever name, stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flows.keeping.uses import Use, read_uses
from tasks import baselines, remembering
from tasks.registry import ALIAS, CHALLENGER, PREVIOUS, Entry, read_entry
from tasks.registry.aliases import INTENT
from tasks.registry.versions import ANCHOR, IDENTITY, ITSELF, JUDGED_AGAINST, PENDING, quoted

if TYPE_CHECKING:
    from tasks.tracking import Tracker

SAFE_AGE = timedelta(days=1)
"""What is younger may belong to a retrain that is still under way, perhaps on a machine whose leases we cannot see."""
PAGE = 1000
ROLES = ((ALIAS, "champion"), (PREVIOUS, "previous champion"), (CHALLENGER, "waits for a person"))


@dataclass(frozen=True)
class Retention:
    """What may go: retrains beyond the `keep` newest that began before `before` (UTC; None: whenever they did)."""

    keep: int
    before: datetime | None = None


@dataclass(frozen=True)
class Retrain:
    """One retrain's run, and what hangs on it; `run` is None where a person deleted it for good and a version is left."""

    run: Any | None
    as_of: datetime
    started: datetime
    versions: tuple[Any, ...] = ()
    """What it registered, as MLflow has it."""
    logged: tuple[Any, ...] = ()
    """Models that it logged, registered or not."""

    @property
    def id(self) -> str:
        return str(self.run.info.run_id) if self.run is not None else ""

    @property
    def marked(self) -> bool:
        """Whether its run was deleted already, by hand or by a clean that was killed: MLflow only marks it."""
        return self.run is not None and self.run.info.lifecycle_stage == "deleted"

    @property
    def status(self) -> str:
        """As MLflow has it; empty for a run that is gone."""
        return str(self.run.info.status) if self.run is not None else ""

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.run.data.tags) if self.run is not None else {}

    @property
    def dry(self) -> bool:
        """Whether it was a dry run, which no later retrain reads."""
        return self.tags.get("evertune.kind") == "dry_run"

    @property
    def label(self) -> str:
        """`2024-04-30 v3 (run 1a2b3c4d)`."""
        versions = " dry run" if self.dry else "".join(f" v{version.version}" for version in self.versions)
        return f"{self.as_of:%Y-%m-%d}{versions} (run {self.id[:8] or 'gone'})"


@dataclass
class Plan:
    """What is to be done about one model."""

    name: str
    going: list[Retrain] = field(default_factory=list)
    staying: list[tuple[Retrain, str]] = field(default_factory=list)
    """With the reason."""
    orphans: list[Any] = field(default_factory=list)
    """Models that a retrain logged but never registered, where the retrain itself stays."""

    @property
    def studies(self) -> set[str]:
        """Names of the studies that only retrains which go have searched in."""
        kept = {retrain.tags.get(baselines.STUDY_TAG) for retrain, _ in self.staying}
        return {name for retrain in self.going if (name := retrain.tags.get(baselines.STUDY_TAG)) and name not in kept}


def plan_cleaning(tracker: Tracker, name: str, retention: Retention, now: datetime) -> Plan:
    """What goes and what stays of the model, the newest retrain first. `now` is UTC."""
    entry = read_entry(tracker, name)
    retrains = [retrain for retrain in _retrains(tracker, entry) if not _is_over(tracker, retrain)]
    uses = read_uses(tracker)
    reasons = _reasons(entry, retrains, uses, retention, now)
    plan = Plan(name)
    for place, retrain in enumerate(retrains):
        if (reason := reasons.get(place)) is None:
            plan.going.append(retrain)
        else:
            plan.staying.append((retrain, reason))
    for retrain, _ in plan.staying:
        unused = [model for model in retrain.logged if not any(use.names(model.model_id) for use in uses)]
        plan.orphans += [model for model in unused if _age(model, now) > SAFE_AGE]
    return plan


def retrained_models(tracker: Tracker) -> list[str]:
    """Every model that a retrain was for, whether or not it registered a version."""
    runs = _search_runs(tracker, "tags.`evertune.kind` = 'retrain'")
    return sorted({name for run in runs if (name := run.data.tags.get(remembering.MODEL_TAG))})


def children_of(tracker: Tracker, retrain: Retrain) -> list[Any]:
    """The trials under a retrain, deleted ones too."""
    return _search_runs(tracker, f"tags.`mlflow.parentRunId` = '{retrain.id}'") if retrain.run is not None else []


def _retrains(tracker: Tracker, entry: Entry) -> list[Retrain]:
    """Every retrain of the model, dry runs too, the newest as-of first, as later retrains sort them."""
    wanted = f"tags.`{remembering.MODEL_TAG}` = {quoted(entry.name)} and tags.`evertune.kind` = "
    runs = [run for kind in ("'retrain'", "'dry_run'") for run in _search_runs(tracker, wanted + kind)]
    logged: dict[str, list[Any]] = {}
    for model in _search_logged(tracker, {run.info.experiment_id for run in runs}):
        logged.setdefault(model.source_run_id, []).append(model)
    ours = [version for version in entry.versions if IDENTITY in version.tags]  # others were registered by hand
    found = []
    for run in runs:
        started = _instant(run.info.start_time)
        registered = tuple(version for version in ours if version.run_id == run.info.run_id)
        models = tuple(logged.get(run.info.run_id, ()))
        found.append(Retrain(run, _as_of(run.data.tags, started), started, registered, models))
    known = {run.info.run_id for run in runs}
    for version in ours:
        if version.run_id not in known:
            started = _instant(version.creation_timestamp)
            found.append(Retrain(None, _as_of(version.tags, started), started, (version,)))
    return sorted(found, key=lambda retrain: (retrain.as_of, retrain.started), reverse=True)


def can_erase(tracker: Tracker) -> bool:
    """Whether rows can be deleted for good: in a database, not through MLflow's server."""
    return not tracker.uri.startswith("http")


def _is_over(tracker: Tracker, retrain: Retrain) -> bool:
    """Whether all that we can do about it was done: a server keeps a deleted run until its own `mlflow gc`."""
    return retrain.marked and not (can_erase(tracker) or retrain.versions or retrain.logged)


def _reasons(entry: Entry, retrains: list[Retrain], uses: list[Use], retention: Retention, now: datetime) -> dict[int, str]:
    """Place in the list -> why it stays. The strongest reason is told."""
    reasons: dict[int, str] = {}
    roles = _roles(entry)
    for place, retrain in enumerate(retrains):
        for version in retrain.versions:
            if role := roles.get(str(version.version)):
                reasons.setdefault(place, role)
    # a version that was judged again rests on that run too
    decided = {version.tags.get("evertune.run_id"): version for version in entry.versions if str(version.version) in roles}
    for place, retrain in enumerate(retrains):
        if retrain.id and retrain.id in decided:
            reasons.setdefault(place, f"v{decided[retrain.id].version} was decided on here")
        if (use := next((use for use in uses if use.rests_on(retrain)), None)) is not None:
            reasons.setdefault(place, f"v{use.version} of {use.name} uses it")
    there = [(place, retrain) for place, retrain in enumerate(retrains) if retrain.run is not None and not retrain.marked]
    alive, dry = ([found for found in there if found[1].dry is wanted] for wanted in (False, True))
    for kind, found in (("", alive), (" dry runs", dry)):
        for place, _ in found[: retention.keep]:
            reasons.setdefault(place, f"among the {retention.keep} newest{kind}")
    for place, _ in alive[: baselines.MOST_READ]:
        reasons.setdefault(place, "the next retrains compare their data with its")
    searched = [place for place, retrain in alive if retrain.tags.get("evertune.tuning") == "ran" and retrain.status == "FINISHED"]
    for place in searched[: remembering.MOST_READ]:
        reasons.setdefault(place, "the next searches start from what it found")
    for place, retrain in there:
        if retrain.status == "RUNNING" and now - retrain.started < SAFE_AGE:
            reasons.setdefault(place, "may still be running")
        elif retention.before is not None and retrain.started >= retention.before:
            reasons.setdefault(place, f"began after {retention.before:%Y-%m-%d}")
    return reasons


def _roles(entry: Entry) -> dict[str, str]:
    """Version -> why it must not go."""
    roles: dict[str, str] = {}
    for alias, role in ROLES:
        if alias in entry.aliases:
            roles.setdefault(entry.aliases[alias], role)
    for alias, version in entry.aliases.items():
        roles.setdefault(version, f"has the alias {alias}")
    for version in entry.versions:
        if PENDING in version.tags:
            roles.setdefault(str(version.version), "waits for a person")
        if INTENT in version.tags or version is entry.last_recorded:
            roles.setdefault(str(version.version), "is being promoted")
    for number in list(roles):
        if (found := entry.find(number)) is None:
            continue
        if (anchor := found.tags.get(ANCHOR, ITSELF)) != ITSELF:
            roles.setdefault(anchor, f"v{number} is measured against it (its anchor)")
        if (found is entry.champion or PENDING in found.tags) and (against := found.tags.get(JUDGED_AGAINST)):
            roles.setdefault(against, f"v{number} was judged against it")
    return roles


def _search_runs(tracker: Tracker, wanted: str) -> list[Any]:
    """Runs of all experiments, deleted ones too."""
    from mlflow.entities import ViewType

    experiments = [found.experiment_id for found in tracker.client.search_experiments(ViewType.ALL, max_results=PAGE)]
    found: list[Any] = []
    token: str | None = None
    while token != "":
        page = tracker.client.search_runs(experiments, wanted, ViewType.ALL, max_results=PAGE, page_token=token)
        found += page
        token = page.token or ""
    return found


def _search_logged(tracker: Tracker, experiments: set[str]) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while token != "" and experiments:
        page = tracker.client.search_logged_models(sorted(experiments), max_results=PAGE, page_token=token)
        found += page
        token = page.token or ""
    return found


def _age(model: Any, now: datetime) -> timedelta:
    return now - _instant(model.creation_timestamp)


def _as_of(tags: dict[str, str], started: datetime) -> datetime:
    """Its as-of (UTC); when it started, where that is missing or no date."""
    try:
        told = datetime.fromisoformat(tags[baselines.AS_OF_TAG])
    except (KeyError, ValueError):
        return started
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
