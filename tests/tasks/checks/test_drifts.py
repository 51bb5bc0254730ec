from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from tasks.checks.drifts import UNSTABLE, find_drift, stability_index
from tasks.records import Columns, Target
from tasks.settings import ColumnKind

START = datetime(2013, 1, 1, tzinfo=UTC)
CUT = datetime(2013, 3, 1, tzinfo=UTC)
BEFORE = 59 * 24


def index_of(earlier: object, later: object, number: bool = True) -> float:
    return stability_index(pd.Series(earlier), pd.Series(later), number)


def test_the_index_is_the_textbooks() -> None:
    """Two categories of shares p and q: (q - p) ln(q / p) summed over both."""
    earlier, later = ["a"] * 60_000 + ["b"] * 40_000, ["a"] * 30_000 + ["b"] * 70_000
    expected = (0.3 - 0.6) * np.log(0.3 / 0.6) + (0.7 - 0.4) * np.log(0.7 / 0.4)
    assert index_of(earlier, later, number=False) == pytest.approx(expected, abs=1e-3)


def test_normal_values_that_moved_have_about_the_divergence_of_their_distributions() -> None:
    """PSI in ten bins comes near to the symmetric Kullback-Leibler divergence, which for a shift of d deviations is d squared."""
    random = np.random.default_rng(0)
    for shift in (0.25, 0.5):
        found = index_of(random.normal(size=100_000), random.normal(shift, size=100_000))
        assert found == pytest.approx(shift**2, rel=0.15)


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("rows", [100, 300, 5000])
def test_rows_of_one_distribution_hardly_ever_look_unstable_however_few(rows: int, number: bool) -> None:
    random = np.random.default_rng(rows)
    found = []
    for _ in range(100):
        draw = (
            random.normal(size=rows + 4000) if number else np.array(list("abcdefghijklmnopqrstuvwxyz"))[random.integers(0, 26, rows + 4000)]
        )
        found.append(index_of(draw[rows:], draw[:rows], number))
    assert np.mean(np.array(found) > UNSTABLE) <= 0.01
    assert np.mean(found) < 0.05


@pytest.mark.parametrize(
    ("earlier", "later", "number"),
    [
        (["a", "b"] * 500, ["a", "b", "new"] * 100, False),
        (["a", None] * 500, ["a"] * 300, False),
        ([0.0] * 1000, [-1.0] * 300, True),
        ([0.0] * 1000, [1.0] * 300, True),
        ([1.0, 2.0] * 500, [1.0, np.nan] * 150, True),
        ([np.nan] * 1000, [1.0] * 300, True),
        ([0, 0, 0, 1] * 250, [0, 1, 1, 1] * 75, True),
        ([True, False] * 500, [True] * 300, True),
    ],
)
def test_new_values_missing_ones_and_shares_that_moved_are_unstable(earlier: list[object], later: list[object], number: bool) -> None:
    assert index_of(earlier, later, number) > UNSTABLE
    assert index_of(earlier, earlier, number) == 0


def table(shift: float = 3.0, hours: int = 90 * 24) -> pd.DataFrame:
    random = np.random.default_rng(1)
    times = pd.date_range(START, periods=hours, freq="h")
    later = np.arange(hours) >= BEFORE
    shop = np.where(later & (random.random(hours) < 0.5), "new", random.choice(["north", "south"], hours))
    return pd.DataFrame(
        {"time": times, "price": random.normal(size=hours) + shift * later, "size": random.normal(size=hours), "shop": shop, "due": times}
    )


FEATURES: dict[str, ColumnKind] = {"price": "number", "size": "number", "shop": "category", "due": "date"}
COLUMNS = Columns(Target("y", "binary", (0, 1)), FEATURES, "time")


def test_columns_that_moved_since_the_cut_are_named_the_worst_first_and_dates_not_at_all() -> None:
    found = find_drift(table(), COLUMNS, CUT)
    assert list(found) == ["price", "shop", "size"]
    assert found["price"] > found["shop"] > UNSTABLE
    assert found["size"] < 0.02


def test_nothing_is_said_without_time_or_of_a_handful_of_rows() -> None:
    assert find_drift(table(), Columns(COLUMNS.target, FEATURES), CUT) == {}
    assert find_drift(table(hours=BEFORE + 99), COLUMNS, CUT) == {}
    assert find_drift(table(hours=BEFORE + 150), COLUMNS, CUT) != {}
    assert find_drift(table(), COLUMNS, START) == {}
    assert find_drift(table(), Columns(COLUMNS.target, {"due": "date"}, "time"), CUT) == {}
