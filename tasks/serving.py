"""What a registered model carries with it: raw columns -> matrix -> answer, and nothing of Evertune's.

This file's text is copied into every model artifact, followed by the family's `load_native`, so a model loads
wherever numpy, pandas, mlflow and its family's library are. It therefore imports nothing from this project, and
training uses the very same `apply_plan`: what is served is what was trained.

A plan is plain JSON:
    {"format": 1, "task": ..., "classes": [...], "encoding": "native" | "dense", "columns": [column, ...]}
and a column is one of
    {"name", "kind": "number"}                                    -> one number (dense: imputed, scaled, + missing flag)
    {"name", "kind": "category", "values": [...]}                 -> its position; unseen and rare ones share the next one
    {"name", "kind": "date", "parts": [...]}                      -> one number a part, in UTC
Missing values stay NaN under the native encoding; trees handle them themselves.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pandas as pd


def apply_plan(plan: dict[str, Any], frame: pd.DataFrame) -> np.ndarray:
    """Raw columns, found by name in whatever order -> float64 matrix of shape (rows, features).

    Raises ValueError that names every column the frame lacks.
    """
    missing = [column["name"] for column in plan["columns"] if column["name"] not in frame]
    if missing:
        raise ValueError(f"the model needs columns that the data lacks: {', '.join(missing)}")
    blocks = [_APPLY[column["kind"]](column, frame[column["name"]]) for column in plan["columns"]]
    native = np.column_stack(blocks) if blocks else np.empty((len(frame), 0))
    return native if plan["encoding"] == "native" else _densify(plan, native)


def feature_names(plan: dict[str, Any]) -> list[str]:
    """Names of the native columns of `apply_plan`, in their order."""
    names: list[str] = []
    for column in plan["columns"]:
        names += [f"{column['name']}_{part}" for part in column["parts"]] if column["kind"] == "date" else [column["name"]]
    return names


def _number(column: dict[str, Any], values: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)[:, None]


def _category(column: dict[str, Any], values: pd.Series) -> np.ndarray:
    codes, distinct = pd.factorize(values)
    known = pd.Index(column["values"], dtype=object).get_indexer(pd.Index([category_text(value) for value in distinct], dtype=object))
    positions = np.append(np.where(known < 0, len(column["values"]), known), np.nan)  # a missing value has code -1
    return positions[codes][:, None]


def category_text(value: Any) -> str:
    """A category as text: the same for 7, 7.0 and "7", so that a column of numbers that got a NaN keeps its categories."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _date(column: dict[str, Any], values: pd.Series) -> np.ndarray:
    times = pd.to_datetime(values, utc=True, errors="coerce")
    return np.column_stack([np.asarray(_PARTS[part](times), dtype=np.float64) for part in column["parts"]])


_PARTS: dict[str, Any] = {
    "year": lambda times: times.dt.year,
    "month": lambda times: times.dt.month,
    "day": lambda times: times.dt.day,
    "weekday": lambda times: times.dt.weekday,
    "hour": lambda times: times.dt.hour,
    "minute": lambda times: times.dt.minute,
    "day_of_year": lambda times: times.dt.dayofyear,
    "age": lambda times: (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1),
}
_APPLY: dict[str, Any] = {"number": _number, "category": _category, "date": _date}


def _densify(plan: dict[str, Any], native: np.ndarray) -> np.ndarray:
    """Categories to one column a value, numbers imputed with the training median and scaled, a flag where one was missing."""
    blocks: list[np.ndarray] = []
    for values, dense in zip(native.T, plan["dense"], strict=True):
        missing = np.isnan(values)
        if "width" in dense:
            block = np.zeros((len(values), dense["width"]))
            rows = np.flatnonzero(~missing)
            block[rows, values[rows].astype(int)] = 1.0
            blocks.append(block)
        else:
            filled = np.where(missing, dense["median"], values)
            blocks.append(((filled - dense["mean"]) / dense["scale"])[:, None])
        if dense["flag"]:
            blocks.append(missing.astype(np.float64)[:, None])
    return np.column_stack(blocks) if blocks else np.empty((len(native), 0))


def answer(plan: dict[str, Any], raw: np.ndarray) -> pd.DataFrame:
    """A model's raw prediction -> `prediction`, and for classes one `probability_<class>` each."""
    classes = plan["classes"]
    if not classes:
        return pd.DataFrame({"prediction": raw})
    probabilities = np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw
    chosen = [classes[k] for k in probabilities.argmax(axis=1)]
    columns = {f"probability_{name}": probabilities[:, k] for k, name in enumerate(classes)}
    return pd.DataFrame({"prediction": pd.Series(chosen, dtype=np.asarray(classes).dtype if chosen else object), **columns})


def served_model(load_native: Any) -> Any:
    """The pyfunc model: `load_native(folder)` gives the function from matrix to raw prediction."""
    from mlflow.pyfunc import PythonModel

    class ServedModel(PythonModel):  # type: ignore[misc]
        def load_context(self, context: Any) -> None:
            folder = context.artifacts["model"]
            with open(os.path.join(folder, "plan.json"), encoding="utf-8") as file:
                self.plan = json.load(file)
            self.native = load_native(folder)

        def raw(self, frame: pd.DataFrame) -> np.ndarray:
            """Probabilities or values, in the shape that metrics take."""
            return np.asarray(self.native(apply_plan(self.plan, frame)))

        def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
            return answer(self.plan, self.raw(model_input))

    return ServedModel()
