"""What every source promises, whatever it reads: each example holds the same small table."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd
import pytest
import sqlalchemy
from pydantic import TypeAdapter

from tasks.digests import digest
from tasks.errors import EvertuneError
from tasks.sources import AnySource
from tasks.sources.source import Source

AS_OF = datetime(2013, 1, 3, tzinfo=UTC)
TABLE = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "amount": [0.5, None, -2.25, 1e9],
        "place": ["JFK", "Zürich, CH", None, 'a "quoted" one'],
        "seen": pd.to_datetime(["2013-01-01 00:00:00", "2013-01-02 23:59:59", "2013-01-03 00:00:00", "2013-01-04 12:30:00"], utc=True),
    }
)
SELECT = "SELECT id, amount, place, seen FROM visits"


@dataclass(frozen=True)
class Example:
    """`source` reads TABLE, `missing` something that is not there; `bound` reads TABLE's rows before as_of, where a source can."""

    source: Source
    missing: Source
    bound: Source | None = None
    secret: str = "a secret that is nowhere"


Maker = Callable[[Path, pytest.FixtureRequest], Example]


def source(**settings: Any) -> Source:
    built: Source = TypeAdapter(AnySource).validate_python(settings)
    return built


def csv(ending: str) -> Maker:
    def make(folder: Path, _: pytest.FixtureRequest) -> Example:
        path = folder / f"visits.csv{ending}"
        TABLE.to_csv(path, index=False)
        return Example(source(kind="csv", path=path), source(kind="csv", path=folder / f"gone.csv{ending}"))

    return make


def parquet_file(folder: Path, _: pytest.FixtureRequest) -> Example:
    TABLE.to_parquet(folder / "visits.parquet")
    return Example(source(kind="parquet", path=folder / "visits.parquet"), source(kind="parquet", path=folder / "gone.parquet"))


def parquet_files(wanted: str) -> Maker:
    def make(folder: Path, _: pytest.FixtureRequest) -> Example:
        (folder / "visits").mkdir()
        TABLE[:1].to_parquet(folder / "visits" / "a.parquet")
        TABLE[1:].to_parquet(folder / "visits" / "b.parquet")
        return Example(source(kind="parquet", path=folder / "visits" / wanted), source(kind="parquet", path=folder / "gone" / wanted))

    return make


