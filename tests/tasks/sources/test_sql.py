"""SQL on real SQLite files and a real PostgreSQL server: read-only, bound, and silent about passwords."""

from __future__ import annotations

import gc
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from pydantic import ValidationError

from tasks.errors import ConfigError, DataRejected, EvertuneError, ServiceUnavailable
from tasks.sources.sql import Sql

AS_OF = datetime(2013, 1, 2, tzinfo=UTC)


def read(url: str | Path, query: str = "SELECT * FROM flights", **settings: Any) -> pd.DataFrame:
    address = f"sqlite:///{url}" if isinstance(url, Path) else url
    return Sql(kind="sql", url=address, query=query, **settings).read(AS_OF)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.execute("CREATE TABLE flights (a INTEGER, b TEXT)")
        connection.execute("INSERT INTO flights VALUES (1, 'x')")
        connection.commit()
    return tmp_path / "data.db"


@pytest.fixture
def server(postgres: str) -> Iterator[str]:
    """The server's address, with a table of one row in it."""
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE TABLE flights (a INTEGER, b TEXT, local TIMESTAMP)")
        connection.execute("INSERT INTO flights VALUES (1, 'x', '2013-01-01 23:59:59')")
    yield postgres
    with psycopg.connect(postgres) as connection:
        connection.execute("DROP TABLE flights")


def rows(address: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(address) as connection:
        return connection.execute("SELECT a, b FROM flights").fetchall()


# SQLite


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("DELETE FROM flights", "readonly"),
        ("INSERT INTO flights VALUES (2, 'y') RETURNING a", "readonly"),
        ("CREATE TEMP TABLE mine (a)", "must be one SELECT; this statement returns no rows"),
        ("SELECT 1; DELETE FROM flights", "one statement at a time"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM flight", "no such table: flight"),
        ("SELECT c FROM flights", "no such column: c"),
        ("", "must be one SELECT"),
        ("SELECT :gone", ":gone has no value; add it under source.parameters"),
    ],
)
def test_a_wrong_query_on_sqlite_is_a_fault_of_the_config_and_changes_nothing(database: Path, query: str, rule: str) -> None:
    before = database.read_bytes()
    with pytest.raises(ConfigError, match=f"source.query: .*{rule}"):
        read(database, query)
    assert database.read_bytes() == before


def test_a_sqlite_file_that_is_missing_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(DataRejected, match=r"source\.url: there is no file .*gone\.db"):
        read(tmp_path / "gone.db")
    assert not (tmp_path / "gone.db").exists()


def test_a_folder_a_pipe_or_an_empty_file_in_place_of_a_sqlite_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    os.mkfifo(tmp_path / "pipe.db")
    for path in (tmp_path, tmp_path / "pipe.db", tmp_path / "empty.db"):
        with pytest.raises(DataRejected, match=r"source\.url: "):
            read(path)


def test_a_damaged_sqlite_file_is_refused(tmp_path: Path, database: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(DataRejected, match="cannot be read: file is not a database"):
        read(tmp_path / "text.db")
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    with pytest.raises(DataRejected, match="cannot be read: database disk image is malformed"):
        read(database)


def test_sqlite_text_that_is_not_utf8_rejects_the_data(database: Path) -> None:
    with pytest.raises(DataRejected, match="could not answer it: Could not decode to UTF-8"):
        read(database, "SELECT CAST(x'ff' AS TEXT) AS b")


def test_a_sqlite_file_locked_by_a_writer_is_a_service_that_may_work_later(database: Path) -> None:
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceUnavailable, match="does not answer: database is locked"):
            read(database, connect_timeout=1)
        writer.rollback()
    assert len(read(database)) == 1


def test_parameters_are_bound_and_never_become_part_of_the_query(database: Path) -> None:
    evil = "x'; DROP TABLE flights; --"
    assert len(read(database, "SELECT * FROM flights WHERE b = :b", parameters={"b": "x"})) == 1
    assert read(database, "SELECT :b AS b", parameters={"b": evil})["b"].tolist() == [evil]


def test_a_colon_that_is_text_can_be_written(database: Path) -> None:
    assert read(database, r"SELECT '12:30' AS b, '\:note' AS c")["c"].tolist() == [":note"]


