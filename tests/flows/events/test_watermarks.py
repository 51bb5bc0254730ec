"""How far a source has got: told without reading it where that can be, and moved by what a retrain would want to see."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pytest

from flows.events.watermarks import Watermark, read_watermark
from tasks.errors import DataRejected
from tasks.settings import TableSettings
from tasks.sources.csv import Csv
from tasks.sources.duckdb import DuckDB
from tasks.sources.parquet import Parquet
from tasks.sources.python import Python
from tasks.sources.sql import Sql
from tests.postgres import start_server

NOW = datetime(2024, 5, 1, tzinfo=UTC)
TABLE = TableSettings(target="sold", time="day")
ROWS = [("2024-04-01T00:00:00Z", 1.0), ("2024-04-02T00:00:00Z", None)]
Add = Callable[[str], Any]


def rows() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=["day", "sold"])


def marked_rows() -> pd.DataFrame:
    raise AssertionError("a function with a watermark is not called")


marked_rows.watermark = lambda as_of: f"load {as_of:%Y-%m-%d}"  # type: ignore[attr-defined]


def test_a_csv_file_has_moved_when_it_was_written_again(tmp_path: Path) -> None:
    source = Csv(kind="csv", path=tmp_path / "table.csv")
    rows().to_csv(source.path)
    before = read_watermark(source, TABLE, NOW)
    assert not read_watermark(source, TABLE, NOW).moved_since(before)
    os.utime(source.path, (1_800_000_000, 1_800_000_000))
    after = read_watermark(source, TABLE, NOW)
    assert after.moved_since(before)
    assert str(after) == "1 file, the newest of 15 January 2027, 08:00 UTC"
    source.path.unlink()
    with pytest.raises(DataRejected, match="no file"):
        read_watermark(source, TABLE, NOW)


def test_a_folder_of_parquet_files_has_moved_when_one_was_added(tmp_path: Path) -> None:
    source = Parquet(kind="parquet", path=tmp_path)
    rows().to_parquet(tmp_path / "one.parquet")
    before = read_watermark(source, TABLE, NOW)
    rows().to_parquet(tmp_path / "_temporary.parquet")
    assert not read_watermark(source, TABLE, NOW).moved_since(before)
    rows().to_parquet(tmp_path / "two.parquet")
    after = read_watermark(source, TABLE, NOW)
    assert (after.files, after.moved_since(before)) == (2, True)


def check_query(source: Any, run: Add) -> None:
    """The two rows are there; `run` changes them."""
    before = read_watermark(source, TABLE, NOW)
    assert before == Watermark("2024-04-02T00:00:00.000000+00:00", rows=2, labelled=1)
    run("UPDATE sales SET sold = 0 WHERE sold IS NULL")
    labelled = read_watermark(source, TABLE, NOW)
    assert (labelled.labelled, labelled.moved_since(before)) == (2, True), "a label that arrives is news"
    run("INSERT INTO sales VALUES ('2024-06-01T00:00:00Z', 1)")
    assert read_watermark(source, TABLE, NOW) == labelled, "the query's own :as_of leaves the row out"
    run("INSERT INTO sales VALUES ('2024-04-03T00:00:00Z', 1)")
    assert read_watermark(source, TABLE, NOW).moved_since(labelled)
    run("DELETE FROM sales WHERE sold = 1")
    assert not read_watermark(source, TABLE, NOW).moved_since(labelled), "rows that went away are nothing new"


def test_sqlite_counts_the_query_s_rows(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE sales (day TEXT, sold REAL)")
        database.executemany("INSERT INTO sales VALUES (?, ?)", ROWS)
        database.commit()

        def run(statement: str) -> None:
            database.execute(statement)
            database.commit()

        query = "SELECT * FROM sales WHERE datetime(day) < :as_of; "
        source = Sql(kind="sql", url=f"sqlite:///{tmp_path / 'shop.db'}", query=query)  # type: ignore[arg-type]
        check_query(source, run)
    database.close()


def test_duckdb_counts_the_query_s_rows(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"

    def run(statement: str) -> None:
        with duckdb.connect(str(path)) as database:
            database.execute(statement)

    run("CREATE TABLE sales (day TIMESTAMPTZ, sold DOUBLE)")
    run("INSERT INTO sales VALUES ('2024-04-01T00:00:00Z', 1), ('2024-04-02T00:00:00Z', NULL)")
    check_query(DuckDB(kind="duckdb", path=path, query="SELECT * FROM sales WHERE day < $as_of -- all\n;"), run)


@pytest.mark.postgres
def test_postgresql_counts_the_query_s_rows() -> None:
    with start_server() as server, psycopg.connect(server.address, autocommit=True) as database:
        database.execute("CREATE TABLE sales (day timestamptz, sold float)")
        database.execute("INSERT INTO sales VALUES ('2024-04-01T00:00:00Z', 1), ('2024-04-02T00:00:00Z', NULL)")
        source = Sql(kind="sql", url=server.address, query="SELECT * FROM sales WHERE day < :as_of")  # type: ignore[arg-type]
        check_query(source, database.execute)


def test_a_function_is_asked_for_its_watermark_and_else_called() -> None:
    asked = read_watermark(Python(kind="python", function=f"{__name__}:marked_rows"), TABLE, NOW)
    assert asked == Watermark(digest="load 2024-05-01")
    called = read_watermark(Python(kind="python", function=f"{__name__}:rows"), TABLE, NOW)
    assert (called.rows, called.labelled, called.newest) == (2, 1, "2024-04-02T00:00:00.000000+00:00")
    assert "no attribute `watermark`" in called.how


def test_a_watermark_reads_as_a_sentence() -> None:
    mark = Watermark("2024-04-02T00:00:00.000000+00:00", 1210, 1190)
    assert str(mark) == "1,210 rows, 1,190 of them labelled, the newest of 2 April 2024"
