from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from configs.flights import departures
from tasks.features import build_features
from tasks.plans import Encoding, Features
from tasks.records import Columns, Floats, Target
from tasks.serving import apply_plan
from tasks.settings import ColumnKind, FeatureSettings

TARGET = Target("sold", "binary", (0, 1))
KINDS: dict[str, ColumnKind] = {"price": "number", "shop": "category", "day": "date"}


def features(kinds: dict[str, ColumnKind], encoding: Encoding = "native", **chosen: Any) -> Features:
    made: Features = build_features.plain(
        Columns(TARGET, kinds), FeatureSettings(**{"rare": 1, "date_parts": ("month", "hour"), **chosen}), encoding
    )
    return made


def fitted(values: Any, kind: ColumnKind, encoding: Encoding = "native", **chosen: Any) -> Features:
    """Fitted on one column called x."""
    return features({"x": kind}, encoding, **chosen).fit(pd.DataFrame({"x": values}))


def codes(model: Features, values: Any) -> list[float]:
    return model.transform(pd.DataFrame({"x": values}))[:, 0].tolist()


def sales(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "price": random.normal(10, 3, rows),
            "shop": random.choice(["north", "south", "west"], rows, p=[0.6, 0.3, 0.1]),
            "day": pd.Timestamp("2024-01-31T22:00", tz="UTC") + pd.to_timedelta(np.arange(rows), "h"),
        }
    )
    return frame.assign(price=frame["price"].where(random.random(rows) > 0.1), shop=frame["shop"].where(random.random(rows) > 0.1))


@pytest.mark.parametrize("encoding", ["native", "dense"])
def test_what_is_learned_is_learned_from_training_rows_alone(encoding: Encoding) -> None:
    train, later = sales(), sales(seed=1).assign(price=1e6, shop="east")
    model = features(KINDS, encoding).fit(train)
    before = json.dumps(model.plan_)
    model.transform(later)
    assert json.dumps(model.plan_) == before
    assert "east" not in before


def test_an_unfitted_transformer_knows_nothing_and_a_clone_forgets() -> None:
    model = features(KINDS).fit(sales())
    assert not hasattr(features(KINDS), "plan_")
    assert not hasattr(clone(model), "plan_")


def test_the_time_column_is_expanded_unless_told_otherwise() -> None:
    columns = Columns(TARGET, {"price": "number"}, "day")
    expanded, left = (build_features.plain(columns, FeatureSettings(expand_time=expand), "native") for expand in (True, False))
    assert expanded.fit(sales()).names == ("price", "day_month", "day_weekday", "day_hour")
    assert left.fit(sales()).names == ("price",)


def test_categories_are_numbered_the_most_frequent_first() -> None:
    assert codes(fitted(["b", "a", "b", "c", "c"], "category"), ["a", "b", "c"]) == [2, 0, 1]


def test_an_unseen_category_shares_the_rare_ones_place() -> None:
    model = fitted(["a"] * 3 + ["b"] * 3 + ["c"], "category", rare=2)
    assert codes(model, ["a", "b", "c", "never seen"]) == [0, 1, 2, 2]


def test_no_more_categories_are_kept_than_wished_and_those_the_most_frequent() -> None:
    model = fitted(["a"] * 2 + ["b"] * 3 + ["c"] * 4, "category", keep=2)
    assert codes(model, ["c", "b", "a"]) == [0, 1, 2]


def test_where_all_are_rare_all_share_one_place() -> None:
    assert codes(fitted(["a", "b"], "category", rare=5), ["a", "b", "c", None]) == pytest.approx([0, 0, 0, np.nan], nan_ok=True)


def test_a_missing_category_stays_missing() -> None:
    model = fitted(["a", None, "b", np.nan], "category")
    assert np.isnan(codes(model, [None, np.nan, pd.NA])).all()


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([7, 8, 9, 7]),
        pd.Series([7.0, 8.0, 9.0, 7.0]),
        pd.Series(["7", "8", "9", "7"]),
        pd.Series(["7", "8", "9", "7"], dtype=object),
        pd.Series([7, 8, 9, 7], dtype="Int64"),
        pd.Series([7, 8, 9, 7], dtype=object),
        pd.Series([7, 8, 9, 7]).astype("category"),
        pd.Series(["7", "8", "9", "7"]).astype("category"),
        pd.Series([7, "8", 9.0, "7"], dtype=object),
    ],
    ids=lambda values: f"{values.dtype}",
)
def test_a_category_is_the_same_whatever_type_it_comes_in(values: pd.Series) -> None:
    model = fitted(["7", "8", "9", "7"], "category")
    assert codes(model, values) == [0, 1, 2, 0]
    assert fitted(values, "category").plan_ == model.plan_


def test_one_category_in_two_types_is_as_frequent_as_both_together() -> None:
    model = fitted(pd.Series([7, "7", 8, 9, 9, 9], dtype=object), "category", rare=2)
    assert model.plan_["columns"][0]["values"] == ["9", "7"]


