from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.columns import check_declared, check_presence, check_values, find_features
from tasks.records import Finding
from tasks.settings import TableSettings

ROWS = 6
KINDS: dict[str, tuple[Any, str]] = {
    "integers": ([1, 2, 3, 4, 5, 6], "number"),
    "fractions with gaps": ([1.5, None, 3.0, 4.0, 5.0, 6.0], "number"),
    "nullable integers": (pd.array([1, None, 3, 4, 5, 6], dtype="Int64"), "number"),
    "nullable fractions": (pd.array([1.5, None, 3, 4, 5, 6], dtype="Float64"), "number"),
    "true and false": ([True, False, True, False, True, False], "number"),
    "nullable true and false": (pd.array([True, None, True, False, True, False], dtype="boolean"), "number"),
    "true, false and None": (pd.Series([True, None, False, True, True, False], dtype=object), "number"),
    "decimals": (pd.Series([Decimal("1.5"), None, *map(Decimal, "3456")], dtype=object), "number"),
    "text": (["a", "b", "a", "b", "a", None], "category"),
    "pandas 3 text": (pd.Series(["a", "b", "a", "b", "a", None], dtype="str"), "category"),
    "nullable text": (pd.array(["a", "b", "a", "b", "a", None], dtype="string"), "category"),
    "text in an object column": (pd.Series(["a", "b", "a", "b", "a", None], dtype=object), "category"),
    "pandas categories": (pd.Categorical(["a", "b", "a", "b", "a", None]), "category"),
    "numbers as text": (["1", "2", "3", "4", "5", "6"], "category"),
    "datetimes": (pd.date_range("2013-01-01", periods=ROWS), "date"),
    "datetimes with a zone": (pd.date_range("2013-01-01", periods=ROWS, tz="Europe/Paris"), "date"),
    "dates": (pd.Series([dt.date(2013, 1, day) for day in range(1, 7)], dtype=object), "date"),
    "ISO dates as text": ([f"2013-01-0{day}" for day in range(1, 7)], "date"),
    "ISO times as text with gaps": (["2013-01-01T10:00:00Z", None, *[f"2013-01-0{day}T10:00:00Z" for day in range(3, 7)]], "date"),
    "all but one ISO dates": (["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04", "2013-01-05", "soon"], "category"),
    "day first": ([f"0{day}/01/2013" for day in range(1, 7)], "category"),
    "years as text": ([f"201{year}" for year in range(6)], "category"),
    "two shapes of dates": ([*[f"2013-01-0{day}" for day in range(1, 6)], "2013-01-06T10:00:00Z"], "category"),
}
LEFT_OUT: dict[str, tuple[Any, str]] = {
    "nothing": ([None] * ROWS, "empty"),
    "NaN": ([np.nan] * ROWS, "empty"),
    "one number": ([7] * ROWS, "constant: every value is 7"),
    "one text": (["x"] * ROWS, "constant: every value is x"),
    "lists": (pd.Series([[1], [2], [3], [4], [5], [6]], dtype=object), "mixture of types"),
    "numbers and text": (pd.Series([1, "a", 2, "b", 3, "c"], dtype=object), "mixture of types"),
    "lengths of time": (pd.to_timedelta(range(ROWS), unit="h"), "length of time"),
    "beyond 2^53": ([2**53 + k for k in range(ROWS)], "2^53"),
}


def table(**columns: Any) -> TableSettings:
    return TableSettings(**{"target": "y", **columns})


