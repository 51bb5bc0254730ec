"""DuckDB: read-only, one SELECT, bound parameters, and each fault in the right class."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from tasks.errors import ConfigError, DataRejected, EvertuneError, ServiceUnavailable
from tasks.sources.duckdb import DuckDB

AS_OF = datetime(2013, 1, 2, tzinfo=UTC)


def read(query: str, **settings: Any) -> pd.DataFrame:
    return DuckDB(kind="duckdb", query=query, **settings).read(AS_OF)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "data.duckdb")) as connection:
        connection.execute("CREATE TABLE flights AS SELECT 1 AS a, 'x' AS b")
    return tmp_path / "data.duckdb"


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("DELETE FROM flights", "must be one SELECT, got DELETE"),
        ("COPY flights TO 'stolen.csv'", "must be one SELECT, got COPY"),
        ("SELECT 1; DROP TABLE flights", "must be one SELECT, got SELECT and DROP"),
        ("ATTACH 'other.duckdb'", "must be one SELECT, got ATTACH"),
        ("", "must be one SELECT, got nothing"),
        ("SELEC 1", "refused it: .*syntax error"),
        ("SELECT * FROM flight", "refused it: .*flight"),
        ("SELECT c FROM flights", 'refused it: .*"c"'),
        ("SELECT $gone", r"\$gone has no value; add it under source\.parameters"),
    ],
)
def test_a_wrong_query_is_a_fault_of_the_config_and_changes_nothing(database: Path, query: str, rule: str) -> None:
    before = database.read_bytes()
    with pytest.raises(ConfigError, match=rf"source\.query: .*{rule}"):
        read(query, path=database)
    assert database.read_bytes() == before


def test_values_that_do_not_convert_reject_the_data(database: Path) -> None:
    with pytest.raises(DataRejected, match=r"source\.query: duckdb:.* could not answer it: .*convert"):
        read("SELECT CAST(b AS INTEGER) FROM flights", path=database)


def test_a_database_that_is_missing_empty_or_something_else_is_refused(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"not a database " * 1000)):
        (tmp_path / name).write_bytes(content)
    for name in ("gone", "empty", "text"):
        with pytest.raises(DataRejected, match=name):
            read("SELECT 1", path=tmp_path / name)
    assert not (tmp_path / "gone").exists()


def test_a_database_that_another_process_writes_is_a_service_that_may_work_later(database: Path) -> None:
    code = f"import duckdb; connection = duckdb.connect({str(database)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            with pytest.raises(ServiceUnavailable, match="lock"):
                read("FROM flights", path=database)
        finally:
            writer.communicate(b"\n")
    assert len(read("FROM flights", path=database)) == 1


def test_parameters_are_bound_and_never_become_part_of_the_query(database: Path) -> None:
    evil = "x'; DROP TABLE flights; --"
    assert len(read("FROM flights WHERE b = $b", path=database, parameters={"b": "x"})) == 1
    assert read("SELECT $b AS b", path=database, parameters={"b": evil})["b"].tolist() == [evil]


def test_a_secret_in_a_query_is_masked_in_the_error() -> None:
    with pytest.raises(EvertuneError) as caught:
        read("FROM read_parquet('gone?access_key=hunter2')")
    assert "hunter2" not in str(caught.value)


def test_relative_names_start_at_the_given_folder_in_the_query_too(tmp_path: Path, database: Path) -> None:
    (tmp_path / "table.csv").write_text("a\n1\n")
    assert len(DuckDB(kind="duckdb", query="FROM 'table.csv'").anchored(tmp_path).read(AS_OF)) == 1
    assert len(DuckDB(kind="duckdb", path=Path(database.name), query="FROM flights").anchored(tmp_path).read(AS_OF)) == 1


def test_a_column_that_stands_twice_stays_twice_so_that_loading_can_refuse_it() -> None:
    assert list(read("SELECT 1 AS a, 2 AS a")) == ["a", "a"]


def test_decimals_dates_and_missing_whole_numbers_come_as_plain_types() -> None:
    frame = read("SELECT 1.5::DECIMAL(9, 2) AS price, DATE '2013-01-01' AS day, NULL::INTEGER AS nothing, true AS flag")
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "datetime64[ms]", "float64", "bool"]