def test_whole_numbers_keep_their_categories_when_one_goes_missing() -> None:
    model = fitted([7, 7, 8], "category")
    assert codes(model, pd.Series([7, None, 8])) == pytest.approx([0, np.nan, 1], nan_ok=True)


@pytest.mark.parametrize(
    "values",
    [pd.Series([True, False, None], dtype=object), pd.Series([True, False, None], dtype="boolean")],
    ids=["object", "nullable"],
)
def test_true_and_false_are_the_same_with_and_without_a_missing_one(values: pd.Series) -> None:
    assert codes(fitted([True, True, False], "category"), values) == pytest.approx([0, 1, np.nan], nan_ok=True)
    assert codes(fitted([True, True, False], "number"), values) == pytest.approx([1, 0, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1.0, 2.0, None]),
        pd.Series(["1", "2", None]),
        pd.Series([1, 2, None], dtype=object),
        pd.Series([1, 2, np.inf]),
        pd.Series([1, 2, -np.inf]),
        pd.Series([1, 2, None], dtype="Float32"),
        pd.Series([1, 2, None]).astype("category"),
        pd.Series([1, 2, "n/a"], dtype=object),
    ],
    ids=lambda values: f"{values.dtype}",
)
def test_a_number_is_the_same_whatever_type_it_comes_in_and_infinite_is_missing(values: pd.Series) -> None:
    assert codes(fitted([1, 2, 3], "number"), values) == pytest.approx([1, 2, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    "values",
    [
        ["2024-02-01T03:00:00Z", "2024-02-01T04:30:00+01:00"],
        ["2024-02-01 03:00:00", "2024-02-01T03:30"],
        pd.Series(pd.to_datetime(["2024-02-01 03:00", "2024-02-01 03:30"])),
        pd.Series(pd.to_datetime(["2024-02-01 03:00", "2024-02-01 03:30"])).astype("datetime64[ns]"),
        pd.Series(pd.to_datetime(["2024-02-01 12:00", "2024-02-01 12:30"])).dt.tz_localize("Asia/Tokyo"),
        pd.Series([pd.Timestamp("2024-02-01 03:00").to_pydatetime(), pd.Timestamp("2024-02-01 03:30", tz="UTC")], dtype=object),
    ],
    ids=["zoned text", "text of two lengths", "naive", "nanoseconds", "another zone", "objects"],
)
def test_a_date_is_the_same_whatever_it_is_written_as(values: Any) -> None:
    model = fitted(values, "date", date_parts=("year", "month", "day", "weekday", "hour", "minute", "day_of_year", "age"))
    rows = model.transform(pd.DataFrame({"x": values}))
    assert rows[0].tolist() == pytest.approx([2024, 2, 1, 3, 3, 0, 32, 19754.125])
    assert rows[1].tolist() == pytest.approx([2024, 2, 1, 3, 3, 30, 32, 19754 + 3.5 / 24])
    assert model.names == tuple(f"x_{part}" for part in ("year", "month", "day", "weekday", "hour", "minute", "day_of_year", "age"))


def test_dates_far_away_are_dates_too() -> None:
    model = fitted(["9999-12-31", "0001-01-01"], "date", date_parts=("year", "age"))
    days = [(pd.Timestamp(text).to_pydatetime() - pd.Timestamp(0).to_pydatetime()).days for text in ("9999-12-31", "0001-01-01")]
    assert model.transform(pd.DataFrame({"x": ["9999-12-31", "0001-01-01"]})).tolist() == [[9999, days[0]], [1, days[1]]]


@pytest.mark.parametrize("values", [[None, "soon"], [np.nan, np.nan], [5, 6], [None, pd.NaT]], ids=str)
def test_what_is_no_date_is_missing(values: Any) -> None:
    model = fitted(["2024-02-01"], "date", date_parts=("month", "age"))
    assert np.isnan(model.transform(pd.DataFrame({"x": values}))).all()


def test_the_order_of_columns_does_not_matter() -> None:
    frame = sales()
    model = features(KINDS).fit(frame)
    np.testing.assert_array_equal(model.transform(frame[["day", "shop", "price"]].assign(more=1)), model.transform(frame))


def test_every_column_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="the model needs columns that the data lacks: price, day"):
        features(KINDS).fit(sales()).transform(sales()[["shop"]])


@pytest.mark.parametrize("encoding", ["native", "dense"])
@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_or_one_row_is_transformed_like_many(encoding: Encoding, rows: int) -> None:
    frame = sales()
    model = features(KINDS, encoding).fit(frame)
    np.testing.assert_array_equal(model.transform(frame.head(rows)), model.transform(frame)[:rows])


