"""Digests: what a frame holds, in 64 bits."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import uuid

import numpy as np
import pandas as pd

from tasks.errors import DataRejected

SINGLE = (str, bytes, bool, int, float, complex, decimal.Decimal, dt.date, dt.time, dt.timedelta, uuid.UUID, np.generic)
"""What a column of Python objects may hold; a datetime is a date, and pandas' own times are datetimes."""


def digest(frame: pd.DataFrame) -> str:
    """64 bits of hash of names, types and rows, the same in whatever order rows and columns come.

    Row hashes are summed, and so are their squares, so two tables differ unless they hold the same rows equally often.
    pandas' row hash is fast, not secret: it finds changes, not forgeries. Column names are unique texts.
    Raises DataRejected for a column whose cells hold more than one value, such as a list.
    """
    names = sorted(frame.columns)
    schema = json.dumps([(name, str(frame[name].dtype)) for name in names])
    ordered = pd.DataFrame({name: _hashable(frame[name]) for name in names}, index=frame.index, copy=False)
    rows = pd.util.hash_pandas_object(ordered, index=False).to_numpy()
    with np.errstate(over="ignore"):
        summed = int(rows.sum(dtype=np.uint64)), int((rows * rows).sum(dtype=np.uint64))
    return hashlib.sha256(f"{schema}|{len(rows)}|{summed}".encode()).hexdigest()[:16]


def _hashable(column: pd.Series) -> pd.Series:
    """The column, its Python objects as text with their type: pandas would hash 1, True and "1" alike."""
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.categories.dtype == object:
        column = column.astype(object)
    if column.dtype != object:
        return _checked(column)
    if pd.api.types.infer_dtype(column, skipna=True) in ("string", "empty"):
        return column
    for place, value in enumerate(column):
        if not isinstance(value, SINGLE) and not _missing(value):
            raise DataRejected(
                f"source: column {column.name!r} must hold single values, got a {type(value).__name__} in row {place}; "
                "leave the column out, or turn it into text or numbers"
            )
    return pd.Series([None if _missing(value) else f"{type(value).__name__}:{value}" for value in column], column.index, dtype=object)


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _checked(column: pd.Series) -> pd.Series:
    """An Arrow column of lists or records has a type of its own, and cannot be hashed either."""
    if isinstance(column.dtype, pd.ArrowDtype):
        import pyarrow as pa

        if pa.types.is_nested(column.dtype.pyarrow_dtype):
            raise DataRejected(f"source: column {column.name!r} must hold single values, got {column.dtype}; leave the column out")
    return column
