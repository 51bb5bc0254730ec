"""The model registry: the only file that reads and writes registered versions and the alias `champion`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.errors import Conflict, ServiceUnavailable, TrainingFailed
from tasks.models.model import Fitted
from tasks.records import Champion, Floats, Target
from tasks.serving import answer, category_text, read_dates
from tasks.targets import align
from tasks.tracking import Run, Tracker, signature

ALIAS = "champion"
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


def find_version(tracker: Tracker, name: str, identity: str) -> str | None:
    """The version that a retrain of the same identity registered, if it got that far."""
    return next(
        (str(version.version) for version in _versions(tracker, name)[1] if version.tags.get("evertune.identity") == identity), None
    )


def champion_predictor(champion: Champion, target: Target) -> Callable[[pd.DataFrame], Floats]:
    """The champion's own prediction from raw columns, over the target's classes of today; loads it when asked.

    Raises whatever loading raises, ValueError when it answers another task.
    """

    def predict(frame: pd.DataFrame) -> Floats:
        import mlflow.pyfunc

        served = mlflow.pyfunc.load_model(champion.uri).unwrap_python_model()
        return align(np.asarray(served.raw(frame), dtype=np.float64), served.plan["classes"], target)

    return predict


def save_model(run: Run, fitted: Fitted, example: pd.DataFrame, name: str, metadata: dict[str, Any]) -> str:
    """Log the model with signature, input example and pinned requirements; returns its URI, models:/<id>.

    Saved without pickle: a models-from-code pyfunc around the family's native files and a JSON plan.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    sample = to_serve(example, fitted)
    with tempfile.TemporaryDirectory() as folder:
        code = fitted.save(Path(folder))
        logged = run.client.create_logged_model(
            run.tracker.experiment, name=name, source_run_id=run.id, model_type="classifier" if fitted.target.classes else "regressor"
        )
        Model.log(
            artifact_path=None,
            name=None,
            flavor=mlflow.pyfunc,
            run_id=run.id,
            model_id=logged.model_id,
            python_model=str(code),
            artifacts={"model": str(Path(folder) / "model")},
            signature=signature(sample, answer_of(fitted, sample)),
            input_example=sample.head(3),
            pip_requirements=_requirements(fitted),
            metadata=metadata,
        )
    return f"models:/{logged.model_id}"


def to_serve(frame: pd.DataFrame, fitted: Fitted) -> pd.DataFrame:
    """Raw feature columns as the signature has them: numbers as float64 (MLflow refuses an int column that got a NaN),
    categories as text, dates without a zone (in UTC)."""
    columns = {}
    for column in fitted.plan["columns"]:
        values = frame[column["name"]]
        if column["kind"] == "number":
            columns[column["name"]] = pd.to_numeric(values, errors="coerce").astype("float64")
        elif column["kind"] == "date":
            columns[column["name"]] = read_dates(values).dt.tz_localize(None)
        else:
            columns[column["name"]] = values.astype(object).where(values.notna(), None).map(_text)
    return pd.DataFrame(columns, index=frame.index)


def answer_of(fitted: Fitted, frame: pd.DataFrame) -> pd.DataFrame:
    """What the served model will answer to these rows."""
    return answer(fitted.plan, fitted.predict(frame))


def prove_it_answers(uri: str, fitted: Fitted, example: pd.DataFrame) -> None:
    """Load the logged model back and ask it: same rows, same answers. Raises TrainingFailed when it does not."""
    import mlflow.pyfunc

    sample = to_serve(example, fitted)
    expected = answer_of(fitted, sample)
    try:
        answered = mlflow.pyfunc.load_model(uri).predict(sample)
    except Exception as error:  # whatever a library raises, the model cannot be served
        raise TrainingFailed(f"the logged model {uri} does not answer: {type(error).__name__}: {error}") from error
    numbers = expected.select_dtypes("number").columns
    if not np.allclose(answered[numbers], expected[numbers], rtol=1e-6, atol=1e-9):
        raise TrainingFailed(f"the logged model {uri} answers otherwise than the one that was trained; it was not registered")


def register(tracker: Tracker, name: str, uri: str, run_id: str, tags: dict[str, Any], identity: str) -> str:
    """A version for this identity: the one that is there already, else a new one."""
    from mlflow.exceptions import MlflowException

    known = find_version(tracker, name, identity)
    if known is not None:
        return known
    try:
        tracker.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    every = {key: str(value) for key, value in {**tags, "evertune.identity": identity}.items()}
    return str(tracker.client.create_model_version(name, uri, run_id=run_id, tags=every, model_id=uri.removeprefix("models:/")).version)


def promote(tracker: Tracker, name: str, version: str, before: Champion | None) -> None:
    """Point the alias at the version: the one commit point. Raises Conflict when somebody moved it since `before` was read."""
    now = current_version(tracker, name)
    if now != (before.version if before else None) and now != version:
        raise Conflict(
            f"the champion of {name} moved from v{before.version if before else '-'} to v{now} during this run; the alias was left alone"
        )
    tracker.client.set_registered_model_alias(name, ALIAS, version)
    tracker.client.set_model_version_tag(name, version, "evertune.promoted", datetime.now(UTC).isoformat(timespec="seconds"))


def current_version(tracker: Tracker, name: str) -> str | None:
    """The version that the alias points at now."""
    return _versions(tracker, name)[0]


def _versions(tracker: Tracker, name: str) -> tuple[str | None, list[Any]]:
    """The version that the alias points at, and every version, the newest first."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = tracker.client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None, []
        raise
    found = tracker.client.search_model_versions(f"name = '{name}'", max_results=10_000)
    live = aliases.get(ALIAS)
    return None if live is None else str(live), sorted(found, key=lambda version: -int(version.version))


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


def _requirements(fitted: Fitted) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("mlflow", *fitted.model.needs)]


def _text(value: Any) -> str | None:
    return None if value is None else category_text(value)