def test_a_column_of_which_nothing_was_known_is_harmless_later() -> None:
    model = features({"x": "number", "y": "category"}, "dense").fit(pd.DataFrame({"x": [None, None], "y": [None, None]}))
    assert model.names == ("x", "x missing", "y=(other)", "y missing")
    assert model.transform(pd.DataFrame({"x": [3.0, None], "y": ["new", None]})).tolist() == [[3, 0, 1, 0], [0, 1, 0, 1]]


def test_dense_numbers_are_those_of_scikit_learn() -> None:
    frame = sales()
    model = features({"price": "number"}, "dense").fit(frame)
    imputer, scaler, flag = SimpleImputer(strategy="median"), StandardScaler(), MissingIndicator()
    filled = imputer.fit_transform(frame[["price"]])
    expected = np.column_stack([scaler.fit_transform(filled), flag.fit_transform(frame[["price"]])])
    np.testing.assert_allclose(model.transform(frame), expected, atol=1e-12)
    later = sales(50, seed=3)
    expected = np.column_stack([scaler.transform(imputer.transform(later[["price"]])), flag.transform(later[["price"]])])
    np.testing.assert_allclose(model.transform(later), expected, atol=1e-12)


def test_dense_categories_are_those_of_scikit_learn() -> None:
    frame = sales().dropna()
    later = pd.DataFrame({"shop": ["west", "north", "unknown"]})
    model = features({"shop": "category"}, "dense", rare=30).fit(frame)
    oracle = OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist", sparse_output=False).fit(frame[["shop"]])
    by_name = dict(zip(oracle.get_feature_names_out(["shop"]), oracle.transform(later).T, strict=True))
    expected = [by_name[f"shop_{name}"] for name in ("north", "south", "infrequent_sklearn")]
    assert model.names == ("shop=north", "shop=south", "shop=(other)")
    assert model.transform(later).T.tolist() == [column.tolist() for column in expected]


@settings(max_examples=60, deadline=None)
@given(
    train=st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=12),
    later=st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=12),
    kind=st.sampled_from(["number", "category"]),
)
def test_a_dense_matrix_has_only_numbers_that_a_float32_holds(train: Any, later: Any, kind: ColumnKind) -> None:
    model = fitted(pd.Series(train, dtype=float), kind, "dense")
    for values in (train, later):
        matrix = model.transform(pd.DataFrame({"x": pd.Series(values, dtype=float)}))
        assert np.isfinite(matrix.astype(np.float32)).all()
        assert matrix.shape == (len(values), len(model.names))


@pytest.mark.parametrize("value", [0.1, 1e-300, 1e300, -3.3])
def test_a_constant_column_does_not_explode_on_other_values(value: float) -> None:
    model = fitted([value] * 1000, "number", "dense")
    assert model.plan_["dense"][0]["scale"] == 1.0
    assert fitted([1 / 3] * 100_000, "number", "dense").plan_["dense"][0]["scale"] == 1.0  # whose mean is not quite a third
    assert codes(model, [value]) == pytest.approx([0], abs=1e-9)


@pytest.mark.parametrize("encoding", ["native", "dense"])
@settings(max_examples=20, deadline=None)
@given(shops=st.lists(st.none() | st.text(max_size=5), min_size=2, max_size=20), seed=st.integers(0, 99))
def test_a_plan_survives_json_exactly(encoding: Encoding, shops: list[str | None], seed: int) -> None:
    frame = sales(len(shops), seed).assign(shop=pd.Series(shops, dtype=object))
    model = features(KINDS, encoding).fit(frame)
    read = json.loads(json.dumps(model.plan_))
    assert read == model.plan_
    np.testing.assert_array_equal(apply_plan(read, frame), model.transform(frame))


def test_native_names_and_categories_are_told_by_position() -> None:
    model = features({"day": "date", "day_month": "category", "price": "number"}).fit(sales().assign(day_month="a"))
    assert model.names == ("day_month", "day_hour", "day_month", "price")  # a date's part and a column of the same name
    assert model.categorical == (2,)
    assert features({"shop": "category"}, "dense").fit(sales()).categorical == ()


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return departures()


def flight_features(flights: pd.DataFrame) -> Features:
    kinds: dict[str, ColumnKind] = {
        name: "date" if name == "time_hour" else "category" if values.dtype == "str" else "number"
        for name, values in flights.drop(columns="late").items()
    }  # type: ignore[assignment]
    return features(kinds, rare=20).fit(flights)


def test_all_flights_of_a_year_are_transformed_in_a_second(flights: pd.DataFrame) -> None:
    model = flight_features(flights)
    started = time.process_time()
    matrix = model.transform(flights)
    assert time.process_time() - started < 1
    assert matrix.shape == (336_776, len(model.names))


def test_a_transformation_takes_hardly_more_memory_than_its_result(flights: pd.DataFrame) -> None:
    model = flight_features(flights)
    tracemalloc.start()
    matrix: Floats = model.transform(flights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * matrix.nbytes