def frame_of(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": values, "y": [0, 1] * (ROWS // 2)})


@pytest.mark.parametrize(("values", "kind"), KINDS.values(), ids=KINDS)
def test_the_kind_of_a_column_is_told_from_its_values(values: Any, kind: str) -> None:
    assert find_features(frame_of(values), table())[0] == {"x": kind}


@pytest.mark.parametrize(("values", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_column_that_no_model_can_learn_from_is_left_out_with_a_reason(values: Any, reason: str) -> None:
    features, left_out = find_features(frame_of(values), table())
    assert features == {}
    assert reason in left_out["x"]


def test_a_value_that_is_sometimes_missing_is_not_constant() -> None:
    assert find_features(frame_of(["x", None] * 3), table())[0] == {"x": "category"}


def test_target_time_and_undeclared_keys_are_no_features() -> None:
    frame = pd.DataFrame({name: range(ROWS) for name in ("y", "when", "id", "shop", "x")})
    settings = table(time="when", key=("id", "shop"), columns={"shop": "category"})
    assert find_features(frame, settings)[0] == {"shop": "category", "x": "number"}


def test_the_order_of_the_columns_does_not_matter() -> None:
    frame = pd.DataFrame({name: range(ROWS) for name in ("b", "y", "c", "a")})
    settings = table(columns={"c": "number"})
    assert list(find_features(frame, settings)[0]) == list(find_features(frame[["c", "a", "y", "b"]], settings)[0]) == ["a", "b", "c"]


@pytest.mark.parametrize("values", [["a", "b", "c"] * 2, pd.Categorical(["a", "b", "c"] * 2)])
def test_too_many_categories_are_left_out_unless_declared(values: Any) -> None:
    assert "3 distinct values" in find_features(frame_of(values), table(max_categories=2))[1]["x"]
    assert find_features(frame_of(values), table(max_categories=2, columns={"x": "category"}))[0] == {"x": "category"}
    assert find_features(frame_of(values), table(max_categories=3))[0] == {"x": "category"}


def test_other_columns_can_be_ignored() -> None:
    frame = pd.DataFrame({"y": [0, 1], "a": [1, 2], "b": [1, 2]})
    features, left_out = find_features(frame, table(columns={"a": "number"}, other_columns="ignore"))
    assert (features, list(left_out)) == ({"a": "number"}, ["b"])
    assert check_values(frame, features, left_out) == []


def test_other_columns_can_be_rejected() -> None:
    settings = table(columns={"a": "number", "old": "ignore"}, other_columns="reject")
    assert all(finding.passed for finding in check_presence(["y", "a", "old"], settings))
    assert failed(check_presence(["y", "a", "b", "c"], settings))[0].observed == "2 more: b, c"


def test_a_missing_column_is_named_with_its_role_and_the_nearest_name() -> None:
    settings = TableSettings(target="late", time="time_hour", key=("flight",), columns={"origin": "category", "gone": "ignore"})  # type: ignore[arg-type]
    missing = failed(check_presence(["Late", "time_hours", "orign", "x"], settings, keep=["shop"]))
    assert [(finding.column, finding.severity) for finding in missing] == [
        ("late", "critical"), ("time_hour", "critical"), ("shop", "critical"), ("origin", "critical"), ("flight", "critical")
    ]  # fmt: skip
    assert "did you mean Late?" in missing[0].observed
    assert "did you mean time_hours?" in missing[1].observed
    assert "(declared category)" in missing[3].expected


DECLARED: dict[str, tuple[str, Any, int]] = {
    "text for numbers": ("number", ["1", "2", "n/a", "4", "unknown", None], 2),
    "dates for numbers": ("number", pd.date_range("2013-01-01", periods=ROWS), ROWS),
    "whole numbers that are not exact": ("number", [1, 2, 3, 4, 5, 2**60], 1),
    "fractions for a category": ("category", [1.0, 2.0, 2.5, None, 3.0, 1.0], 1),
    "dates for a category": ("category", pd.date_range("2013-01-01", periods=ROWS), ROWS),
    "numbers for dates": ("date", range(ROWS), ROWS),
    "words for dates": ("date", ["2013-01-01", "soon", "2013-01-03", None, "31/01/2013", "2013-01-06"], 2),
    "a mixture for numbers": ("number", pd.Series([1, "a", 2, 3, 4, 5], dtype=object), ROWS),
}
HONOURED: dict[str, tuple[str, Any]] = {
    "numbers": ("number", [1.5, None, 2, 3, 4, 5]),
    "true/false as a number": ("number", [True, False] * 3),
    "whole numbers as a category": ("category", [1, 2, 3] * 2),
    "whole numbers that got a gap": ("category", [1.0, 2.0, None] * 2),
    "true/false as a category": ("category", [True, False] * 3),
    "ISO text as dates": ("date", ["2013-01-01", None, "2013-01-03"] * 2),
    "nothing at all": ("number", [None] * ROWS),
}


@pytest.mark.parametrize(("kind", "values", "rows"), DECLARED.values(), ids=DECLARED)
def test_a_column_that_is_not_what_was_declared_is_rejected_with_count_and_examples(kind: str, values: Any, rows: int) -> None:
    (finding,) = failed(check_declared(frame_of(values), table(columns={"x": kind})))
    assert (finding.column, finding.severity, finding.failed_rows) == ("x", "critical", rows)
    assert finding.examples


@pytest.mark.parametrize(("kind", "values"), HONOURED.values(), ids=HONOURED)
def test_a_column_that_is_what_was_declared_passes(kind: str, values: Any) -> None:
    assert not failed(check_declared(frame_of(values), table(columns={"x": kind})))


def test_examples_name_the_row_of_the_source_and_its_key() -> None:
    frame = pd.DataFrame({"x": ["1", "bad"], "id": ["a", "b"], "y": [0, 1]})
    (finding,) = failed(check_declared(frame, table(columns={"x": "number"}, key=("id",))))
    assert finding.examples == ("bad (row 2, id=b)",)
    assert finding.observed == "text (str) in 1 of 2 rows (50 %)"


def test_numbers_as_text_are_to_be_converted_in_the_source() -> None:
    (finding,) = failed(check_declared(frame_of(list("123456")), table(columns={"x": "number"})))
    assert "convert it in the source" in finding.observed


def test_infinite_values_of_a_feature_are_a_warning() -> None:
    frame = frame_of([1.0, np.inf, 2.0, -np.inf, 3.0, np.nan])
    (finding,) = check_values(frame, {"x": "number"}, {})
    assert (finding.severity, finding.passed, finding.failed_rows) == ("warning", False, 2)


def test_a_table_without_a_single_feature_is_rejected() -> None:
    findings = check_values(frame_of([1] * ROWS), *find_features(frame_of([1] * ROWS), table()))
    assert [(finding.check, finding.severity) for finding in failed(findings)] == [
        ("column is worth using", "warning"), ("there are features", "critical")
    ]  # fmt: skip


def failed(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.passed]
