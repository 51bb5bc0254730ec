"""DuckDB: a query over a database file, or over Parquet and CSV files that the query names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd

from tasks.errors import ConfigError, DataRejected, EvertuneError, ServiceUnavailable
from tasks.sources.source import LocalPath, Parameters, Source, frame_from_arrow, mask, require_file


class DuckDB(Source):
    """A query with bound parameters, opened read-only."""

    kind: Literal["duckdb"]
    """duckdb"""
    path: LocalPath | None = None
    """The database file; in memory when left out."""
    query: str
    """One SELECT. `$as_of` is bound to the retrain's instant (UTC); `$name` to parameters.name."""
    parameters: Parameters = {}
    """Values for the query's other $names."""
    folder: LocalPath = Path()
    """Where files that the query names are looked for; the config's folder when left out."""

    @property
    def location(self) -> str:
        return f"duckdb:{self.path or 'memory'}"

    def anchored(self, folder: Path) -> Self:
        changed: Self = self.changed(path=self.path and folder / self.path, folder=folder / self.folder)
        return changed

    def read(self, as_of: datetime) -> pd.DataFrame:
        import duckdb

        database = ":memory:" if self.path is None else str(require_file(self.path))
        # a retrain never downloads code: extensions are those that are installed
        options = {"TimeZone": "UTC", "file_search_path": str(self.folder), "autoinstall_known_extensions": False}
        try:
            with duckdb.connect(database, read_only=self.path is not None, config=options) as connection:
                values = self._values(connection.extract_statements(self.query), as_of)
                return frame_from_arrow(connection.sql(self.query, params=values).to_arrow_table())
        except duckdb.Error as error:
            raise self._fault(error) from None

    def _values(self, statements: list[Any], as_of: datetime) -> dict[str, Any]:
        """What the query's names stand for. Only a SELECT goes through: COPY could write files even from memory."""
        import duckdb

        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = " and ".join(statement.type.name for statement in statements) or "nothing"
            raise ConfigError(f"source.query: must be one SELECT, got {kinds}")
        known = {**self.parameters, "as_of": as_of.astimezone(UTC)}
        unknown = sorted(statements[0].named_parameters - set(known))
        if unknown:
            raise ConfigError(f"source.query: ${unknown[0]} has no value; add it under source.parameters")
        return {name: known[name] for name in statements[0].named_parameters}

    def _fault(self, error: Exception) -> EvertuneError:
        import duckdb

        text = mask(str(error).splitlines()[0])
        query = (duckdb.ParserException, duckdb.SyntaxException, duckdb.CatalogException, duckdb.BinderException)
        if isinstance(error, (*query, duckdb.PermissionException)):
            return ConfigError(f"source.query: {self.location} refused it: {text}")
        if isinstance(error, duckdb.HTTPException) or "lock on file" in text:
            return ServiceUnavailable(f"source.path: {self.location} does not answer: {text}")
        return DataRejected(f"source.query: {self.location} could not answer it: {text}")
