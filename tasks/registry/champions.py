"""The champion: the version that is live, the one that a retrain may know, and its own predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tasks.errors import Conflict, ServiceUnavailable
from tasks.records import Champion, Floats, Target
from tasks.registry.versions import ALIAS, _versions
from tasks.targets import align
from tasks.tracking import Tracker

SETTINGS_FILE = "recipe.json"


@dataclass(frozen=True)
class Prior:
    """What the registry says before a retrain: `champion` to start from, and `later`, the live one if it is from the future."""

    champion: Champion | None
    later: Champion | None = None


def find_prior(tracker: Tracker, name: str, cut: datetime | None) -> Prior:
    """The champion as far as a retrain at `cut` may know it: a version trained through a later date is never seen.

    Raises Conflict when versions were promoted before but the alias is gone.
    """
    live, versions = _versions(tracker, name)
    promoted = [
        _champion(version, str(version.version) == live)
        for version in versions
        if "evertune.promoted" in version.tags or str(version.version) == live
    ]
    current = next((champion for champion in promoted if champion.live), None)
    if promoted and current is None:
        raise Conflict(
            f"model {name} has promoted versions (the newest is v{promoted[0].version}) but no alias {ALIAS!r}; "
            "point it at one of them on the model's page in MLflow, then run again"
        )
    if current is None or _before(current, cut):
        return Prior(current and _with_settings(tracker, current))
    known = [champion for champion in promoted if _before(champion, cut)]
    newest = max(known, key=lambda champion: (champion.trained_through, int(champion.version)), default=None)
    return Prior(newest and _with_settings(tracker, newest), later=current)


def _before(champion: Champion, cut: datetime | None) -> bool:
    return cut is None or champion.trained_through is None or champion.trained_through < cut


def champion_predictor(champion: Champion, target: Target) -> Callable[[pd.DataFrame], Floats]:
    """The champion's own prediction from raw columns, over the target's classes of today; loads it when asked.

    Raises whatever loading raises, ValueError when it answers another task.
    """

    def predict(frame: pd.DataFrame) -> Floats:
        import mlflow.pyfunc

        served = mlflow.pyfunc.load_model(champion.uri).unwrap_python_model()
        return align(np.asarray(served.raw(frame), dtype=np.float64), served.plan["classes"], target)

    return predict


def _champion(version: Any, live: bool) -> Champion:
    tags = version.tags
    through = tags.get("evertune.trained_through")
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
    )


def _with_settings(tracker: Tracker, champion: Champion) -> Champion:
    """With the hyperparameters from its run's JSON. Raises Conflict when that is gone."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        settings = mlflow.artifacts.load_dict(f"runs:/{champion.run_id}/{SETTINGS_FILE}")
    except (MlflowException, OSError) as error:
        if not isinstance(error, FileNotFoundError) and "No such" not in str(error) and "not found" not in str(error).lower():
            raise ServiceUnavailable(
                f"the settings of champion v{champion.version} cannot be read: {str(error).splitlines()[0]}"
            ) from error
        raise Conflict(
            f"champion v{champion.version} of {champion.name}: its run {champion.run_id} or the run's {SETTINGS_FILE} is gone "
            f"({str(error).splitlines()[0]}); point the alias {ALIAS!r} at another version"
        ) from error
    return replace(champion, hyperparameters=settings["hyperparameters"], settings=settings)
