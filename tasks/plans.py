"""Plans: how raw columns become a matrix, learned from training rows and carried out by `tasks.serving`."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from tasks.records import Columns, Floats
from tasks.serving import apply_plan, category_text, native_columns, native_names
from tasks.settings import ColumnKind, DatePart, FeatureSettings

Encoding = Literal["native", "dense"]


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn transformer whose whole fitted state is `plan_`, plain JSON that `tasks.serving.apply_plan` carries out.

    fit: frame (rows, raw columns) -> self. transform: frame -> float64 (rows, features).
    """

    def __init__(self, kinds: dict[str, ColumnKind], encoding: Encoding, rare: int, keep: int, date_parts: tuple[DatePart, ...]) -> None:
        self.kinds = kinds
        self.encoding = encoding
        self.rare = rare
        self.keep = keep
        self.date_parts = date_parts

    def fit(self, frame: pd.DataFrame, target: Any = None) -> Self:
        """Learn categories, and under the dense encoding medians, means and scales, from these rows alone."""
        columns = [self._describe(name, kind, frame[name]) for name, kind in self.kinds.items()]
        self.plan_: dict[str, Any] = {"format": 1, "encoding": "native", "columns": columns}
        if self.encoding == "dense":
            natives = zip(_sources(self.plan_), native_columns(self.plan_, frame), strict=True)
            self.plan_ |= {"encoding": "dense", "dense": [_dense(column, numbers) for column, numbers in natives]}
        return self

    def transform(self, frame: pd.DataFrame) -> Floats:
        return apply_plan(self.plan_, frame)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the matrix's columns, in order; a category's under the dense encoding are such as `carrier=AA`."""
        native = native_names(self.plan_)
        if self.encoding == "native":
            return tuple(native)
        names: list[str] = []
        for name, column, dense in zip(native, _sources(self.plan_), self.plan_["dense"], strict=True):
            names += [f"{name}={value}" for value in (*column["values"], "(other)")] if column["kind"] == "category" else [name]
            names += [f"{name} missing"] * dense["flag"]
        return tuple(names)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the matrix's columns that hold category codes; the dense encoding has none."""
        if self.encoding == "dense":
            return ()
        return tuple(k for k, column in enumerate(_sources(self.plan_)) if column["kind"] == "category")

    def _describe(self, name: str, kind: ColumnKind, values: pd.Series) -> dict[str, Any]:
        if kind == "category":
            return {"name": name, "kind": kind, "values": self._frequent(values)}
        if kind == "date":
            return {"name": name, "kind": kind, "parts": list(self.date_parts)}
        return {"name": name, "kind": "number"}

    def _frequent(self, values: pd.Series) -> list[str]:
        """Categories with at least `rare` rows, the most frequent first, ties by name."""
        codes, distinct = pd.factorize(values)
        counts: dict[str, int] = {}
        for value, count in zip(distinct, np.bincount(codes[codes >= 0], minlength=len(distinct)), strict=True):
            text = category_text(value)
            counts[text] = counts.get(text, 0) + int(count)  # 7 and "7" in one column are one category
        kept = sorted((-count, text) for text, count in counts.items() if count >= self.rare)
        return [text for _, text in kept[: self.keep]]


def plan_features(columns: Columns, settings: FeatureSettings, encoding: Encoding) -> Features:
    """The unfitted transformer for these columns; `encoding` is what the model family reads.

    native keeps categories as positions and missing values as NaN (trees), dense has one column a category and imputed,
    scaled numbers (linear models, networks).
    """
    kinds = {name: kind for name, kind in columns.features.items() if name not in settings.left_out}
    if columns.time is not None and settings.expand_time and columns.time not in settings.left_out:
        kinds[columns.time] = "date"
    return Features(kinds, encoding, settings.rare, settings.keep, settings.date_parts)


def _sources(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The raw column that each native column comes from: a date several times, every other once."""
    return [column for column in plan["columns"] for _ in column.get("parts", [column])]


def _dense(column: dict[str, Any], numbers: Floats) -> dict[str, Any]:
    """How a native column becomes dense ones: a category's width, or a number's median, mean and scale (1 for a constant).

    Reckoned in extended precision, where sums and squares of the largest floats are still finite.
    """
    missing = np.isnan(numbers)
    flag = bool(missing.any())
    if column["kind"] == "category":
        return {"width": len(column["values"]) + 1, "flag": flag}
    exact = numbers.astype(np.longdouble)
    median = np.median(exact[~missing]) if not missing.all() else np.longdouble(0)
    exact[missing] = median
    constant = not len(exact) or exact.min() == exact.max()  # whose standard deviation may come out as a rounding error
    scale = 1.0 if constant else float(exact.std()) or 1.0
    return {"median": float(median), "mean": float(exact.mean()) if len(exact) else 0.0, "scale": scale, "flag": flag}
