from __future__ import annotations

import contextlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks import artifacts
from tasks.checks.findings import finding_rows
from tasks.digests import digest
from tasks.errors import ConfigError, DataRejected
from tasks.records import Finding, Suspect, Table, Target
from tasks.settings import Expectation, LeakageSettings, TableSettings, ValidationSettings
from tasks.validation import validate_table, validation_page
from tests.flights import FLIGHTS, KEY, all_flights, flights_between, loaded

ROWS = 300
START = pd.Timestamp("2013-01-01", tz="UTC")
AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
NOW = datetime(2013, 3, 1, tzinfo=UTC)
TIMED = TableSettings(target="y", time="when", key=("id",))  # type: ignore[arg-type]


def rows(**changes: Any) -> pd.DataFrame:
    """300 hourly rows from 2013-01-01 on, a harmless number and a harmless category, two classes."""
    random = np.random.default_rng(0)
    columns = {
        "id": [f"id{row}" for row in range(ROWS)],
        "when": START + pd.to_timedelta(np.arange(ROWS), unit="h"),
        "number": random.normal(size=ROWS),
        "category": random.choice(["a", "b", "c"], ROWS),
        "y": random.integers(0, 2, ROWS),
    }
    return pd.DataFrame({**columns, **changes})


def validate(
    frame: pd.DataFrame,
    columns: TableSettings = TIMED,
    as_of: datetime = AS_OF,
    now: datetime = NOW,
    keep: tuple[str, ...] = (),
    **settings: Any,
) -> Table:
    return validate_table(loaded(frame), columns, ValidationSettings(**settings), as_of, now, keep)


def rejected(frame: pd.DataFrame, columns: TableSettings = TIMED, **arguments: Any) -> DataRejected:
    with pytest.raises(DataRejected) as caught:
        validate(frame, columns, **arguments)
    return caught.value


def failed(findings: tuple[Finding, ...], severity: str = "critical") -> list[tuple[str, str]]:
    return [(finding.check, finding.column) for finding in findings if not finding.passed and finding.severity == severity]


