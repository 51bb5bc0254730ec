from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle

from tasks.comparisons.intervals import paired_interval
from tasks.comparisons.slices import MISSING, MOST, OTHER, compare_slices, divide
from tasks.errors import ConfigError
from tasks.metrics import METRICS
from tasks.records import Floats, SliceScore
from tasks.settings import GateSettings

ROWS, DAYS = 1200, 40
BLOCKS = np.arange(ROWS) * DAYS // ROWS


def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    shop = random.choice(["north", "south", "west"], ROWS, p=[0.6, 0.38, 0.02])
    return pd.DataFrame(
        {
            "shop": pd.Series(shop).mask(random.random(ROWS) < 0.05),
            "price": random.lognormal(size=ROWS),
            "day": pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC"),
            "floor": random.integers(0, 3, ROWS),
        }
    )


def predictions(seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """Truth, ours and theirs; ours is worse in the south alone."""
    random = np.random.default_rng(seed)
    truth = (random.random(ROWS) < 0.4).astype(float)
    theirs = np.clip(0.4 + 0.4 * (truth - 0.4) + 0.1 * random.normal(size=ROWS), 0.01, 0.99)
    ours = np.where(frame()["shop"] == "south", 1 - theirs, theirs * 0.9 + 0.1 * truth)
    return truth, ours, theirs


def compare(*columns: str, metric: str = "log_loss", fewest: int = 50, rival: bool = True, table: Any = None) -> tuple[SliceScore, ...]:
    truth, ours, theirs = predictions()
    settings = GateSettings(slices=columns, slice_min_rows=fewest)
    table = frame() if table is None else table
    return compare_slices(table, settings, truth, ours, theirs if rival else None, BLOCKS, METRICS[metric], None)


@pytest.mark.parametrize(("metric", "measure"), [("log_loss", oracle.log_loss), ("roc_auc", oracle.roc_auc_score)])
def test_scores_are_those_of_the_rows_alone(metric: str, measure: Any) -> None:
    truth, ours, theirs = predictions()
    shop = frame()["shop"].fillna(MISSING)
    found = compare("shop", metric=metric)
    assert [one.value for one in found] == ["north", "south", "west", MISSING]
    for one in found:
        rows = (shop == one.value).to_numpy()
        assert (one.column, one.rows) == ("shop", rows.sum())
        assert one.challenger == pytest.approx(measure(truth[rows], ours[rows]))
        assert one.champion == pytest.approx(measure(truth[rows], theirs[rows]))


def test_a_slice_that_fares_worse_is_seen_though_the_others_fare_better() -> None:
    by_value = {one.value: one.interval for one in compare("shop")}
    assert by_value["south"] is not None
    assert by_value["south"].low > 0
    assert by_value["north"] is not None
    assert by_value["north"].high < 0


def test_the_interval_is_that_of_the_slices_rows_and_their_days() -> None:
    truth, ours, theirs = predictions()
    rows = (frame()["shop"] == "south").to_numpy()
    expected = paired_interval(truth[rows], ours[rows], theirs[rows], METRICS["log_loss"], BLOCKS[rows], GateSettings().confidence)
    assert compare("shop")[1].interval == expected


def test_few_rows_are_shown_but_not_judged() -> None:
    small = next(one for one in compare("shop") if one.value == "west")
    assert 0 < small.rows < 50
    assert small.interval is None
    assert small.note == f"{small.rows} rows are fewer than gate.slice_min_rows (50)"
    assert math.isfinite(small.challenger)


def test_a_single_row_is_spoken_of_as_one() -> None:
    table = frame().assign(shop=["only", *["rest"] * (ROWS - 1)])
    assert compare("shop", table=table)[1].note == "1 row is fewer than gate.slice_min_rows (50)"


def test_without_a_rival_only_the_challenger_is_scored() -> None:
    for one in compare("shop", rival=False):
        assert (one.champion, one.interval) == (None, None)
        assert one.note == "there is nobody to compare with"


def test_a_slice_of_one_class_has_no_area_and_says_so() -> None:
    truth, _, _ = predictions()
    table = frame().assign(shop=np.where(truth == 1, "sold", "unsold"))
    for one in compare("shop", metric="roc_auc", table=table):
        assert one.interval is None
        assert one.note == "roc_auc is not defined on these rows"


def test_a_slice_of_a_few_days_says_that_they_are_too_few() -> None:
    table = frame().assign(shop=np.where(BLOCKS < 2, "opening", "later"))
    by_value = {one.value: one for one in compare("shop", table=table)}
    assert by_value["later"].interval is not None
    assert by_value["opening"].interval is None
    assert by_value["opening"].note == "2 blocks of rows (days) are too few, or too uneven, to know the noise"


def test_columns_come_in_the_order_of_the_config_each_once() -> None:
    assert list(dict.fromkeys(one.column for one in compare("floor", "shop", "floor"))) == ["floor", "shop"]
    assert len(compare("floor", "floor")) == 3
    assert compare() == ()


def test_a_number_with_many_values_is_cut_into_fifths() -> None:
    found = compare("price")
    assert [one.rows for one in found] == [240] * 5
    assert found[0].value.startswith("up to ")
    assert found[4].value.startswith("above ")
    edges = [float(one.value.removeprefix("above ").split(",")[0]) for one in found[1:]]
    price = frame()["price"].to_numpy()
    assert [int((price > edge).sum()) for edge in edges] == [960, 720, 480, 240]


def test_a_date_is_cut_into_stretches_of_time() -> None:
    found = compare("day")
    assert len(found) == 5
    assert found[0].value == "up to 2024-01-10 23:00"
    assert found[4].value == "above 2024-02-09 23:00"


def test_a_number_with_few_values_is_taken_value_by_value() -> None:
    assert sorted(one.value for one in compare("floor")) == ["0", "1", "2"]


def test_a_column_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as raised:
        compare("shopp", "nowhere")
    assert raised.value.faults == (
        "gate.slices: the table has no column 'shopp'; did you mean shop?",
        "gate.slices: the table has no column 'nowhere'; there are shop, price, day, floor",
    )


MANY = [f"v{number:03d}" for number in range(100)]
AWKWARD: dict[str, Any] = {
    "mixed": pd.Series([7, "7", 7.0, None, "x", 2.5] * 20, dtype=object),
    "whole numbers that got a NaN": pd.Series([1.0, 2.0, np.nan] * 40),
    "nullable": pd.array([1, 2, None] * 40, dtype="Int64"),
    "truth": pd.array([True, False, None] * 40, dtype="boolean"),
    "categories": pd.Categorical(["b", "a", None] * 40, categories=["unused", "a", "b"]),
    "all missing": pd.Series([np.nan] * 120),
    "texts, many": pd.Series(MANY + ["v000", "v001"] * 10),
    "numbers, many": pd.Series(np.r_[np.arange(100.0), [np.nan] * 20]),
    "nullable numbers, many": pd.array([*range(100), *[None] * 20], dtype="Int64"),
    "mostly the largest": pd.Series(np.r_[np.arange(30), np.full(90, 1000)]),
    "mostly the smallest": pd.Series(np.r_[np.arange(30), np.full(90, -5)]),
    "infinite": pd.Series(np.r_[np.arange(100.0), [np.inf, -np.inf] * 10]),
    "dates": pd.Series([*pd.date_range("2024-01-01", periods=110, tz="UTC"), *[pd.NaT] * 10]),
    "dates without a zone": pd.Series(pd.date_range("2024-01-01", periods=120)),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_slices_are_few_never_empty_and_hold_every_row_once(name: str) -> None:
    found = list(divide(pd.Series(AWKWARD[name])))
    assert sorted(np.concatenate([rows for _, rows in found]).tolist()) == list(range(120))
    assert all(len(rows) for _, rows in found)
    assert len(found) <= MOST + 1
    assert len({value for value, _ in found}) == len(found)


def test_one_value_in_two_types_is_one_slice() -> None:
    counts = {value: len(rows) for value, rows in divide(AWKWARD["mixed"])}
    assert counts == {"7": 60, "2.5": 20, "x": 20, MISSING: 20}


def test_the_least_frequent_values_share_a_slice() -> None:
    counts = {value: len(rows) for value, rows in divide(AWKWARD["texts, many"])}
    assert len(counts) == MOST
    assert (counts["v000"], counts["v001"], counts["v002"]) == (11, 11, 1)
    assert counts[OTHER] == 120 - 22 - (MOST - 3)


def test_a_value_that_is_most_rows_has_a_stretch_beside_the_rest() -> None:
    counts = {value: len(rows) for value, rows in divide(pd.Series([*range(23), *[1000] * 177, 24.5, 25.5]))}
    assert counts == {"up to 25.5": 25, "above 25.5": 177}
    counts = {value: len(rows) for value, rows in divide(pd.Series([*range(25), *[-5] * 177]))}
    assert counts == {"up to -5": 177, "above -5": 25}


def test_a_ranking_is_judged_by_the_order_within_the_slice() -> None:
    random = np.random.default_rng(3)
    query = np.repeat(np.arange(ROWS // 8), 8)
    truth, ours, theirs = random.integers(0, 3, ROWS).astype(float), random.normal(size=ROWS), random.normal(size=ROWS)
    where = pd.DataFrame({"shop": np.resize(["a", "b"], ROWS)})
    blocks = query * DAYS // (ROWS // 8)
    settings = GateSettings(slices=("shop",), slice_min_rows=50)
    found = compare_slices(where, settings, truth, ours, theirs, blocks, METRICS["ndcg"], query)
    for one in found:
        rows = (where["shop"] == one.value).to_numpy()
        each = [
            oracle.ndcg_score([2 ** truth[rows & (query == q)] - 1], [ours[rows & (query == q)]])
            for q in range(ROWS // 8)
            if truth[rows & (query == q)].any()
        ]
        assert one.challenger == pytest.approx(np.mean(each))
        assert one.interval is not None