def sqlite(folder: Path, _: pytest.FixtureRequest) -> Example:
    path = folder / "visits.db"
    stored = TABLE.assign(seen=TABLE["seen"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    connection = sqlite3.connect(path)
    stored.to_sql("visits", connection, index=False)
    connection.close()

    def reading(query: str) -> Source:
        return source(kind="sql", url=f"sqlite:///{path}", query=query)

    return Example(reading(SELECT), reading("SELECT * FROM gone"), reading(f"{SELECT} WHERE seen < :as_of"))


def postgresql(_: Path, request: pytest.FixtureRequest) -> Example:
    address = request.getfixturevalue("postgres")
    engine = sqlalchemy.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    TABLE.to_sql("visits", engine, index=False, if_exists="replace")
    engine.dispose()

    def reading(query: str) -> Source:
        return source(kind="sql", url=address, query=query)

    secret = sqlalchemy.make_url(address).password
    return Example(reading(SELECT), reading("SELECT * FROM gone"), reading(f"{SELECT} WHERE seen < :as_of"), secret=str(secret))


def duckdb_file(folder: Path, _: pytest.FixtureRequest) -> Example:
    path = folder / "visits.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("given", TABLE)
        connection.execute("CREATE TABLE visits AS SELECT * FROM given")

    def reading(query: str) -> Source:
        return source(kind="duckdb", path=path, query=query)

    return Example(reading(SELECT), reading("SELECT * FROM gone"), reading(f"{SELECT} WHERE seen < $as_of"))


def duckdb_over_parquet(folder: Path, _: pytest.FixtureRequest) -> Example:
    TABLE.to_parquet(folder / "visits.parquet")

    def reading(query: str) -> Source:
        return source(kind="duckdb", folder=folder, query=query)

    return Example(reading("FROM 'visits.parquet'"), reading("FROM 'gone.parquet'"), reading("FROM 'visits.parquet' WHERE seen < $as_of"))


def python(folder: Path, request: pytest.FixtureRequest) -> Example:
    TABLE.to_parquet(folder / "visits.parquet")
    module = f"visits_{abs(hash(folder))}"
    (folder / f"{module}.py").write_text(
        "import pandas as pd\n"
        f"def everything(): return pd.read_parquet({str(folder / 'visits.parquet')!r})\n"
        "def until(as_of): table = everything(); return table[table['seen'] < as_of]\n"
    )
    request.getfixturevalue("monkeypatch").setattr(sys, "path", [*sys.path, str(folder)])

    def calling(function: str) -> Source:
        return source(kind="python", function=f"{module}:{function}")

    return Example(calling("everything"), calling("gone"), calling("until"))


EXAMPLES: dict[str, dict[str, Maker]] = {
    "csv": {"plain": csv(""), "gz": csv(".gz"), "zip": csv(".zip")},
    "parquet": {"file": parquet_file, "folder": parquet_files(""), "glob": parquet_files("*.parquet")},
    "sql": {"sqlite": sqlite, "postgresql": postgresql},
    "duckdb": {"file": duckdb_file, "memory": duckdb_over_parquet},
    "python": {"function": python},
}
CASES = [
    pytest.param(make, id=f"{kind}-{name}", marks=pytest.mark.postgres if name == "postgresql" else ())
    for kind, examples in EXAMPLES.items()
    for name, make in examples.items()
]


@pytest.fixture(params=CASES)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Example:
    made: Example = request.param(tmp_path, request)
    return made


def values(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values, None for what is missing, times in UTC."""
    frame = frame.assign(seen=pd.to_datetime(frame["seen"], utc=True)).sort_values("id")
    return [{name: None if pd.isna(value) else value for name, value in row.items()} for row in frame.to_dict("records")]


def test_every_source_in_the_union_has_an_example() -> None:
    kinds = {get_args(member.model_fields["kind"].annotation)[0] for member in get_args(get_args(AnySource)[0])}
    assert kinds == set(EXAMPLES)


def test_the_same_table_comes_out_of_every_source(example: Example) -> None:
    frame = example.source.read(AS_OF)
    assert list(frame.columns) == list(TABLE.columns)
    assert values(frame) == values(TABLE)


def test_whole_numbers_floats_and_texts_keep_their_type(example: Example) -> None:
    frame = example.source.read(AS_OF)
    assert pd.api.types.is_integer_dtype(frame["id"])
    assert frame["amount"].dtype == "float64"
    assert pd.api.types.is_string_dtype(frame["place"])


def test_reading_twice_gives_the_same_digest(example: Example) -> None:
    assert digest(example.source.read(AS_OF)) == digest(example.source.read(AS_OF))


def test_as_of_is_bound_and_later_rows_are_left_out(example: Example) -> None:
    if example.bound is None:
        pytest.skip("this source always reads every row")
    expected = values(TABLE[TABLE["seen"] < AS_OF])
    assert values(example.bound.read(AS_OF)) == expected
    assert values(example.bound.read(AS_OF.astimezone(timezone(timedelta(hours=-5))))) == expected


def test_what_is_missing_is_named_in_an_error_of_ours(example: Example) -> None:
    with pytest.raises(EvertuneError) as caught:
        example.missing.read(AS_OF)
    assert caught.value.exit_code in (2, 3)
    assert str(caught.value).startswith("source.")
    assert "gone" in str(caught.value)
    assert example.secret not in str(caught.value)


def test_the_location_says_where_and_holds_no_secret(example: Example) -> None:
    for reading in (example.source, example.missing):
        assert reading.location
        assert example.secret not in reading.location
        assert example.secret not in repr(reading)
        assert example.secret not in reading.model_dump_json()
