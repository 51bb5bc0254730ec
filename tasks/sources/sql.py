"""SQL through SQLAlchemy: SQLite, PostgreSQL, and whatever else has a driver installed."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Literal, Self

import pandas as pd
from pydantic import SecretStr, model_validator

from tasks.errors import ConfigError, DataRejected, ServiceUnavailable
from tasks.sources.source import Source


class Sql(Source):
    """A query with bound parameters. The address may come from the environment, so that no password is written down."""

    kind: Literal["sql"]
    url: SecretStr | None = None
    """SQLAlchemy address, such as sqlite:///data.db or postgresql+psycopg://user@host/database."""
    url_env: str | None = None
    """Name of the environment variable that holds the address instead."""
    query: str
    """One SELECT. `:as_of` is bound to the retrain's instant (UTC); `:name` to parameters.name."""
    parameters: dict[str, str | int | float | bool] = {}
    connect_timeout: int = 5
    """Seconds to wait for the server."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give exactly one of url and url_env")
        return self

    @property
    def location(self) -> str:
        import sqlalchemy

        return sqlalchemy.make_url(self._address()).render_as_string(hide_password=True)

    def read(self, as_of: datetime) -> pd.DataFrame:
        import sqlalchemy
        from sqlalchemy import exc

        statement = sqlalchemy.text(self.query)
        known: dict[str, Any] = {**self.parameters, "as_of": as_of.astimezone(UTC)}
        wanted = statement.compile().params
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ConfigError(f"source.query: :{unknown[0]} has no value; add it under source.parameters")
        engine = self._engine()
        try:
            with engine.connect() as connection:
                return pd.read_sql_query(statement, connection, params={name: self._bind(known[name]) for name in wanted})
        except exc.OperationalError as error:
            raise self._unreachable(error) from None
        except (exc.DBAPIError, exc.ResourceClosedError) as error:
            raise DataRejected(f"source.query: {self.location} refused it: {_first_line(error)}") from None
        finally:
            engine.dispose()

    def _address(self) -> str:
        if self.url is not None:
            return self.url.get_secret_value()
        assert self.url_env is not None
        address = os.environ.get(self.url_env)
        if not address:
            raise ConfigError(f"source.url_env: the environment variable {self.url_env} is not set")
        return address

    def _engine(self) -> Any:
        import sqlalchemy
        from sqlalchemy import exc

        try:
            address = sqlalchemy.make_url(self._address())
            options = {"connect_timeout": self.connect_timeout} if address.get_backend_name() == "postgresql" else {}
            if address.get_backend_name() == "sqlite":
                self._require_database(address.database)
            return sqlalchemy.create_engine(address, connect_args=options)
        except exc.ArgumentError:
            raise ConfigError("source.url: not an SQLAlchemy address; it reads like postgresql+psycopg://user@host/database") from None
        except ModuleNotFoundError as error:
            raise ConfigError(f"source.url: the driver {error.name} is not installed; pip install {error.name}") from None

    def _bind(self, value: Any) -> Any:
        """SQLite has no time type: it compares ISO text, so that is what it gets."""
        if isinstance(value, datetime) and self._address().startswith("sqlite"):
            return value.strftime("%Y-%m-%d %H:%M:%S")
        return value

    @staticmethod
    def _require_database(database: str | None) -> None:
        """SQLite would silently create a missing file."""
        if database and database != ":memory:" and not os.path.exists(database):
            raise DataRejected(f"source.url: there is no SQLite file {database}")

    def _unreachable(self, error: Exception) -> Exception:
        text = _first_line(error)
        if "password" in text or "authentication" in text:
            return ServiceUnavailable(f"source.url: {self.location} refused the user or the password")
        if "no such" in text or "syntax" in text:
            return DataRejected(f"source.query: {self.location} refused it: {text}")
        return ServiceUnavailable(f"source.url: {self.location} does not answer: {text}")


def _first_line(error: Exception) -> str:
    """The driver's own words, without the statement and its parameters."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