class TestAccepted:
    """What comes out of a table that is fit to train on."""

    def test_the_table_holds_used_columns_in_time_order_with_their_roles(self) -> None:
        shuffled = rows(old=1, note="x").sample(frac=1, random_state=0)
        table = validate(shuffled, TIMED.changed(columns={"note": "ignore"}))
        assert table.columns.target == Target("y", "binary", (0, 1))
        assert table.columns.features == {"category": "category", "number": "number"}
        assert (table.columns.time, table.columns.key) == ("when", ("id",))
        assert set(table.columns.left_out) == {"old", "note"}
        assert list(table.frame) == ["category", "id", "number", "when", "y"]
        assert list(table.frame.index) == list(range(ROWS))
        assert table.frame["when"].is_monotonic_increasing
        assert list(table.frame["id"]) == [f"id{row}" for row in range(ROWS)]

    def test_rows_at_the_same_time_keep_their_order(self) -> None:
        frame = rows(when=[START + pd.Timedelta(hours=1 - row % 2) for row in range(ROWS)])
        assert list(validate(frame).frame["id"].head(3)) == ["id1", "id3", "id5"]

    def test_rows_without_a_time_column_keep_their_order(self) -> None:
        frame = rows().drop(columns="when").sample(frac=1, random_state=0)
        table = validate(frame, TableSettings(target="y", key=("id",)))
        assert list(table.frame["id"]) == list(frame["id"])
        assert table.newest is None

    def test_the_digest_is_of_exactly_these_rows_in_any_order(self) -> None:
        table, shuffled = validate(rows()), validate(rows().sample(frac=1, random_state=0)[["y", "number", "when", "category", "id"]])
        assert table.digest == shuffled.digest == digest(table.frame)
        assert table.digest != validate(rows()[1:]).digest
        pd.testing.assert_frame_equal(table.frame, shuffled.frame)

    def test_text_times_and_datetimes_give_the_same_table(self) -> None:
        text = rows()
        text["when"] = text["when"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert validate(text).digest == validate(rows()).digest

    def test_the_source_frame_is_left_alone(self) -> None:
        frame = rows(when=[f"2013-01-{1 + row % 28:02d}" for row in range(ROWS)], y=[1.0, None] * (ROWS // 2)).set_index("id", drop=False)
        frame.loc[frame.index[::4], "y"] = 0.0
        before = frame.copy(deep=True)
        validate(frame)
        pd.testing.assert_frame_equal(frame, before)

    def test_a_column_that_must_stay_stays_though_it_is_no_feature(self) -> None:
        frame = rows(shop=[f"shop {row}" for row in range(ROWS)])
        table = validate(frame, TIMED.changed(max_categories=10), keep=("shop",))
        assert "shop" in table.frame
        assert "shop" not in table.columns.features
        assert failed(rejected(rows(), keep=("shop",)).findings) == [("columns are there", "shop")]

    def test_every_check_is_in_the_findings(self) -> None:
        checks = [finding.check for finding in validate(rows()).findings]
        assert checks == [
            "columns are there", "time is readable", "time is not in the future", "rows before the as-of date", "key is complete",
            "key is unique", "labels are known", "enough rows", "target is finite", "target is not constant", "task fits the target",
            "no leakage",
        ]  # fmt: skip

    def test_nullable_and_categorical_columns_go_through(self) -> None:
        frame = rows()
        frame["number"] = frame["number"].astype("Float64")
        frame["category"] = frame["category"].astype("category")
        frame["flag"] = pd.array([True, False, None] * 100, dtype="boolean")
        frame["y"] = frame["y"].astype("Int64")
        table = validate(frame)
        assert table.columns.features == {"category": "category", "flag": "number", "number": "number"}
        assert str(table.frame["y"].dtype) == "int64"

    def test_a_databases_objects_become_numbers_and_times(self) -> None:
        days = [(START + pd.Timedelta(days=row % 20)).date() for row in range(ROWS)]
        amounts = [Decimal(row % 7) / 4 if row % 5 else None for row in range(ROWS)]
        flags = [bool(row % 2) if row % 3 else None for row in range(ROWS)]
        objects = {"amount": amounts, "day": days, "flag": flags}
        table = validate(rows(**{name: pd.Series(values, dtype=object) for name, values in objects.items()}))
        assert {name: str(table.frame[name].dtype) for name in objects} == {
            "amount": "float64", "day": "datetime64[us, UTC]", "flag": "float64"
        }  # fmt: skip
        assert table.frame["amount"].isna().sum() == ROWS / 5


class TestCut:
    """Which rows a retrain may see."""

    def test_a_row_at_the_cut_itself_is_not_seen(self) -> None:
        table = validate(rows(), as_of=datetime(2013, 1, 8, tzinfo=UTC))
        assert (len(table.frame), table.after_cut) == (7 * 24, ROWS - 7 * 24)
        assert table.newest == datetime(2013, 1, 7, 23, tzinfo=UTC)

    def test_the_label_delay_moves_the_cut(self) -> None:
        delayed = TIMED.changed(time={"column": "when", "label_delay": "36h"})
        assert len(validate(rows(), delayed, as_of=datetime(2013, 1, 8, tzinfo=UTC)).frame) == 7 * 24 - 36

    def test_nothing_after_the_cut_can_change_the_table(self) -> None:
        early = datetime(2013, 1, 8, tzinfo=UTC)
        spoilt = rows()
        spoilt.loc[200:, "number"] = np.inf
        spoilt.loc[200:, "category"] = None
        spoilt.loc[200:, "y"] = 7
        spoilt.loc[200:, "id"] = "id0"
        noted = {"expectations": (Expectation(type="expect_column_values_to_be_between", column="number", max_value=100),)}
        assert validate(spoilt, as_of=early, **noted).digest == validate(rows(), as_of=early).digest

    def test_no_row_before_the_as_of_date_says_when_the_first_one_is(self) -> None:
        error = rejected(rows(), as_of=datetime(2012, 1, 1, tzinfo=UTC))
        assert failed(error.findings) == [("rows before the as-of date", "when")]
        assert "300 rows, all later: the first at 1 January 2013" in str(error)

    def test_rows_in_the_future_reject_even_though_the_cut_would_hide_them(self) -> None:
        frame = rows()
        frame.loc[299, "when"] = pd.Timestamp(NOW) + timedelta(hours=1, seconds=1)
        error = rejected(frame, as_of=datetime(2013, 1, 8, tzinfo=UTC))
        assert failed(error.findings) == [("time is not in the future", "when")]
        assert "row 300, id=id299" in str(error)
        assert len(validate(frame, clock_tolerance=timedelta(hours=2)).frame) == ROWS - 1

    def test_unlabelled_rows_are_counted_and_left_out(self) -> None:
        table = validate(rows(y=[0.0, 1.0, None] * 100))
        assert (len(table.frame), table.unlabelled) == (200, 100)
        assert str(table.frame["y"].dtype) == "int64"

    def test_too_many_unlabelled_rows_reject(self) -> None:
        assert failed(rejected(rows(y=[0.0, 1.0, None] * 100), max_unlabelled=0.3).findings) == [("labels are known", "y")]

    def test_labels_on_no_row_reject(self) -> None:
        findings = rejected(rows(y=[None] * ROWS)).findings
        assert {check for check, _ in failed(findings)} >= {"labels are known", "enough rows"}


REJECTIONS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "a constant target": ({"y": 1}, [("target is not constant", "y")]),
    "an infinite target": ({"y": [0.5, np.inf, 1.5] * 100}, [("target is finite", "y")]),
    "a repeated key": ({"id": ["same", *[f"id{row}" for row in range(1, ROWS - 1)], "same"]}, [("key is unique", "id")]),
    "a gap in the key": ({"id": [None, *[f"id{row}" for row in range(1, ROWS)]]}, [("key is complete", "id")]),
    "times in seconds": ({"when": range(ROWS)}, [("time is readable", "when")]),
    "a missing time": ({"when": [None, *["2013-01-01"] * (ROWS - 1)]}, [("time is readable", "when")]),
    "no feature": ({"number": 1, "category": None}, [("there are features", "")]),
    "dates to predict": ({"y": pd.date_range("2013-01-01", periods=ROWS)}, [("target can be learned", "y")]),
}


@pytest.mark.parametrize(("changes", "checks"), REJECTIONS.values(), ids=REJECTIONS)
def test_data_that_is_not_fit_to_train_on_is_rejected(changes: dict[str, Any], checks: list[tuple[str, str]]) -> None:
    assert failed(rejected(rows(**changes)).findings) == checks


def test_too_few_rows_reject() -> None:
    error = rejected(rows()[:3])
    assert ("enough rows", "") in failed(error.findings)
    assert "at least 100 labelled rows; got 3 rows" in str(error)


def test_an_empty_frame_is_rejected() -> None:
    assert failed(rejected(rows()[:0]).findings)[0] == ("there are rows", "")


def test_the_message_names_check_column_count_and_examples_one_line_each() -> None:
    frame = rows(number=["1.5", "x"] * 150, id=["twin", "twin", *[f"id{row}" for row in range(2, ROWS)]])
    error = rejected(frame, TIMED.changed(columns={"number": "number"}))
    assert str(error).splitlines() == [
        "rows.csv: 2 critical checks failed",
        "  number: declared kind number: expected numbers, whole ones within 2^53; got text (str) in 150 of 300 rows (50 %);"
        " such as x (row 2, id=twin), x (row 4, id=id3), x (row 6, id=id5), x (row 8, id=id7), x (row 10, id=id9)",
        "  id: key is unique: expected each key in one row only; got 2 of 300 rows (0.7 %); such as twin (row 1), twin (row 2)",
    ]


def test_all_that_can_be_found_together_is_reported_together() -> None:
    frame = rows(y=[0.5, np.inf, 2.5] * 100, id="same", number="x")
    expectations = (
        Expectation(type="expect_column_values_to_be_in_set", column="category", value_set=["a"]),
        Expectation(type="expect_column_values_to_not_be_null", column="category"),
        Expectation(type="expect_column_mean_to_be_between", column="nmber", min_value=0, severity="info"),
    )
    error = rejected(frame, TIMED.changed(columns={"number": "number"}), expectations=expectations)
    assert failed(error.findings) == [
        ("declared kind number", "number"), ("key is unique", "id"), ("expect_column_values_to_be_in_set", "category"),
        ("expect_column_mean_to_be_between", "nmber"), ("target is finite", "y"),
    ]  # fmt: skip
    assert len(str(error).splitlines()) == 6
    assert any(finding.passed for finding in error.findings)


def test_a_missing_column_is_reported_beside_what_else_is_wrong() -> None:
    error = rejected(rows(id="same").rename(columns={"y": "Y"}))
    assert failed(error.findings) == [("columns are there", "y"), ("key is unique", "id")]
    assert "did you mean Y?" in str(error)


def test_a_missing_time_column_is_reported_beside_wrong_kinds() -> None:
    error = rejected(rows(number="x").rename(columns={"when": "then"}), TIMED.changed(columns={"number": "number"}))
    assert failed(error.findings) == [("columns are there", "when"), ("declared kind number", "number")]


def test_a_failed_warning_does_not_reject() -> None:
    expectation = Expectation(type="expect_column_values_to_be_in_set", column="category", value_set=["a"], severity="warning")
    table = validate(rows(), expectations=(expectation,))
    assert failed(table.findings, "warning") == [("expect_column_values_to_be_in_set", "category")]
    assert table.expectations["failed"] == 1


def test_expectations_see_the_rows_before_the_cut_with_and_without_a_label() -> None:
    expectations = (
        Expectation(type="expect_table_row_count_to_equal", value=100),
        Expectation(type="expect_column_values_to_be_between", column="when", max_value="2013-01-05T03:00:00Z"),
        Expectation(type="expect_column_to_exist", column="note"),
    )
    as_of = START.to_pydatetime() + timedelta(hours=100)
    table = validate(rows(y=[0.0, 1.0, None] * 100, note="x"), as_of=as_of, min_rows=10, expectations=expectations)
    assert failed(table.findings) == []


def test_a_wrong_expectation_is_the_configs_fault() -> None:
    with pytest.raises(ConfigError, match=r"validation\.expectations\[0\]"):
        validate(rows(), expectations=(Expectation(type="expect_nothing"),))


class TestPolicies:
    """Rows that expectations leave out before the base suite looks, and failures that forbid a promotion."""

    odd = Expectation(type="expect_column_values_to_be_in_set", column="category", value_set=["a", "b", "c"], policy="drop")

    def test_dropped_rows_are_kept_aside_and_nothing_else_changes(self) -> None:
        frame = rows()
        frame.loc[[7, 9], "category"] = "?"
        table = validate(frame, expectations=(self.odd,))
        assert table.dropped is not None
        assert table.dropped.reset_index()[["row", "why", "id", "category"]].values.tolist() == [
            [row, "category: expect_column_values_to_be_in_set (value_set a, b, c)", f"id{row - 1}", "?"] for row in (8, 10)
        ]
        assert set(table.dropped) == {*rows(), "why"}
        assert table.digest == validate(frame.drop(index=[7, 9])).digest
        assert (len(table.frame), table.forbids) == (ROWS - 2, ())
        assert validate(rows(), expectations=(self.odd,)).dropped is None

    def test_the_base_suite_sees_what_is_left(self) -> None:
        twins = rows(id=["twin", "twin", *[f"id{row}" for row in range(2, ROWS)]])
        unique = Expectation(type="expect_column_values_to_be_unique", column="id", policy="drop")
        assert failed(rejected(twins).findings) == [("key is unique", "id")]
        assert len(validate(twins, expectations=(unique,)).frame) == ROWS - 2
        assert failed(rejected(twins, expectations=(unique,), min_rows=ROWS - 1).findings) == [("enough rows", "")]

    def test_an_infinite_label_can_be_left_out(self) -> None:
        finite = Expectation(type="expect_column_values_to_be_between", column="y", max_value=1e9, policy="drop")
        frame = rows(y=[*np.linspace(0, 1, ROWS - 1), np.inf])
        assert failed(rejected(frame).findings) == [("target is finite", "y")]
        assert len(validate(frame, expectations=(finite,)).frame) == ROWS - 1

    def test_rows_after_the_cut_neither_count_nor_are_kept(self) -> None:
        frame = rows()
        frame.loc[[7, 250, 251], "category"] = "?"
        early = START.to_pydatetime() + timedelta(hours=200)
        table = validate(frame, as_of=early, expectations=(self.odd,), max_dropped=1 / 200)
        assert table.dropped is not None
        assert list(table.dropped.index) == [8]

    def test_more_than_the_limit_reject_with_count_and_limit(self) -> None:
        frame = rows()
        frame.loc[:30, "category"] = "?"
        error = rejected(frame, expectations=(self.odd,))
        assert failed(error.findings) == [("few rows left out", "")]
        assert "at most 5.0 % of the rows left out by policy (validation.max_dropped); got 31 of 300 rows (10 %)" in str(error)

    def test_a_failure_can_forbid_a_promotion_instead_of_rejecting(self) -> None:
        entry = self.odd.model_copy(update={"policy": "forbid", "value_set": ["a", "b"]})
        table = validate(rows(), expectations=(entry,))
        assert len(table.forbids) == 1
        assert table.forbids[0].startswith("category: expect_column_values_to_be_in_set (value_set a, b) failed: ")
        assert failed(table.findings) == []

    def test_tables_show_the_policy_and_how_many_rows_went(self) -> None:
        frame = rows()
        frame.loc[[7, 9], "category"] = "?"
        shown = {row["check"]: row for row in finding_rows(validate(frame, expectations=(self.odd,)).findings)}
        left_out = shown["expect_column_values_to_be_in_set"]
        assert (left_out["policy"], left_out["failed rows"], left_out["observed"]) == ("drop", 2, "2 of 300 rows (0.7 %), left out")
        assert (shown["few rows left out"]["failed rows"], shown["key is unique"]["policy"]) == (2, "stop")
        table = validate(frame, expectations=(self.odd,))
        page = validation_page(table.findings, dropped=table.dropped)
        assert "2 of 300 rows (0.7 %), left out" in page
        assert "<td>id9</td>" in page

    def test_the_leakage_sentinel_says_what_it_leads_to(self) -> None:
        frame = rows()
        leaking = frame.assign(copy=frame["y"])
        for action, policy in (("block", "forbid"), ("warn", "warn")):
            (found,) = [row for row in finding_rows(validate(leaking, leakage={"action": action}).findings) if row["check"] == "no leakage"]
            assert (found["severity"], found["policy"]) == ("warning", policy)

    def test_dropping_by_a_whole_column_is_the_configs_fault(self) -> None:
        mean = Expectation(type="expect_column_mean_to_be_between", column="number", max_value=1, policy="drop")
        with pytest.raises(ConfigError, match=r"validation\.expectations\[1\]\.policy: drop leaves rows out"):
            validate(rows(), expectations=(self.odd, mean))


def test_empty_and_constant_features_are_left_out_with_a_warning() -> None:
    table = validate(rows(empty=None, always=3))
    assert failed(table.findings, "warning") == [("column is worth using", "always"), ("column is worth using", "empty")]
    assert set(table.columns.left_out) == {"always", "empty"}


class TestBadInput:
    """What else comes as data."""

    def test_a_column_that_turned_into_text_names_what_was_expected_and_what_came(self) -> None:
        error = rejected(rows(number=["1.5", "n/a"] * 150), TIMED.changed(columns={"number": "number"}))
        assert error.exit_code == 3
        assert "number: declared kind number: expected numbers, whole ones within 2^53; got text (str) in 150 of 300 rows" in str(error)

    def test_whole_numbers_that_floats_cannot_hold_are_left_out_and_declared_ones_rejected(self) -> None:
        frame = rows(code=[2**53 + 2 * row + 1 for row in range(ROWS)])
        assert "beyond 2^53" in validate(frame).columns.left_out["code"]
        assert failed(rejected(frame, TIMED.changed(columns={"code": "number"})).findings) == [("declared kind number", "code")]

    def test_true_and_false_and_zero_and_one_are_the_same_feature(self) -> None:
        flags = [bool(row % 3) for row in range(ROWS)]
        for values in (flags, [int(flag) for flag in flags]):
            assert validate(rows(flag=values)).columns.features["flag"] == "number"

    @pytest.mark.parametrize("labels", [[1, 2] * 150, ["1", "2"] * 150, [1.0, 2.0] * 150])
    def test_labels_one_and_two_are_two_classes(self, labels: list[Any]) -> None:
        target = validate(rows(y=labels)).columns.target
        assert (target.task, len(target.classes)) == ("binary", 2)

    def test_new_and_misspelt_categories_are_counted_and_rejected_beyond_a_share(self) -> None:
        known = Expectation(type="expect_column_values_to_be_in_set", column="category", value_set=["a", "b", "c"], mostly=0.98)
        frame = rows()
        frame.loc[[1, 2, 3, 4], "category"] = ["A", " a", "new", "b "]
        (told,) = [found for found in validate(frame, expectations=(known,)).findings if found.check.startswith("expect_")]
        assert (told.passed, told.failed_rows, told.observed) == (True, 4, "4 of 300 rows (1.3 %)")
        frame.loc[10:20, "category"] = "renamed"
        assert failed(rejected(frame, expectations=(known,)).findings) == [("expect_column_values_to_be_in_set", "category")]

    def test_one_category_in_several_spellings_is_a_warning(self) -> None:
        frame = rows(category=["a", "b"] * 150)
        frame.loc[[1, 2, 3], "category"] = ["A", " a", "B"]
        (told,) = [found for found in validate(frame).findings if found.check == "categories are spelt one way"]
        assert (told.severity, told.passed, told.failed_rows) == ("warning", False, 3)
        assert told.examples[0].startswith("'a' / ")

    @pytest.mark.parametrize("distinct", [50, 200])
    def test_numbers_that_a_word_turned_into_text_are_a_warning_used_or_left_out(self, distinct: int) -> None:
        values = [str(row % distinct / 4) for row in range(ROWS - 2)] + ["n/a", "unknown"]
        table = validate(rows(price=values), TIMED.changed(max_categories=100))
        (told,) = [found for found in table.findings if found.check == "numbers have no words among them"]
        assert (told.column, told.severity, told.failed_rows, told.examples) == ("price", "warning", 2, ("n/a", "unknown"))
        assert ("price" in table.columns.left_out) == (distinct > 100)
        declared = validate(rows(price=values), TIMED.changed(columns={"price": "category"}))
        assert failed(declared.findings, "warning") == []

    def test_codes_that_look_like_numbers_are_text_like_any_other(self) -> None:
        table = validate(rows(code=["007", "010", "100"] * 100))
        assert failed(table.findings, "warning") == []

    def test_a_year_9999_is_the_future_and_a_lone_1970_a_missing_time(self) -> None:
        for when, check in {"9999-12-31T00:00:00Z": "time is not in the future", "1970-01-01": "time is not zero"}.items():
            frame = rows()
            frame.loc[3, "when"] = pd.Timestamp(when).tz_localize(None).tz_localize("UTC").as_unit("us")
            assert failed(rejected(frame.astype({"when": "datetime64[us, UTC]"})).findings) == [(check, "when")]

    def test_cells_of_a_hundred_kilobytes_make_neither_a_long_message_nor_a_long_record(self) -> None:
        huge = ["x" * 100_000 + str(row) for row in range(ROWS)]
        entry = Expectation(type="expect_column_values_to_be_in_set", column="text", value_set=["a"], severity="warning")
        table = validate(rows(text=huge), TIMED.changed(max_categories=10), expectations=(entry,))
        assert len(str(table.expectations)) < 100_000
        assert len(validation_page(table.findings)) < 50_000
        assert len(str(rejected(rows(number=huge), TIMED.changed(columns={"number": "number"})))) < 2_000

    def test_a_hundred_thousand_ids_are_left_out_with_their_count(self) -> None:
        many = pd.DataFrame({"id": [f"id{row}" for row in range(100_000)], "number": range(100_000), "y": [0, 1] * 50_000})
        table = validate(many, TableSettings(target="y"), leakage=LeakageSettings(action="off"))
        assert table.columns.left_out["id"].startswith("100,000 distinct values")

    def test_hundreds_of_columns_come_through(self) -> None:
        random = np.random.default_rng(0)
        wide = pd.concat([rows(), pd.DataFrame(random.normal(size=(ROWS, 500)), columns=[f"x{k}" for k in range(500)])], axis=1)
        assert len(validate(wide).columns.features) == 502


class TestLeakage:
    """The sentinels warn; the gate is what blocks."""

    def test_a_copy_of_the_target_is_suspect_and_does_not_reject(self) -> None:
        frame = rows()
        table = validate(frame.assign(copy=frame["y"] * 2))
        assert [suspect.column for suspect in table.suspects] == ["copy"]
        assert failed(table.findings, "warning") == [("no leakage", "copy")]

    def test_off_and_allowed_columns_say_nothing(self) -> None:
        frame = rows()
        frame["copy"] = frame["y"] * 2
        off = validate(frame, leakage=LeakageSettings(action="off"))
        assert (off.suspects, [finding.check for finding in off.findings if finding.check == "no leakage"]) == ((), [])
        assert validate(frame, leakage=LeakageSettings(allow=("copy",))).suspects == ()

    def test_an_allowed_column_that_does_not_exist_is_a_warning(self) -> None:
        table = validate(rows(), leakage=LeakageSettings(allow=("numbr",)))
        assert failed(table.findings, "warning") == [("allowed columns are there", "numbr")]
        assert "did you mean number?" in table.findings[-1].observed

    def test_on_flights_each_column_from_after_departure_is_suspect_and_no_other(self) -> None:
        table = validate_table(
            loaded(all_flights()), FLIGHTS.changed(columns={"flight": "category", "tailnum": "category"}), ValidationSettings(), AS_OF
        )
        assert {suspect.column for suspect in table.suspects} == {"dep_delay", "dep_time", "arr_time", "arr_delay", "air_time"}


def test_flights_pass_with_their_key() -> None:
    table = validate_table(loaded(flights_between("2013-01-01", "2013-04-01")), FLIGHTS.changed(key=KEY), ValidationSettings(), AS_OF)
    assert table.columns.target == Target("late", "binary", (False, True))
    assert table.suspects == ()
    assert len(table.frame) + table.unlabelled + table.after_cut == len(flights_between("2013-01-01", "2013-04-01"))
    assert table.newest is not None
    assert table.newest < AS_OF


class TestArtifact:
    """The table that Prefect shows."""

    def published(self, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame) -> list[dict[str, Any]]:
        import prefect.artifacts

        kept: list[dict[str, Any]] = []
        monkeypatch.setattr(artifacts, "inside_flow", lambda: True)
        monkeypatch.setattr(prefect.artifacts, "create_table_artifact", lambda table, **named: kept.append({"table": table, **named}))
        with contextlib.suppress(DataRejected):
            validate(frame)
        return kept

    def test_is_published_for_accepted_and_for_rejected_data(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (accepted,) = self.published(monkeypatch, rows())
        (refused,) = self.published(monkeypatch, rows(y=1))
        assert (accepted["key"], refused["key"]) == ("validation", "validation")
        assert refused["description"] == "rows.csv: 1 of 10 checks failed"
        assert refused["table"][0]["check"] == "target is not constant"

    def test_holds_flat_rows_of_plain_values(self) -> None:
        for row in finding_rows(validate(rows(bad=[1.0, np.inf, np.nan] * 100)).findings):
            assert {type(value) for value in row.values()} <= {str, int}

    def test_costs_no_import_outside_a_flow(self) -> None:
        code = """
import sys
from tests.tasks.test_validation import rows, validate
validate(rows())
sys.exit("prefect" in sys.modules or "great_expectations" in sys.modules)
"""
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent.parent)


class TestPage:
    """The page that MLflow shows."""

    hostile = '<script>alert(1)</script>\x1b[31m\nred & "quoted"'

    def test_is_self_contained_and_escapes_whatever_the_data_holds(self) -> None:
        finding = Finding(self.hostile, self.hostile, "critical", False, self.hostile, self.hostile, 1, (self.hostile,))
        dropped = pd.DataFrame({"why": [self.hostile], self.hostile: [self.hostile]})
        page = validation_page([finding], [Suspect(self.hostile, self.hostile, 0.9)], self.hostile, {self.hostile: self.hostile}, dropped)
        assert "<script" not in page
        assert "\x1b" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; red &amp; &#34;quoted&#34;" in page
        assert not any(word in page for word in ("http://", "https://", "src=", "@import", "url("))

    def test_says_rejected_or_accepted(self) -> None:
        right = Finding("a", "", "critical", True, "x", "y")
        wrong = Finding("b", "c", "critical", False, "x", "y")
        mild = Finding("b", "c", "warning", False, "x", "y")
        assert "Accepted: all 1 checks passed." in validation_page([right])
        assert "Accepted; 1 of 2 checks failed without being critical." in validation_page([right, mild])
        assert "Rejected: 1 of 3 checks failed and are critical." in validation_page([right, mild, wrong])

    def test_shows_every_finding_and_suspect(self) -> None:
        frame = rows()
        table = validate(frame.assign(copy=frame["y"]))
        page = validation_page(table.findings, table.suspects)
        assert all(finding.check in page for finding in table.findings if finding.check != "no leakage")
        assert "predicts y nearly perfectly on its own" in page
