"""Stage: read the source, and record what was read."""

from __future__ import annotations

import hashlib
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.errors import DataRejected
from tasks.records import LoadedTable, SourceRecord
from tasks.sources.source import Source
from tasks.stage import stage


@stage("load")
def load_table(source: Source, as_of: datetime) -> LoadedTable:
    """Every row of the source, with what was read on record.

    Raises DataRejected for data that cannot be read, is empty, or has a column twice; ServiceUnavailable for a server.
    """
    frame = source.read(as_of)
    if not len(frame):
        raise DataRejected(f"source: {source.location} holds no rows")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataRejected(f"source: {source.location} has the column {twice[0]!r} more than once")
    frame.columns = frame.columns.astype(str)
    size = int(frame.memory_usage(deep=True).sum())
    record = SourceRecord(source.kind, source.location, len(frame), len(frame.columns), size, digest(frame))
    return LoadedTable(frame, record)


def digest(frame: pd.DataFrame) -> str:
    """64 bits of hash of names, types and rows, the same in whatever order rows and columns come.

    Row hashes are summed, so two tables differ unless they hold the same rows equally often.
    """
    ordered = frame[sorted(frame.columns)]
    schema = ";".join(f"{name}:{dtype}" for name, dtype in ordered.dtypes.items())
    rows = pd.util.hash_pandas_object(ordered, index=False).to_numpy()
    with np.errstate(over="ignore"):
        summed = int(rows.sum(dtype=np.uint64)), int((rows * rows).sum(dtype=np.uint64))
    return hashlib.sha256(f"{schema}|{len(rows)}|{summed}".encode()).hexdigest()[:16]
