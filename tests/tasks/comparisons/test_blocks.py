from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tasks.comparisons.blocks import MOST, SLICES, block_rows
from tasks.records import Columns, Fold, Table, Target
from tests.small import START


def table(days: int, rows_a_day: int, time: str | None = "day") -> Table:
    times = [START + timedelta(days=day, hours=hour) for day in range(days) for hour in range(rows_a_day)]
    frame = pd.DataFrame({"day": pd.to_datetime(times, utc=True), "y": 0.0})
    return Table(frame, Columns(Target("y", "regression"), {}, time), "digest", ())


def blocks(days: int, rows_a_day: int, time: str | None = "day") -> np.ndarray:
    made = table(days, rows_a_day, time)
    return block_rows(made, Fold(np.arange(0), np.arange(days * rows_a_day)))


def test_a_block_is_a_day() -> None:
    assert blocks(10, 3).tolist() == [day for day in range(10) for _ in range(3)]


def test_a_day_without_rows_leaves_no_gap_in_the_numbers() -> None:
    made = table(20, 2)
    rows = np.flatnonzero(made.frame["day"].dt.day % 2 == 0)
    assert np.unique(block_rows(made, Fold(np.arange(0), rows))).tolist() == list(range(10))


def test_many_days_go_together_in_even_runs_of_whole_days() -> None:
    found = blocks(200, 4)
    assert found.max() + 1 == MOST
    assert (np.diff(found) >= 0).all()
    assert all(len(set(day)) == 1 for day in found.reshape(200, 4))


@pytest.mark.parametrize(("days", "time"), [(3, "day"), (30, None)])
def test_few_days_or_no_time_are_even_slices(days: int, time: str | None) -> None:
    found = blocks(days, 10, time)
    counts = np.bincount(found)
    assert len(counts) == SLICES
    assert counts.max() - counts.min() <= 1


def test_fewer_rows_than_slices_are_a_block_each() -> None:
    assert blocks(1, 5).tolist() == [0, 1, 2, 3, 4]