def test_a_relative_sqlite_path_starts_at_the_given_folder(database: Path) -> None:
    def anchored(url: str) -> Sql:
        return Sql(kind="sql", url=url, query="SELECT * FROM flights").anchored(database.parent)

    assert len(anchored("sqlite:///data.db").read(AS_OF)) == 1
    assert anchored("sqlite:////else/data.db").location == "sqlite:////else/data.db"
    assert anchored("sqlite:///:memory:").location == "sqlite:///:memory:"
    assert anchored("postgresql://host/data").location == "postgresql+psycopg://host/data"


# addresses


def test_exactly_one_of_url_and_url_env_is_given() -> None:
    for settings in ({}, {"url": "sqlite://", "url_env": "DATA_URL"}):
        with pytest.raises(ValidationError, match="give exactly one of url and url_env"):
            Sql(kind="sql", query="SELECT 1", **settings)


def test_an_address_from_the_environment_is_used_and_an_unset_one_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Sql(kind="sql", url_env="DATA_URL", query="SELECT * FROM flights")
    with pytest.raises(ConfigError, match=r"source\.url_env: the environment variable DATA_URL is not set"):
        source.read(AS_OF)
    assert source.location == "sql:$DATA_URL"
    monkeypatch.setenv("DATA_URL", f"sqlite:///{database}")
    assert len(source.read(AS_OF)) == 1
    assert source.location == f"sqlite:///{database}"


@pytest.mark.parametrize("url", ["hunter2", "postgresql://me:hunter2@host:port/db", "//me:hunter2@host", ""])
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"source\.url") as caught:
        read(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in Sql(kind="sql", url=url, query="SELECT 1").location


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("postgresql+psycopg2://me:hunter2@host/db", "the driver psycopg2 is not installed; run: pip install psycopg2-binary"),
        ("mysql://me:hunter2@host/db", "the driver MySQLdb is not installed; run: pip install mysqlclient"),
        ("nosuchsql://me:hunter2@host/db", "no database is called 'nosuchsql'"),
        ("sqlite+aiosqlite:///gone.db", "sqlite[+]aiosqlite is an asynchronous driver"),
    ],
)
def test_a_missing_or_unfit_driver_is_named(url: str, rule: str) -> None:
    with pytest.raises((ConfigError, DataRejected), match=rule) as caught:
        read(url)
    assert "hunter2" not in str(caught.value)


SECRETIVE = (
    "postgresql://me:hunter2@127.0.0.1:1/db",
    "postgresql://me@127.0.0.1:1/db?password=hunter2",
    "postgresql://me@127.0.0.1:1/db?sslpassword=hunter2&sslmode=hunter2",
    "postgresql://me:hunter2@127.0.0.1:1/db?nosuchoption=1",
    "postgresql://me:hunter2@127.0.0.1:1/db?connect_timeout=soon",
    "postgresql+psycopg://me:h%75nter2@127.0.0.1:1/db",
)


@pytest.mark.parametrize("url", SECRETIVE)
def test_no_message_shows_a_password_wherever_the_address_holds_it(url: str) -> None:
    source = Sql(kind="sql", url=url, query="SELECT 1")
    with pytest.raises(EvertuneError) as caught:
        source.read(AS_OF)
    for text in (str(caught.value), repr(caught.value), source.location, repr(source), source.model_dump_json()):
        assert "hunter2" not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_server_that_does_not_listen_is_reported_at_once() -> None:
    started = time.perf_counter()
    with pytest.raises(
        ServiceUnavailable, match=r"source\.url: postgresql\+psycopg://me:\*\*\*@127\.0\.0\.1:1/db does not answer: .*refused"
    ):
        read("postgresql://me:hunter2@127.0.0.1:1/db")
    assert time.perf_counter() - started < 5


def test_a_server_that_accepts_and_says_nothing_is_given_up_after_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.perf_counter()
        with pytest.raises(ServiceUnavailable, match=r"does not answer: .*timeout"):
            read(f"postgresql://me:hunter2@127.0.0.1:{silent.getsockname()[1]}/db", connect_timeout=2)
        assert 1.5 < time.perf_counter() - started < 6


