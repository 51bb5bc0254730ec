from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.shares import BINS, MOST_CATEGORIES, Kind, count_in, counts_of, describe_values, parse_profile, profile_rows, size
from tasks.records import Columns, Shares, Table, Target

START = datetime(2013, 1, 1, tzinfo=UTC)


def described(values: Any, kind: Kind = "number") -> Shares:
    return describe_values(pd.Series(values), "x", kind)


def table(rows: int = 1000) -> Table:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "time": pd.date_range(START, periods=rows, freq="h"),
            "price": random.normal(size=rows),
            "shop": random.choice(["north", "south"], rows),
            "due": pd.date_range(START, periods=rows, freq="D"),
            "late": random.random(rows) < 0.25,
        }
    )
    columns = Columns(Target("late", "binary", (False, True)), {"price": "number", "shop": "category", "due": "date"}, "time")
    return Table(frame, columns, "digest", ())


def test_a_number_is_cut_at_its_deciles_and_what_lies_below_all_of_them_has_a_bin() -> None:
    shares = described(np.arange(1, 1001))
    assert shares.edges[1:] == tuple(np.arange(100.0, 1000.0, 100.0))
    assert np.nextafter(1.0, 0) == shares.edges[0]
    assert counts_of(shares).tolist() == [0, *[100] * BINS, 0]
    assert size(shares) == len(shares.shares) == 12


def test_other_rows_are_counted_in_the_same_bins_whatever_they_hold() -> None:
    shares = described(np.arange(1, 1001))
    others = count_in(pd.Series([0.0, -np.inf, 1.0, 100.0, 100.5, 5000.0, np.inf, np.nan, None]), shares)
    assert counts_of(others).tolist() == [2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2]
    assert (others.edges, others.rows) == (shares.edges, 9)


def test_a_category_keeps_its_most_frequent_values_and_one_bin_for_all_others() -> None:
    values = [f"v{number:02d}" for number in range(30) for _ in range(100 - number)] + [None] * 5
    shares = described(values, "category")
    assert shares.values == tuple(f"v{number:02d}" for number in range(MOST_CATEGORIES))
    assert counts_of(shares).tolist() == [*range(100, 80, -1), sum(range(71, 81)), 5]


def test_new_and_rewritten_categories_are_among_the_others() -> None:
    """A new category, another case, a space: to a model each is unknown, and the rate of these is what one sees."""
    shares = described(["EWR", "JFK"] * 100, "category")
    assert count_in(pd.Series(["EWR", "ewr", "JFK ", "SFO", None]), shares).shares == (0.2, 0, 0.6, 0.2)


@pytest.mark.parametrize("other", [[7.0, 8.0, 7.0], ["7", "8", "7"], [Decimal(7), Decimal(8), 7], pd.Categorical([7, 8, 7])])
def test_a_category_is_the_same_in_another_type(other: Any) -> None:
    shares = described([7, 8, 7], "category")
    assert shares.values == ("7", "8")
    assert count_in(pd.Series(other), shares).shares == shares.shares == pytest.approx((2 / 3, 1 / 3, 0, 0))


@pytest.mark.parametrize(
    ("values", "kind", "counts"),
    [
        ([np.nan] * 4, "number", [0, 4]),
        ([None] * 4, "category", [0, 4]),
        ([np.inf, -np.inf], "number", [2, 0]),
        ([5.0] * 3, "number", [0, 3, 0, 0]),
        ([True, False, True], "number", [0, 1, 2, 0, 0]),
        (pd.array([1, None, 1], dtype="Int64"), "number", [0, 2, 0, 1]),
        ([-1.7976931348623157e308, 1.0], "number", [1, 1, 0, 0]),
    ],
)
def test_odd_columns_are_described_too(values: Any, kind: Kind, counts: list[int]) -> None:
    shares = described(values, kind)
    assert counts_of(shares).tolist() == counts
    assert sum(shares.shares) == pytest.approx(1)


def test_ties_do_not_depend_on_the_order_of_the_rows() -> None:
    values = [f"v{number}" for number in range(40)]
    assert described(values, "category") == described(values[::-1], "category")


def test_a_profile_is_small_json_and_is_read_back_as_it_was() -> None:
    told = profile_rows(table(), np.arange(500))
    text = json.dumps(told, allow_nan=False)
    assert len(text) < 3000
    profile = parse_profile(json.loads(text))
    assert [shares.column for shares in profile.columns] == ["price", "shop", "late"], "no date"
    assert (profile.rows, profile.through) == (500, table().frame["time"].iloc[499])
    assert profile.columns[2].values == ("False", "True")
    again = count_in(table().frame["price"].iloc[:500], profile.columns[0])
    assert counts_of(again).tolist() == counts_of(profile.columns[0]).tolist()
    assert json.loads(json.dumps(profile.to_json())) == json.loads(text)


def test_without_time_a_profile_is_of_no_date() -> None:
    known = table()
    columns = Columns(Target("price", "regression"), {"shop": "category"})
    profile = parse_profile(profile_rows(Table(known.frame, columns, "digest", ()), np.arange(10)))
    assert profile.through is None
    assert [(shares.column, shares.kind) for shares in profile.columns] == [("shop", "category"), ("price", "number")]


def test_a_column_of_ten_thousand_long_categories_is_kilobytes_too() -> None:
    frame = pd.DataFrame({"text": [f"{number} {'x' * 5000}" for number in range(10_000)], "y": 0.5})
    told = profile_rows(Table(frame, Columns(Target("y", "regression"), {"text": "category"}), "digest", ()), np.arange(10_000))
    assert len(json.dumps(told)) < 8000


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"through": "yesterday"},
        {"columns": [{}]},
        {"columns": [{"column": "x", "kind": "date", "rows": 1, "shares": [1, 0], "edges": [], "values": []}]},
        {"columns": [{"column": "x", "kind": "number", "rows": 1, "shares": [1, 0, 0], "edges": [], "values": []}]},
        {"columns": [{"column": "x", "kind": "number", "rows": 1, "shares": [0.3, 0.3], "edges": [], "values": []}]},
    ],
)
def test_what_is_no_profile_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        parse_profile({**profile_rows(table(), np.arange(100)), **change})
