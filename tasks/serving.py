"""What a registered model carries with it: raw columns -> matrix -> answer, and nothing of Evertune's.

This file's text is copied into every model artifact, followed by the family's `load_native`, so a model loads
wherever numpy, pandas, mlflow and its family's library are. It therefore imports nothing from this project, and
training uses the very same `apply_plan`: what is served is what was trained.

A plan is plain JSON:
    {"format": 1, "task": ..., "classes": [...], "encoding": "native" | "dense", "columns": [column, ...]}
and a column is one of
    {"name", "kind": "number"}                                    -> one number
    {"name", "kind": "category", "values": [...]}                 -> its position; unseen and rare ones share the next one
    {"name", "kind": "date", "parts": [...]}                      -> one number a part, in UTC
Missing values, infinite ones among them, stay NaN under the native encoding; trees handle them themselves. Under the
dense one, "dense" says for each of these native columns how many columns it becomes: a category one a value, a number
one, imputed and scaled; and one more that flags missing values, if training rows had any.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

FARTHEST = 1e30
"""Scaled numbers are cut here, within what a float32 holds: scikit-learn's trees refuse what is larger."""


def apply_plan(plan: dict[str, Any], frame: pd.DataFrame) -> np.ndarray:
    """Raw columns, found by name in whatever order -> float64 matrix of shape (rows, features).

    Filled column by column, so that it takes hardly more memory than the result.
    Raises ValueError that names every column the frame lacks.
    """
    lacking = [column["name"] for column in plan["columns"] if column["name"] not in frame]
    if lacking:
        raise ValueError(f"the model needs columns that the data lacks: {', '.join(lacking)}")
    dense = plan["dense"] if plan["encoding"] == "dense" else [None] * len(native_names(plan))
    widths = [1 if scaling is None else scaling.get("width", 1) + scaling["flag"] for scaling in dense]
    matrix, start = np.zeros((len(frame), sum(widths))), 0
    for values, scaling, width in zip(native_columns(plan, frame), dense, widths, strict=True):
        block = matrix[:, start : start + width]
        if scaling is None:
            block[:, 0] = values
        else:
            _densify(block, values, scaling)
        start += width
    return matrix


def native_names(plan: dict[str, Any]) -> list[str]:
    """Names of the native columns, in their order."""
    names: list[str] = []
    for column in plan["columns"]:
        names += [f"{column['name']}_{part}" for part in column["parts"]] if column["kind"] == "date" else [column["name"]]
    return names


def native_columns(plan: dict[str, Any], frame: pd.DataFrame) -> Iterator[np.ndarray]:
    """The native columns one after the other, float64 of shape (rows,) each."""
    for column in plan["columns"]:
        values = frame[column["name"]]
        if column["kind"] == "date":
            times = read_dates(values)
            for part in column["parts"]:
                yield np.asarray(_PARTS[part](times), dtype=np.float64)
        else:
            yield _category(column["values"], values) if column["kind"] == "category" else _number(values)


def _number(values: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _category(known: list[str], values: pd.Series) -> np.ndarray:
    codes, distinct = pd.factorize(values)
    found = pd.Index(known, dtype=object).get_indexer(pd.Index([category_text(value) for value in distinct], dtype=object))
    positions = np.append(np.where(found < 0, len(known), found), np.nan)  # a missing value has code -1
    return np.asarray(positions[codes])


def category_text(value: Any) -> str:
    """A category as text: the same for 7, 7.0 and "7", so that a column of numbers that got a NaN keeps its categories."""
    if isinstance(value, Decimal):
        value = float(value)
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value) if whole else value)


def read_dates(values: pd.Series) -> pd.Series:
    """Datetimes, dates or ISO 8601 text -> UTC, where values without a zone are taken to be; NaT for all else."""
    if pd.api.types.is_numeric_dtype(values.dtype):  # seconds, milliseconds and nanoseconds look alike
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    return pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")


_PARTS: dict[str, Any] = {
    "year": lambda times: times.dt.year,
    "month": lambda times: times.dt.month,
    "day": lambda times: times.dt.day,
    "weekday": lambda times: times.dt.day_of_week,
    "hour": lambda times: times.dt.hour,
    "minute": lambda times: times.dt.minute,
    "day_of_year": lambda times: times.dt.day_of_year,
    "age": lambda times: (times - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds() / 86_400,
}


def _densify(block: np.ndarray, values: np.ndarray, scaling: dict[str, Any]) -> None:
    """Fill the columns that one native column becomes; `block` holds zeros."""
    missing = np.isnan(values)
    if "width" in scaling:
        rows = np.flatnonzero(~missing)
        block[rows, values[rows].astype(np.int64)] = 1.0
    else:
        filled = np.where(missing, scaling["median"], values)
        with np.errstate(over="ignore"):
            block[:, 0] = np.clip((filled - scaling["mean"]) / scaling["scale"], -FARTHEST, FARTHEST)
    if scaling["flag"]:
        block[:, -1] = missing


def answer(plan: dict[str, Any], raw: np.ndarray) -> pd.DataFrame:
    """A model's raw prediction -> `prediction`, and for classes one `probability_<class>` each."""
    classes = plan["classes"]
    if not classes:
        return pd.DataFrame({"prediction": raw})
    probabilities = np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw
    chosen = (raw >= 0.5).astype(np.int64) if raw.ndim == 1 else raw.argmax(axis=1)
    columns = {f"probability_{name}": probabilities[:, k] for k, name in enumerate(classes)}
    return pd.DataFrame({"prediction": pd.Series(classes).take(chosen).reset_index(drop=True), **columns})


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
            matrix = apply_plan(self.plan, frame)
            if not len(matrix):  # no library answers to no rows
                return np.empty((0, len(self.plan["classes"])) if self.plan["task"] == "multiclass" else 0)
            return np.asarray(self.native(matrix))

        def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
            return answer(self.plan, self.raw(model_input))

    return ServedModel()
