"""SQL through SQLAlchemy: SQLite, PostgreSQL, and whatever else has a driver installed."""

from __future__ import annotations

import datetime as dt
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import quote

import pandas as pd
from pydantic import Field, SecretStr, model_validator

from tasks.errors import ConfigError, DataRejected, EvertuneError, ServiceUnavailable
from tasks.sources.source import Parameters, Source, mask, require_file

if TYPE_CHECKING:
    import sqlalchemy

RELATIVE_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|:memory:)(.+)")
DRIVERS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "cx_Oracle": "oracledb"}
"""Import name of a driver -> the package that brings it, where the two differ."""


class Sql(Source):
    """A query with bound parameters. The address may come from the environment, so that no password is written down."""

    kind: Literal["sql"]
    """sql"""
    url: SecretStr | None = None
    """SQLAlchemy address, such as sqlite:///data.db or postgresql://user@host/database."""
    url_env: str | None = None
    """Name of the environment variable that holds the address instead."""
    query: str
    """One SELECT. `:as_of` is bound to the retrain's instant (UTC); `:name` to parameters.name."""
    parameters: Parameters = {}
    """Values for the query's other :names."""
    connect_timeout: Annotated[int, Field(ge=1, le=300)] = 5
    """Seconds to wait for the server to let us in, or for a locked SQLite file."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give exactly one of url and url_env")
        return self

    @property
    def location(self) -> str:
        try:
            return _shown(self._address())
        except ConfigError:
            return f"sql:${self.url_env}" if self.url_env else "sql:url"

    def anchored(self, folder: Path) -> Self:
        relative = self.url and RELATIVE_SQLITE.fullmatch(self.url.get_secret_value())
        if not relative:
            return self
        changed: Self = self.changed(url=f"{relative[1]}{folder / relative[2]}")
        return changed

    def read(self, as_of: dt.datetime) -> pd.DataFrame:
        """The rows of the query, in a transaction that may not write. Driver messages are passed on without secrets."""
        import sqlalchemy
        from sqlalchemy import exc

        address = self._address()
        # a server-side cursor exists for a SELECT only, so PostgreSQL refuses anything else, and a second statement too
        statement = sqlalchemy.text(self.query).execution_options(stream_results=True, max_row_buffer=10_000)
        values = self._values(statement, address, as_of)
        engine = _engine(address, self.connect_timeout)
        try:
            with engine.connect() as connection:
                if address.get_backend_name() == "postgresql":
                    connection.exec_driver_sql("SET TIME ZONE 'UTC'")
                with connection.execute(statement, values) as result:
                    names, rows = list(result.keys()), result.fetchall()
        except exc.DBAPIError as error:
            raise _fault(error.orig or error, address) from None
        except exc.ResourceClosedError:
            raise ConfigError("source.query: must be one SELECT; this statement returns no rows") from None
        except (exc.SQLAlchemyError, sqlite3.Warning, ValueError, OverflowError) as error:
            raise ConfigError(f"source.query: {_shown(address)} cannot run it: {_first_line(error, address)}") from None
        return _frame(names, rows)

    def _address(self) -> sqlalchemy.URL:
        import sqlalchemy
        from sqlalchemy import exc

        key = "source.url" if self.url is not None else "source.url_env"
        written = self.url.get_secret_value() if self.url is not None else os.environ.get(self.url_env or "")
        if not written:
            raise ConfigError(f"{key}: the environment variable {self.url_env} is not set" if self.url_env else f"{key}: is empty")
        try:
            address = sqlalchemy.make_url(written)
        except (exc.ArgumentError, ValueError):
            raise ConfigError(f"{key}: must be an address such as postgresql://user@host/database or sqlite:///data.db") from None
        # the driver that Evertune brings, not SQLAlchemy's default
        return address.set(drivername="postgresql+psycopg") if address.drivername in ("postgres", "postgresql") else address

    def _values(self, statement: sqlalchemy.TextClause, address: sqlalchemy.URL, as_of: dt.datetime) -> dict[str, Any]:
        instant = as_of.astimezone(dt.UTC)
        # SQLite has no time type: it compares text, in the form that its own datetime() gives
        bound = f"{instant:%Y-%m-%d %H:%M:%S}" if address.get_backend_name() == "sqlite" else instant
        known = {**self.parameters, "as_of": bound}
        unknown = [name for name in statement.compile().params if name not in known]
        if unknown:
            name = unknown[0]
            raise ConfigError(
                f"source.query: :{name} has no value; add it under source.parameters (a colon that is text is written \\:{name})"
            )
        return {name: known[name] for name in statement.compile().params}


def _engine(address: sqlalchemy.URL, timeout: int) -> sqlalchemy.Engine:
    import sqlalchemy
    from sqlalchemy import exc

    backend, arguments, options = address.get_backend_name(), {}, {}
    try:
        if address.get_dialect().is_async:
            raise ConfigError(f"source.url: {address.drivername} is an asynchronous driver; leave it out, or name another one")
        if backend == "sqlite":
            address, arguments = _read_only(address), {"timeout": timeout}
        elif backend == "postgresql":
            arguments, options = {"connect_timeout": timeout}, {"postgresql_readonly": True}
        return sqlalchemy.create_engine(address, connect_args=arguments, execution_options=options, poolclass=sqlalchemy.NullPool)
    except exc.ArgumentError:
        raise ConfigError(f"source.url: no database is called {address.drivername!r}; there are postgresql, sqlite, mysql, ...") from None
    except ModuleNotFoundError as error:
        package = DRIVERS.get(error.name or "", error.name)
        raise ConfigError(f"source.url: the driver {error.name} is not installed; run: pip install {package}") from None


def _read_only(address: sqlalchemy.URL) -> sqlalchemy.URL:
    """SQLite would silently create a missing file, and let a query write."""
    if address.database in (None, "", ":memory:"):
        return address
    path = require_file(Path(str(address.database)), "source.url")
    return address.set(database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"})


def _frame(names: list[str], rows: Any) -> pd.DataFrame:
    """Rows as a frame; decimals become float64 and dates midnights, as they do from every other source."""
    frame = pd.DataFrame.from_records(rows, columns=names, coerce_float=True)
    dates = [place for place, name in enumerate(names) if pd.api.types.infer_dtype(frame.iloc[:, place]) == "date"]
    for place in dates:
        frame.isetitem(place, pd.to_datetime(frame.iloc[:, place]).array)
    return frame


BLAMED: dict[str, tuple[type[EvertuneError], str]] = {
    "login": (ConfigError, "source.url: {} refused the login"),
    "query": (ConfigError, "source.query: {} refused it"),
    "data": (DataRejected, "source.query: {} could not answer it"),
    "file": (DataRejected, "source.url: {} cannot be read"),
    "service": (ServiceUnavailable, "source.url: {} does not answer"),
}
"""Whose fault an error can be -> the class to raise, and how the message begins."""
POSTGRESQL = dict.fromkeys(("28", "3D"), "login") | dict.fromkeys(("0A", "25", "3F", "42"), "query")
POSTGRESQL |= dict.fromkeys(("08", "40", "53", "55", "57", "58", "XX"), "service")
"""Classes of SQLSTATE (PostgreSQL's manual, appendix A); the others are about values."""
SQLITE = {1: "query", 8: "query", 5: "service", 6: "service", 10: "service", 13: "service", 11: "file", 14: "file", 26: "file"}
"""Result codes ERROR, READONLY; BUSY, LOCKED, IOERR, FULL; CORRUPT, CANTOPEN, NOTADB. The others are about values."""
PEP_249 = dict.fromkeys(("ProgrammingError", "NotSupportedError", "Warning"), "query")
PEP_249 |= dict.fromkeys(("OperationalError", "InterfaceError"), "service")
"""Exceptions that every Python driver has; the others are about values."""


def _fault(error: BaseException, address: sqlalchemy.URL) -> EvertuneError:
    kind, sentence = BLAMED[_blamed(error)]
    return kind(f"{sentence.format(_shown(address))}: {_first_line(error, address)}")


def _blamed(error: BaseException) -> str:
    if state := getattr(error, "sqlstate", None):
        return POSTGRESQL.get(state[:2], "data")
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.ProgrammingError):
        return SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "data")
    # a server that does not let us in gives no SQLSTATE
    if re.search(r"password|authentication|pg_hba|does not exist", str(error)):
        return "login"
    return next((PEP_249[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in PEP_249), "data")


def _shown(address: sqlalchemy.URL) -> str:
    """The address without its password, and without its options, which may hold one too."""
    return address.set(query={}).render_as_string(hide_password=True)


def _first_line(error: BaseException, address: sqlalchemy.URL) -> str:
    """The driver's own words, without the statement, and without anything that the address keeps secret."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    options = [value for name, values in address.normalized_query.items() for value in values if mask(f"{name}=x") != f"{name}=x"]
    for secret in filter(None, (str(address.password or ""), *options)):
        text = text.replace(secret, "***")
    return mask(text)
