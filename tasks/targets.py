"""Targets: the column to predict as numbers, and the check that rows can be learned from or judged on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.errors import DataRejected
from tasks.records import Floats, Rows, Target


def encode(target: Target, values: pd.Series) -> Floats:
    """Classes -> their position in `target.classes`, a regression's values as they are; float64 of shape (rows,)."""
    if not target.classes:
        return values.to_numpy(dtype=np.float64)
    codes, distinct = pd.factorize(values)
    known = pd.Index(list(target.classes), dtype=object).get_indexer(pd.Index(distinct.tolist(), dtype=object))
    if (known < 0).any():
        unknown = distinct[known < 0][0]
        raise DataRejected(f"target: {target.column} has the value {unknown!r}, which is none of its classes {list(target.classes)}")
    return np.asarray(known[codes], dtype=np.float64)


def require_classes(target: Target, truth: Floats, rows: Rows, where: str) -> None:
    """DataRejected when `rows` hold a single class of a classification target: nothing can be learned or judged there."""
    if not target.classes:
        return
    found = np.unique(truth[rows])
    if len(found) < 2:
        only = target.classes[int(found[0])] if len(found) else "no row"
        raise DataRejected(
            f"target: {target.column} has one class only ({only!r}) in {where} ({len(rows):,} rows); "
            "widen the window (split.test, split.fold, split.folds) or wait for more data"
        )
