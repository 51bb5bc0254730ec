"""Stage: read the source, and record what was read."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from tasks.digests import digest
from tasks.errors import DataRejected
from tasks.records import LoadedTable, SourceRecord
from tasks.sources.source import Source
from tasks.stage import stage


@stage("load")
def load_table(source: Source, as_of: datetime) -> LoadedTable:
    """Every row of the source, numbered from 0 and under texts as column names, with what was read on record.

    Raises DataRejected for data that cannot be read, is empty, has a column twice, or cells of more than one value;
    ConfigError for a wrong query, function or login; ServiceUnavailable for a server that does not answer.
    """
    frame = _named(source.read(as_of), source.location)
    size = int(frame.memory_usage(index=False, deep=True).sum())
    record = SourceRecord(source.kind, source.location, len(frame), len(frame.columns), size, digest(frame))
    return LoadedTable(frame, record)


def _named(frame: pd.DataFrame, location: str) -> pd.DataFrame:
    """The frame under plain column names; the reader's own object stays as it is."""
    if not len(frame) or not len(frame.columns):
        raise DataRejected(f"source: {location} holds no rows" if len(frame.columns) else f"source: {location} holds no columns")
    if frame.columns.nlevels > 1:
        raise DataRejected(f"source: {location} has columns on {frame.columns.nlevels} levels; give each column one name")
    names = pd.Index([str(name) for name in frame.columns])
    twice = names[names.duplicated()]
    if len(twice):
        raise DataRejected(f"source: {location} has the column {twice[0]!r} more than once")
    return frame.set_axis(names, axis=1).reset_index(drop=True)
