"""Plans: how raw columns become a matrix, learned from training rows and carried out by `tasks.serving`."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from tasks.records import Floats
from tasks.serving import apply_plan, category_text, feature_names
from tasks.settings import ColumnKind, DatePart

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
            native = apply_plan(self.plan_, frame)
            self.plan_ |= {"encoding": "dense", "dense": [self._scale(k, native[:, k]) for k in range(native.shape[1])]}
        return self

    def transform(self, frame: pd.DataFrame) -> Floats:
        return np.asarray(apply_plan(self.plan_, frame), dtype=np.float64)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the native columns, in order."""
        return tuple(feature_names(self.plan_))

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the native columns that hold category codes."""
        kinds = {column["name"]: column["kind"] for column in self.plan_["columns"]}
        return tuple(k for k, name in enumerate(self.names) if kinds.get(name) == "category")

    def _describe(self, name: str, kind: ColumnKind, values: pd.Series) -> dict[str, Any]:
        if kind == "category":
            return {"name": name, "kind": kind, "values": self._frequent(values)}
        if kind == "date":
            return {"name": name, "kind": kind, "parts": list(self.date_parts)}
        return {"name": name, "kind": "number"}

    def _frequent(self, values: pd.Series) -> list[str]:
        """Categories with at least `rare` rows, the most frequent first, ties by name."""
        codes, distinct = pd.factorize(values)
        counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
        kept = sorted((-int(count), category_text(value)) for value, count in zip(distinct, counts, strict=True) if count >= self.rare)
        return [text for _, text in kept[: self.keep]]

    def _scale(self, position: int, values: Floats) -> dict[str, Any]:
        flag = bool(np.isnan(values).any())
        if position in self.categorical:
            column = next(c for c in self.plan_["columns"] if c["name"] == self.names[position])
            return {"width": len(column["values"]) + 1, "flag": flag}
        known = values[~np.isnan(values)]
        median = float(np.median(known)) if len(known) else 0.0
        filled = np.where(np.isnan(values), median, values)
        scale = float(filled.std())
        return {"median": median, "mean": float(filled.mean()), "scale": scale if scale > 0 else 1.0, "flag": flag}
