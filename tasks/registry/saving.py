"""Saving a model: without pickle, with its signature, an input example, pinned requirements and its files' digests."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.models.model import Fitted
from tasks.registry.digesting import COMPILED, MANIFEST, file_digests, private_folder
from tasks.serving import answer, category_text, read_dates
from tasks.tracking import Run, signature

log = logging.getLogger("evertune")
EXAMPLE_FILE = "serving_input_example.json"
"""Where MLflow keeps the input example as the body of a request."""


def save_model(run: Run, fitted: Fitted, example: pd.DataFrame, name: str, metadata: dict[str, Any]) -> str:
    """Log the model with signature, input example and pinned requirements; returns its URI, models:/<id>.

    Saved without pickle: a models-from-code pyfunc around the family's native files and a JSON plan. Written here first and
    handed over step by step, each of which may be asked for again: MLflow's own log_model starts anew where one answer is lost.
    """
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    sample, client = to_serve(example, fitted), run.client
    with private_folder() as folder:
        code = fitted.save(folder)
        kind = "classifier" if fitted.target.classes else "regressor"
        logged = client.create_logged_model(run.tracker.experiment, name=name, source_run_id=run.id, model_type=kind)
        try:
            written = folder / "written"
            mlflow.pyfunc.save_model(
                written,
                mlflow_model=Model(
                    artifact_path=logged.artifact_location,
                    run_id=run.id,
                    model_uuid=logged.model_id,
                    model_id=logged.model_id,
                    metadata={**metadata, MANIFEST: _manifest(folder)},
                ),
                python_model=str(code),
                artifacts={"model": str(folder / "model")},
                signature=signature(sample, answer_of(fitted, sample)),
                input_example=sample.head(3),
                pip_requirements=_requirements(fitted),
            )
            client.log_outputs(run.id, [LoggedModelOutput(logged.model_id, step=0)])
            client.log_batch(run.id, metrics=_scores_of(run, logged.model_id))
            for file in sorted(path for path in written.rglob("*") if path.is_file() and COMPILED not in path.parts):
                place = str(file.parent.relative_to(written))
                client.log_model_artifact(logged.model_id, str(file), None if place == "." else place)
            client.finalize_logged_model(logged.model_id, "READY")
        except BaseException:
            _give_up(run, logged.model_id)
            raise
    return f"models:/{logged.model_id}"


def _scores_of(run: Run, model_id: str) -> list[Any]:
    """What was measured so far, the same points again: MLflow shows them beside the model too."""
    from mlflow.entities import Metric

    points = [Metric.from_proto(told) for told in run.client.get_run(run.id).data.to_proto().metrics]
    return [Metric(one.key, one.value, one.timestamp, one.step, model_id=model_id, run_id=run.id) for one in points if one.step == 0]


def _give_up(run: Run, model_id: str) -> None:
    """Let it not be said to be pending for ever."""
    try:
        run.at_once.client.finalize_logged_model(model_id, "FAILED")
    except Exception as error:
        log.error("MLflow's model %s could not be ended as FAILED (%s); it is no version's, and is said to be pending", model_id, error)


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


def _manifest(folder: Path) -> dict[str, str]:
    """Digests of what we wrote, by the paths that MLflow gives it: the folder `model` becomes an artifact of that name."""
    return {f"artifacts/{path}" if path.startswith("model/") else path: digest for path, digest in file_digests(folder).items()}


def _requirements(fitted: Fitted) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("mlflow", *fitted.model.needs)]


def _text(value: Any) -> str | None:
    return None if value is None else category_text(value)
