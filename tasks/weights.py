"""Weights: how much each training row counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.errors import DataRejected
from tasks.records import Columns, Floats
from tasks.settings import WeightSettings


def weigh(settings: WeightSettings, frame: pd.DataFrame, truth: Floats, columns: Columns) -> Floats | None:
    """Weights of training rows, float64 of shape (rows,), mean 1; None when every row counts the same.

    They multiply: the column's own, 0.5 ** (age / half-life) with the age against the newest of these rows, and the
    inverse of the class's share. Raises DataRejected for a weight that is missing, infinite or not above 0.
    """
    if settings.column is None and settings.half_life is None and not settings.balance:
        return None
    weights = np.ones(len(frame))
    if settings.column is not None:
        given = pd.to_numeric(frame[settings.column], errors="coerce").to_numpy(dtype=np.float64)
        wrong = ~(np.isfinite(given) & (given > 0))
        if wrong.any():
            raise DataRejected(f"weights.column: {settings.column} must be a finite number above 0, it is not in {int(wrong.sum()):,} rows")
        weights *= given
    if settings.half_life is not None and columns.time is not None:
        times = frame[columns.time]
        weights *= 0.5 ** ((times.max() - times) / pd.Timedelta(settings.half_life)).to_numpy(dtype=np.float64)
    if settings.balance and columns.target.classes:
        counts = np.bincount(truth.astype(int), minlength=len(columns.target.classes))
        weights *= (len(truth) / np.maximum(counts, 1))[truth.astype(int)]
    scaled: Floats = weights / weights.mean()
    return scaled
