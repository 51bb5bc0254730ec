"""Loading: what was read is on record, and what cannot be a table is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import pytest

from tasks.digests import digest
from tasks.errors import DataRejected
from tasks.loading import load_table
from tasks.records import LoadedTable
from tasks.sources.source import Source

AS_OF = datetime(2013, 1, 1, tzinfo=UTC)


class Given(Source):
    """A source that hands out a frame."""

    kind: Literal["given"] = "given"
    make: Callable[[], Any]

    @property
    def location(self) -> str:
        return "given:table"

    def read(self, as_of: datetime) -> pd.DataFrame:
        frame: pd.DataFrame = self.make()
        return frame


def load(frame: pd.DataFrame) -> LoadedTable:
    return load_table(Given(make=lambda: frame), AS_OF)


def test_rows_columns_bytes_and_digest_are_on_record() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, None, 1.5]})
    record = load(frame).source
    assert (record.kind, record.location, record.rows, record.columns) == ("given", "given:table", 3, 2)
    assert record.bytes == 3 * 2 * 8
    assert record.digest == digest(frame)


def test_a_table_without_rows_or_columns_is_refused() -> None:
    with pytest.raises(DataRejected, match="source: given:table holds no rows"):
        load(pd.DataFrame({"a": []}))
    with pytest.raises(DataRejected, match="source: given:table holds no columns"):
        load(pd.DataFrame(index=range(3)))


@pytest.mark.parametrize("names", [["a", "a"], [1, "1"]])
def test_a_column_that_stands_twice_is_named(names: list[Any]) -> None:
    with pytest.raises(DataRejected, match=rf"given:table has the column '{names[0]}' more than once"):
        load(pd.DataFrame([[1, 2]], columns=names))


def test_columns_on_several_levels_are_refused() -> None:
    with pytest.raises(DataRejected, match="has columns on 2 levels; give each column one name"):
        load(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_product([["a"], ["b", "c"]])))


def test_column_names_become_text_and_rows_are_numbered_from_0() -> None:
    loaded = load(pd.DataFrame({2013: [1, 2], "b": [3, 4]}, index=[7, 7])).frame
    assert list(loaded.columns) == ["2013", "b"]
    assert loaded.index.tolist() == [0, 1]


def test_the_readers_own_frame_stays_as_it_was() -> None:
    frame = pd.DataFrame({2013: [1, 2]}, index=[7, 7])
    load(frame)
    assert frame.columns.tolist() == [2013]
    assert frame.index.tolist() == [7, 7]


def test_a_column_of_lists_is_refused_by_name() -> None:
    with pytest.raises(DataRejected, match="column 'tags' must hold single values, got a list"):
        load(pd.DataFrame({"tags": [["x"], ["y"]]}))
