from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from tasks.checks.drifts import UNSTABLE, compare_columns, design_effect, find_drift, p_value, stability_index
from tasks.checks.shares import Bins, count_in, counts_of, describe_values, place
from tasks.records import Columns, Rows, Target
from tasks.settings import ColumnKind, DriftSettings

START = datetime(2013, 1, 1, tzinfo=UTC)
CUT = datetime(2013, 3, 1, tzinfo=UTC)
BEFORE = 59 * 24


def index_of(earlier: object, later: object, number: bool = True) -> float:
    before = describe_values(pd.Series(earlier), "x", "number" if number else "category")
    return stability_index(counts_of(before), counts_of(count_in(pd.Series(later), before)))


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


def days_of_rows(random: np.random.Generator, days: int, alike: float, a_day: int = 30) -> tuple[pd.Series, Rows]:
    """Normal values of which the part `alike` of the variance is common to a day, and each row's day."""
    common = np.repeat(random.normal(size=days), a_day) * np.sqrt(alike)
    own = random.normal(size=days * a_day) * np.sqrt(1 - alike)
    return pd.Series(common + own), np.repeat(np.arange(days), a_day)


class TestChance:
    """The p-value of two samples of one distribution, and of two."""

    def chances(self, days: int, alike: float, by_day: bool, shift: float = 0.0, draws: int = 60) -> list[float]:
        random = np.random.default_rng(days)
        found = []
        for _ in range(draws):
            before = describe_values(days_of_rows(random, 120, alike)[0], "x", "number")
            values, day = days_of_rows(random, days, alike)
            found.append(p_value(counts_of(before), place(values + shift, before), day if by_day else None))
        return found

    @pytest.mark.parametrize("days", [3, 7, 30])
    @pytest.mark.parametrize("alike", [0.0, 0.3, 1.0])
    def test_rows_of_days_that_are_alike_raise_no_false_alarm(self, days: int, alike: float) -> None:
        """At most 5 in 100 by chance; of 60 draws more than 8 come up once in 1,000 times."""
        assert sum(chance < 0.05 for chance in self.chances(days, alike, by_day=True)) <= 8

    def test_a_plain_chi_square_cries_wolf_over_days(self) -> None:
        assert np.mean(np.array(self.chances(30, 0.3, by_day=False)) < 0.05) > 0.4
        assert np.mean(np.array(self.chances(30, 0.0, by_day=False)) < 0.05) < 0.15

    def test_a_shift_is_found_all_the_same(self) -> None:
        assert max(self.chances(30, 0.3, by_day=True, shift=1.0, draws=20)) < 0.01
        assert max(self.chances(7, 0.3, by_day=True, shift=50.0, draws=20)) < 0.01

    def test_without_days_it_is_scipys(self) -> None:
        expected = scipy.stats.chi2_contingency([[30, 60, 10], [40, 40, 20]], correction=False).pvalue
        assert p_value(np.array([30, 60, 10, 0]), np.repeat([0, 1, 2], [40, 40, 20]), None) == pytest.approx(expected)

    def test_one_bin_says_nothing(self) -> None:
        assert p_value(np.array([0, 50, 0]), np.ones(40, dtype=np.intp), None) == 1


class TestDesignEffect:
    """How many rows make one independent one."""

    def test_rows_of_a_day_that_are_the_same_count_as_one(self) -> None:
        random = np.random.default_rng(0)
        days = np.repeat(np.arange(2000), 20)
        bins: Bins = np.repeat(random.integers(0, 4, 2000), 20)
        effect, freedom = design_effect(bins, days)
        assert effect == pytest.approx(20, rel=0.05)
        assert freedom == pytest.approx(3, rel=0.05)

    def test_independent_rows_count_as_they_are(self) -> None:
        random = np.random.default_rng(0)
        effect, _ = design_effect(random.integers(0, 4, 40_000), np.repeat(np.arange(2000), 20))
        assert effect == pytest.approx(1, abs=0.1)

    def test_days_that_are_more_even_than_chance_count_for_no_more(self) -> None:
        """A timetable has the same flights each day."""
        assert design_effect(np.tile([0, 1, 2, 3], 100), np.repeat(np.arange(100), 4)) == (1.0, np.inf)

    @pytest.mark.parametrize("bins", [np.zeros(10, dtype=np.intp), np.arange(10)])
    def test_of_one_bin_or_one_day_nothing_is_known(self, bins: Bins) -> None:
        assert design_effect(bins, np.zeros(10, dtype=np.int64)) == (1.0, np.inf)


class TestColumns:
    """Many columns at once: both marks must be passed."""

    random = np.random.default_rng(3)
    days = np.repeat(np.arange(10), 60)

    def frame(self, rows: int) -> pd.DataFrame:
        return pd.DataFrame({f"x{number}": self.random.normal(size=rows) for number in range(20)})

    def test_p_values_are_adjusted_for_the_number_of_columns(self) -> None:
        before, now = self.frame(5000), self.frame(600)
        described = [describe_values(before[name], str(name), "number") for name in before]
        found = compare_columns(described, now, None, DriftSettings())
        plain = [p_value(counts_of(shares), place(now[shares.column], shares), None) for shares in described]
        ranked = np.argsort(plain)
        stepped = np.minimum.accumulate((np.sort(plain) * 20 / np.arange(1, 21))[::-1])[::-1]
        assert [found[k].p_value for k in ranked] == pytest.approx(np.minimum(stepped, 1).tolist())
        assert not any(drift.drifted for drift in found)

    def test_a_column_has_drifted_when_it_moved_far_and_surely(self) -> None:
        before, now = self.frame(5000), self.frame(600)
        now = now.assign(x0=now["x0"] + 2, x1=now["x1"] + 0.3, x2=np.repeat(self.random.normal(size=10), 60))
        before = before.assign(x2=np.repeat(self.random.normal(size=250), 20))
        found = {
            drift.column: drift
            for drift in compare_columns(
                [describe_values(before[name], str(name), "number") for name in before], now, self.days, DriftSettings()
            )
        }
        assert [name for name, drift in found.items() if drift.drifted] == ["x0"]
        assert found["x1"].p_value < 0.05, "sure, but not far"
        assert found["x1"].index < UNSTABLE
        assert found["x2"].index > UNSTABLE, "far, but ten days of one weather each are only ten"
        assert found["x2"].p_value > 0.05
        assert found["x0"].before.edges == found["x0"].now.edges

    def test_no_column_is_no_drift(self) -> None:
        assert compare_columns([], self.frame(5), None, DriftSettings()) == ()