# PostgreSQL


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("DELETE FROM flights", "syntax error"),
        ("DELETE FROM flights RETURNING a", "syntax error"),
        ("WITH gone AS (DELETE FROM flights RETURNING a) SELECT * FROM gone", "data-modifying"),
        ("SELECT 1; DELETE FROM flights", "multiple commands"),
        ("COMMIT; DELETE FROM flights", "syntax error"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "read-write"),
        ("SELECT pg_temp.gone()", "does not exist"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM flight", 'relation "flight" does not exist'),
        ("SELECT c FROM flights", 'column "c" does not exist'),
        ("", "syntax error"),
    ],
)
def test_a_wrong_query_on_postgresql_is_a_fault_of_the_config_and_changes_nothing(server: str, query: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rf"source\.query: postgresql\+psycopg://reader:\*\*\*@.* refused it: .*{rule}"):
        read(server, query)
    assert rows(server) == [(1, "x")]


@pytest.mark.postgres
def test_a_function_that_writes_is_stopped_by_the_read_only_transaction(server: str) -> None:
    with psycopg.connect(server) as connection:
        connection.execute("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM flights RETURNING 1'")
    with pytest.raises(ConfigError, match="refused it: cannot execute DELETE in a read-only transaction"):
        read(server, "SELECT wipe()")
    assert rows(server) == [(1, "x")]


@pytest.mark.postgres
def test_values_that_do_not_convert_reject_the_data(server: str) -> None:
    with pytest.raises(DataRejected, match="could not answer it: invalid input syntax for type integer"):
        read(server, "SELECT b::integer FROM flights")


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("correct-horse", "battery-staple"), (":correct-horse", ""), ("reader:", "nobody:"), ("/postgres", "/no_such_database")],
)
def test_a_login_that_is_refused_is_a_fault_of_the_config(server: str, right: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"source\.url: .* refused the login: ") as caught:
        read(server.replace(right, wrong, 1))
    assert "correct-horse" not in str(caught.value)
    assert "battery-staple" not in str(caught.value)


@pytest.mark.postgres
@pytest.mark.filterwarnings("ignore:.*ServerCursor:pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_goes_away_in_the_middle_is_a_service_that_may_work_later(server: str) -> None:
    def end() -> None:
        time.sleep(0.5)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader' AND pid <> pg_backend_pid()"
            )

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(ServiceUnavailable, match=r"source\.url: .* does not answer: .*terminat"):
        read(server, "SELECT pg_sleep(30)")
    ending.join()
    # SQLAlchemy leaves the cursor of a lost connection to the collector, which psycopg warns of
    gc.collect()


@pytest.mark.postgres
def test_times_without_a_zone_are_compared_in_utc_whatever_the_servers_zone(server: str) -> None:
    assert len(read(server, "SELECT * FROM flights WHERE local < :as_of")) == 1
    assert read(server, "SELECT count(*) AS n FROM flights WHERE local < :as_of - interval '1 second'")["n"].tolist() == [0]
    assert read(server, "SELECT current_setting('timezone') AS zone")["zone"].tolist() == ["UTC"]


@pytest.mark.postgres
def test_postgresqls_types_come_as_plain_ones(server: str) -> None:
    query = (
        "SELECT 1.5::numeric AS price, DATE '2013-01-01' AS day, 'infinity'::float AS far, true AS flag, 'x' AS text,"
        " TIMESTAMPTZ '2013-01-01 00:00 -05' AS instant, '100%' AS share, 'a'::text LIKE 'a%' AS alike, 3::int8 AS whole"
    )
    frame = read(server, query)
    kinds = ["float64", "datetime64[s]", "float64", "bool", "str", "datetime64[us, UTC]", "str", "bool", "int64"]
    assert [str(dtype) for dtype in frame.dtypes] == kinds
    assert frame["instant"][0] == pd.Timestamp("2013-01-01 05:00", tz="UTC")


@pytest.mark.postgres
def test_a_column_that_stands_twice_stays_twice_so_that_loading_can_refuse_it(server: str) -> None:
    assert list(read(server, "SELECT 1 AS a, DATE '2013-01-01' AS a")) == ["a", "a"]
