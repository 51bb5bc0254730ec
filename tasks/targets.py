"""Targets: the column to predict as numbers, and the check that rows can be learned from or judged on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tasks.errors import DataRejected
from tasks.records import Columns, Floats, Rows, Target
from tasks.settings import Scalar


def encode(target: Target, values: pd.Series) -> Floats:
    """Classes -> their position in `target.classes`, a regression's values as they are; float64 of shape (rows,).

    Raises DataRejected for a label that is missing or none of the classes.
    """
    if values.isna().any():
        raise DataRejected(f"target: {target.column} is missing in {int(values.isna().sum()):,} of {len(values):,} rows")
    if not target.classes:
        return values.to_numpy(dtype=np.float64)
    codes, distinct = pd.factorize(values)
    known = pd.Index(list(target.classes), dtype=object).get_indexer(pd.Index(distinct.tolist(), dtype=object))
    if (known < 0).any():
        unknown = distinct[known < 0][0]
        raise DataRejected(f"target: {target.column} has the value {unknown!r}, which is none of its classes {list(target.classes)}")
    return np.asarray(known[codes], dtype=np.float64)


def queries(columns: Columns, frame: pd.DataFrame) -> Rows | None:
    """Which rows are ranked together, a whole number from 0 a query, shape (rows,); None where nothing is ranked."""
    return None if columns.query is None else np.asarray(pd.factorize(frame[columns.query])[0], dtype=np.int64)


def can_judge(target: Target, truth: Floats) -> bool:
    """Whether these rows tell models apart: one class alone does not."""
    return not target.classes or len(np.unique(truth)) > 1


def require_classes(target: Target, truth: Floats, rows: Rows, where: str) -> None:
    """DataRejected when `rows` hold a single class of a classification target: nothing can be learned or judged there."""
    if can_judge(target, truth[rows]):
        return
    only = target.classes[int(truth[rows[0]])] if len(rows) else "no row"
    raise DataRejected(
        f"target: {target.column} has one class only ({only!r}) in {where} ({len(rows):,} rows); "
        "enlarge it (split.test, split.fold, fewer split.folds), or wait for more data"
    )


def align(raw: Floats, classes: Sequence[Scalar], target: Target) -> Floats:
    """Another model's raw prediction over its own `classes`, as one over `target.classes`; a class it does not know gets 0.

    Raises ValueError when one of the two has classes and the other has not.
    """
    if bool(classes) != bool(target.classes):
        raise ValueError(f"it answers a {'classification' if classes else 'regression'}, not a {target.task} task")
    if tuple(classes) == target.classes:
        return raw
    by_class = dict(zip(classes, np.column_stack([1 - raw, raw]).T if raw.ndim == 1 else raw.T, strict=True))
    columns = [by_class.get(value, np.zeros(len(raw))) for value in target.classes]
    return columns[1] if len(columns) == 2 else np.column_stack(columns)
