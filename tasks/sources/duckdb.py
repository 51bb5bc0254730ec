"""DuckDB: a query over a database file, or over Parquet and CSV files that the query names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tasks.errors import ConfigError, DataRejected
from tasks.sources.source import Source, require_file


class DuckDB(Source):
    """A query with bound parameters, opened read-only."""

    kind: Literal["duckdb"]
    path: Path | None = None
    """The database file; in memory when left out."""
    query: str
    """One SELECT. `$as_of` is bound to the retrain's instant (UTC); `$name` to parameters.name."""
    parameters: dict[str, str | int | float | bool] = {}

    @property
    def location(self) -> str:
        return f"duckdb:{self.path or 'memory'}"

    def read(self, as_of: datetime) -> pd.DataFrame:
        import duckdb

        database = ":memory:" if self.path is None else str(require_file(self.path))
        known: dict[str, Any] = {**self.parameters, "as_of": as_of.astimezone(UTC)}
        try:
            with duckdb.connect(database, read_only=self.path is not None) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                wanted = set().union(*(statement.named_parameters for statement in duckdb.extract_statements(self.query)))
                unknown = sorted(wanted - set(known))
                if unknown:
                    raise ConfigError(f"source.query: ${unknown[0]} has no value; add it under source.parameters")
                frame: pd.DataFrame = connection.execute(self.query, {name: known[name] for name in wanted}).df()
                return frame
        except duckdb.Error as error:
            raise DataRejected(f"source.query: {self.location} refused it: {str(error).splitlines()[0]}") from None
