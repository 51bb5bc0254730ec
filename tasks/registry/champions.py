"""The champion: the version that is live, the one that a retrain may know, and its own predictions."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.errors import Conflict, ServiceUnavailable
from tasks.records import Champion, Floats, Target
from tasks.registry.digesting import load_verified
from tasks.registry.versions import ALIAS, ANCHOR, DIGEST, ITSELF, JUDGED_AGAINST, PROMOTED, TARGET, Entry, read_entry
from tasks.targets import align
from tasks.tracking import Tracker

SETTINGS_FILE = "recipe.json"
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Prior:
    """What the registry says before a retrain: `champion` to start from, and `later`, the live one if it is from the future."""

    champion: Champion | None
    later: Champion | None = None


def find_prior(tracker: Tracker, name: str, cut: datetime | None, target: str | None = None) -> Prior:
    """The champion as far as a retrain at `cut` may know it: a version trained through a later date is never seen.

    `target` is the column that this retrain predicts. Raises Conflict when there was a champion but the alias is gone, when
    it predicts another column, and when its settings are gone: none of these is "there is no champion".
    """
    entry = read_entry(tracker, name)
    live = entry.champion
    _refuse_lost_alias(entry)
    if live is None:
        return Prior(None)
    _refuse_other_target(live, target)
    current = _champion(live, True)
    if _before(current, cut):
        return Prior(_with_settings(tracker, current))
    promoted = [_champion(version, version is live) for version in entry.versions if PROMOTED in version.tags or version is live]
    known = [champion for champion in promoted if _before(champion, cut)]
    newest = max(known, key=_age_order, default=None)
    return Prior(newest and _with_settings(tracker, newest), later=current)


def champion_at(tracker: Tracker, name: str, version: str) -> Champion | None:
    """A past version with its settings, whether or not it is live; None when it, or they, are gone. Raises ServiceUnavailable."""
    entry = read_entry(tracker, name)
    found = entry.find(version)
    if found is None:
        return None
    try:
        return _with_settings(tracker, _champion(found, found is entry.champion))
    except Conflict as error:
        log.warning("v%s of %s is left out of the comparison: %s", version, name, error)
        return None


def champion_predictor(champion: Champion, target: Target) -> Callable[[pd.DataFrame], Floats]:
    """The champion's own prediction from raw columns, over the target's classes of today; loads it when asked.

    Its files are checked against the digest that was registered before anything is loaded. Raises Conflict when they are
    others, whatever loading raises, ValueError when it answers another task or needs columns that the data lacks.
    """

    def predict(frame: pd.DataFrame) -> Floats:
        served = load_verified(champion.uri, champion.digest)
        return align(np.asarray(served.raw(frame), dtype=np.float64), served.plan["classes"], target)

    return predict


def _refuse_lost_alias(entry: Entry) -> None:
    """There was a champion once, by the tags of whatever versions are left, and the alias is gone or points nowhere."""
    if entry.champion is not None:
        return
    promoted = [str(version.version) for version in entry.versions if PROMOTED in version.tags]
    against = [before for version in entry.versions if (before := version.tags.get(JUDGED_AGAINST))]
    pointed = entry.aliases.get(ALIAS)
    if not (promoted or against or pointed):
        return
    what = f"was promoted before (the newest is v{promoted[0]})" if promoted else f"had a champion, v{pointed or against[0]}, which is gone"
    raise Conflict(
        f"model {entry.name} {what}, but no alias {ALIAS!r} points at a version; "
        f"make one the champion (evertune history {entry.name}; evertune promote {entry.name} VERSION), then run again"
    )


def _refuse_other_target(live: Any, target: str | None) -> None:
    theirs = live.tags.get(TARGET)
    if target is not None and theirs is not None and theirs != target:
        raise Conflict(
            f"champion v{live.version} of {live.name} predicts {theirs}, this retrain {target}: they cannot be compared, and whoever asks "
            f"{live.name} expects {theirs}; give the new model a name of its own (registry.model)"
        )


def _age_order(champion: Champion) -> tuple[bool, datetime, int]:
    """The newest is last; versions of before the model had a time column come first, in the order of their numbers."""
    through = champion.trained_through
    return through is not None, through or datetime.min.replace(tzinfo=UTC), int(champion.version)


def _before(champion: Champion, cut: datetime | None) -> bool:
    return cut is None or champion.trained_through is None or champion.trained_through < cut


def _champion(version: Any, live: bool) -> Champion:
    tags = version.tags
    through, anchor = tags.get("evertune.trained_through"), tags.get(ANCHOR, ITSELF)
    return Champion(
        name=version.name,
        version=str(version.version),
        uri=version.source,
        run_id=version.run_id or "",
        trained_through=datetime.fromisoformat(through) if through else None,
        config_digest=tags.get("evertune.config_digest", ""),
        data_digest=tags.get("evertune.data_digest", ""),
        sides=tags.get("evertune.sides", ""),
        family=tags.get("evertune.family", ""),
        hyperparameters={},
        settings={},
        live=live,
        anchor=str(version.version) if anchor == ITSELF else anchor,
        digest=tags.get(DIGEST, ""),
    )


def _with_settings(tracker: Tracker, champion: Champion) -> Champion:
    """With the hyperparameters from its run's JSON. Raises Conflict when that is gone or damaged, ServiceUnavailable."""
    remedy = f"make another version the champion (evertune rollback {champion.name}), or retrain under another name"
    if not champion.run_id:
        raise Conflict(f"v{champion.version} of {champion.name} was not registered by a retrain, so its settings are not known; {remedy}")
    where = f"v{champion.version} of {champion.name}: the {SETTINGS_FILE} of its run {champion.run_id}"
    text = _read_settings(tracker, champion.run_id, where)
    if text is None:
        raise Conflict(f"{where} is gone; {remedy}")
    try:
        settings = json.loads(text)
        return replace(champion, hyperparameters=dict(settings["hyperparameters"]), settings=settings)
    except (KeyError, TypeError, ValueError) as error:
        raise Conflict(f"{where} is damaged ({type(error).__name__}: {error}); {remedy}") from error


def _read_settings(tracker: Tracker, run_id: str, where: str) -> bytes | None:
    """The file as it is; None when it, or the run, is gone. Raises ServiceUnavailable when nobody can tell."""
    from mlflow.exceptions import MlflowException

    try:
        if all(file.path != SETTINGS_FILE for file in tracker.client.list_artifacts(run_id)):
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(tracker.client.download_artifacts(run_id, SETTINGS_FILE, folder)).read_bytes()
    except (MlflowException, OSError) as error:
        if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        said = str(error).partition("\n")[0]
        raise ServiceUnavailable(f"{where} cannot be read: {said}; run again once MLflow's artifact store is back") from error
