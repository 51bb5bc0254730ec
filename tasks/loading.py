"""Stage: read the source, and record what was read."""

from __future__ import annotations

from datetime import datetime

from tasks.digests import digest
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
