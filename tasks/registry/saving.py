"""Saving a model: without pickle, with its signature, an input example, pinned requirements and its files' digests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.models.model import Fitted
from tasks.registry.digesting import MANIFEST, file_digests
from tasks.serving import answer, category_text, read_dates
from tasks.tracking import Run, signature

EXAMPLE_FILE = "serving_input_example.json"
"""Where MLflow keeps the input example as the body of a request."""


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
            metadata={**metadata, MANIFEST: _manifest(Path(folder))},
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


def _manifest(folder: Path) -> dict[str, str]:
    """Digests of what we wrote, by the paths that MLflow gives it: the folder `model` becomes an artifact of that name."""
    return {f"artifacts/{path}" if path.startswith("model/") else path: digest for path, digest in file_digests(folder).items()}


def _requirements(fitted: Fitted) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("mlflow", *fitted.model.needs)]


def _text(value: Any) -> str | None:
    return None if value is None else category_text(value)
