"""Watermarks: how far a source has got, told without reading it where that can be.

Files by their names, sizes and times; a query by the newest time and by how many rows and labels it has, which the database
counts; a Python function by its attribute `watermark`, if it has one. Labels are counted too: one that arrives for a row of
last week moves neither the newest time nor the number of rows, and it is what a retrain waits for.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.checks.times import read_times
from tasks.errors import ConfigError, DataRejected
from tasks.settings import TableSettings
from tasks.sources import AnySource
from tasks.sources.csv import Csv
from tasks.sources.duckdb import DuckDB
from tasks.sources.parquet import Parquet
from tasks.sources.python import Python
from tasks.sources.source import Source, require_file
from tasks.sources.sql import Sql
from tasks.wording import clean, say_count, say_moment

BACKTICKED = ("mysql", "mariadb")
"""Databases that quote a column's name in backticks; the others do it as the standard says."""


@dataclass(frozen=True)
class Watermark:
    """What a source says of itself. Two of one source are compared; what is None is not known."""

    newest: str | None = None
    """Time of the newest row, or of the file written last, as ISO text in UTC: texts of two sort as their times do."""
    rows: int | None = None
    labelled: int | None = None
    files: int | None = None
    digest: str = ""
    """Of the files' names, sizes and times, or the function's own watermark; any other one has moved."""
    how: str = ""
    """How it was found, where that is worth knowing."""

    def moved_since(self, seen: Watermark) -> bool:
        """Whether there is something that `seen` did not have. Rows that only went away are nothing new."""
        if self.digest or seen.digest:
            return self.digest != seen.digest
        pairs = ((self.newest, seen.newest), (self.rows, seen.rows), (self.labelled, seen.labelled))
        return any(now is not None and (before is None or now > before) for now, before in pairs)  # type: ignore[operator]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """`1,210 rows, 1,190 of them labelled, the newest of 30 April 2024, 00:09 UTC`."""
        parts = [say_count(self.files, "file")] if self.files is not None else []
        parts += [say_count(self.rows, "row")] if self.rows is not None else []
        parts += [f"{self.labelled:,} of them labelled"] if self.labelled is not None else []
        parts += [f"the newest of {say_moment(datetime.fromisoformat(self.newest))}"] if self.newest else []
        return ", ".join(parts) or clean(self.digest, 100) or "nothing"


def read_watermark(source: AnySource, table: TableSettings, as_of: datetime) -> Watermark:
    """How far the source has got at `as_of`.

    Raises what `source.read` raises: DataRejected, ConfigError, ServiceUnavailable.
    """
    if isinstance(source, Csv):
        return _of_files([require_file(source.path)])
    if isinstance(source, Parquet):
        return _of_files(source.files()[1])
    if isinstance(source, Python):
        return _of_function(source, table, as_of)
    return _of_query(source, table, as_of)


def _of_files(files: Iterable[Path]) -> Watermark:
    found = [(str(file), stamp.st_size, stamp.st_mtime_ns) for file in sorted(files) for stamp in [file.stat()]]
    digest = hashlib.sha256("\n".join(map(str, found)).encode()).hexdigest()[:16]
    newest = datetime.fromtimestamp(max(changed for _, _, changed in found) / 1e9, UTC)
    return Watermark(_iso(newest), files=len(found), digest=digest)


def _of_query(source: Sql | DuckDB, table: TableSettings, as_of: datetime) -> Watermark:
    """The database counts the query's rows, with its own values bound; one that refuses a query in a query has it read."""
    counting: Source = source.changed(query=_counting(source, table))
    try:
        row = counting.read(as_of)
    except ConfigError:
        return _of_rows(source, table, as_of, "the database cannot count this query's rows, so all of them were read")
    rows, labelled = (int(row[name].iloc[0]) for name in ("row_count", "label_count"))
    newest = _newest(row, "newest_row", source.location) if rows and "newest_row" in row else None
    return Watermark(newest, rows, labelled)


def _counting(source: Sql | DuckDB, table: TableSettings) -> str:
    """The query, counted; names are qualified, since SQLite takes a name that it does not know for a text."""
    mark = "`" if source.location.startswith(BACKTICKED) else '"'

    def column(name: str) -> str:
        quoted = "watched." + mark + name.replace(mark, 2 * mark) + mark
        return quoted.replace(":", r"\:") if isinstance(source, Sql) else quoted  # else it would be a bound value

    newest = f"max({column(table.time.column)}) AS newest_row, " if table.time else ""
    inner = source.query.rstrip().rstrip(";")
    return f"SELECT {newest}count(*) AS row_count, count({column(table.target)}) AS label_count FROM (\n{inner}\n) AS watched"  # noqa: S608


def _of_function(source: Python, table: TableSettings, as_of: datetime) -> Watermark:
    """The attribute `watermark`: a value, or a function of `as_of`, or of nothing, that returns one."""
    function = source.loaded_function()
    given = getattr(function, "watermark", None)
    if given is None:
        return _of_rows(source, table, as_of, f"{source.function} has no attribute `watermark`, so it was called and all its rows read")
    if not callable(given):
        return Watermark(digest=clean(given, 200))
    try:
        return Watermark(digest=clean(given(as_of) if inspect.signature(given).parameters else given(), 200))
    except Exception as error:
        raise DataRejected(f"source.function: the watermark of {source.function} raised {type(error).__name__}: {error}") from error


def _of_rows(source: Source, table: TableSettings, as_of: datetime, how: str) -> Watermark:
    frame = source.read(as_of)
    labelled = int(frame[table.target].notna().sum()) if table.target in frame else None
    known = table.time is not None and table.time.column in frame and len(frame)
    newest = _newest(frame, table.time.column, source.location) if table.time and known else None
    return Watermark(newest, len(frame), labelled, how=how)


def _newest(frame: pd.DataFrame, column: str, where: str) -> str:
    times, found = read_times(frame, column, ())
    if times is None:
        raise DataRejected(f"time.column: the newest time of {where} cannot be read: {found.observed} (expected {found.expected})")
    return _iso(times.max().to_pydatetime())


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
