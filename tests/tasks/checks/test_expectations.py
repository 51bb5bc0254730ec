from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.expectations import DATABASE_ONLY, check_expectations, expectation_names, run_expectations
from tasks.errors import ConfigError
from tasks.records import Finding
from tasks.settings import Expectation, ValidationSettings

ROWS = 200
FRAME = pd.DataFrame(
    {
        "number": np.arange(ROWS, dtype=float),
        "same": np.arange(ROWS, dtype=float),
        "negative": -np.arange(ROWS, dtype=float),
        "text": ["a", "b"] * (ROWS // 2),
        "json": ['{"a": 1}'] * ROWS,
        "day": ["2013-01-31"] * ROWS,
        "empty": pd.Series([None] * ROWS, dtype=object),
        "gap": [1.0, None] * (ROWS // 2),
        "outlier": [1.0] * (ROWS - 1) + [1e6],
    }
)

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "expect_column_distinct_values_to_be_in_set": (
        {"column": "text", "value_set": ["a", "b", "c"]},
        {"column": "text", "value_set": ["a"]},
    ),
    "expect_column_distinct_values_to_contain_set": ({"column": "text", "value_set": ["a"]}, {"column": "text", "value_set": ["z"]}),
    "expect_column_distinct_values_to_equal_set": ({"column": "text", "value_set": ["a", "b"]}, {"column": "text", "value_set": ["a"]}),
    "expect_column_kl_divergence_to_be_less_than": (
        {"column": "text", "partition_object": {"values": ["a", "b"], "weights": [0.5, 0.5]}, "threshold": 0.1},
        {"column": "text", "partition_object": {"values": ["a", "b"], "weights": [0.99, 0.01]}, "threshold": 0.1},
    ),
    "expect_column_max_to_be_between": ({"column": "number", "max_value": 199}, {"column": "number", "max_value": 100}),
    "expect_column_mean_to_be_between": (
        {"column": "number", "min_value": 90, "max_value": 110},
        {"column": "number", "min_value": 0, "max_value": 1},
    ),
    "expect_column_median_to_be_between": (
        {"column": "number", "min_value": 90, "max_value": 110},
        {"column": "number", "min_value": 0, "max_value": 1},
    ),
    "expect_column_min_to_be_between": ({"column": "number", "min_value": 0}, {"column": "number", "min_value": 1}),
    "expect_column_most_common_value_to_be_in_set": ({"column": "outlier", "value_set": [1.0]}, {"column": "outlier", "value_set": [2.0]}),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        {"column_A": "number", "column_B": "negative", "or_equal": True},
        {"column_A": "negative", "column_B": "number"},
    ),
    "expect_column_pair_values_to_be_equal": ({"column_A": "number", "column_B": "same"}, {"column_A": "number", "column_B": "negative"}),
    "expect_column_pair_values_to_be_in_set": (
        {"column_A": "text", "column_B": "day", "value_pairs_set": [["a", "2013-01-31"], ["b", "2013-01-31"]]},
        {"column_A": "text", "column_B": "day", "value_pairs_set": [["a", "2013-01-31"]]},
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": ({"column": "gap", "min_value": 0.4}, {"column": "gap", "min_value": 0.9}),
    "expect_column_proportion_of_unique_values_to_be_between": (
        {"column": "number", "min_value": 0.9},
        {"column": "text", "min_value": 0.9},
    ),
    "expect_column_quantile_values_to_be_between": (
        {"column": "number", "quantile_ranges": {"quantiles": [0.1, 0.5], "value_ranges": [[0, 50], [90, None]]}},
        {"column": "number", "quantile_ranges": {"quantiles": [0.1, 0.5], "value_ranges": [[0, 1], [90, None]]}},
    ),
    "expect_column_stdev_to_be_between": ({"column": "number", "min_value": 10}, {"column": "number", "max_value": 10}),
    "expect_column_sum_to_be_between": ({"column": "number", "min_value": 10}, {"column": "number", "max_value": 10}),
    "expect_column_to_exist": ({"column": "number"}, {"column": "nope"}),
    "expect_column_type_to_be": ({"column": "number", "type_": "float64"}, {"column": "number", "type_": "int64"}),
    "expect_column_unique_value_count_to_be_between": (
        {"column": "text", "min_value": 2, "max_value": 2},
        {"column": "text", "max_value": 1},
    ),
    "expect_column_value_lengths_to_be_between": ({"column": "text", "max_value": 1}, {"column": "text", "min_value": 2}),
    "expect_column_value_lengths_to_equal": ({"column": "text", "value": 1}, {"column": "text", "value": 2}),
    "expect_column_value_z_scores_to_be_less_than": (
        {"column": "number", "threshold": 3, "double_sided": True},
        {"column": "outlier", "threshold": 3, "double_sided": True},
    ),
    "expect_column_values_to_be_between": ({"column": "number", "min_value": 0}, {"column": "number", "min_value": 1}),
    "expect_column_values_to_be_dateutil_parseable": ({"column": "day"}, {"column": "json"}),
    "expect_column_values_to_be_decreasing": ({"column": "negative"}, {"column": "number"}),
    "expect_column_values_to_be_in_set": ({"column": "text", "value_set": ["a", "b"]}, {"column": "text", "value_set": ["a"]}),
    "expect_column_values_to_be_in_type_list": (
        {"column": "number", "type_list": ["float64", "int64"]},
        {"column": "number", "type_list": ["int64"]},
    ),
    "expect_column_values_to_be_increasing": ({"column": "number"}, {"column": "negative"}),
    "expect_column_values_to_be_json_parseable": ({"column": "json"}, {"column": "text"}),
    "expect_column_values_to_be_null": ({"column": "empty"}, {"column": "gap"}),
    "expect_column_values_to_be_of_type": ({"column": "text", "type_": "str"}, {"column": "number", "type_": "int64"}),
    "expect_column_values_to_be_unique": ({"column": "number"}, {"column": "text"}),
    "expect_column_values_to_match_json_schema": (
        {"column": "json", "json_schema": {"type": "object"}},
        {"column": "json", "json_schema": {"type": "array"}},
    ),
    "expect_column_values_to_match_regex": ({"column": "text", "regex": "^[ab]$"}, {"column": "text", "regex": "^a$"}),
    "expect_column_values_to_match_regex_list": (
        {"column": "text", "regex_list": ["^a$", "^b$"]},
        {"column": "text", "regex_list": ["^a$"]},
    ),
    "expect_column_values_to_match_strftime_format": (
        {"column": "day", "strftime_format": "%Y-%m-%d"},
        {"column": "day", "strftime_format": "%d/%m/%Y"},
    ),
    "expect_column_values_to_not_be_in_set": ({"column": "text", "value_set": ["z"]}, {"column": "text", "value_set": ["a"]}),
    "expect_column_values_to_not_be_null": ({"column": "number"}, {"column": "gap"}),
    "expect_column_values_to_not_be_outliers": (
        {"column": "number", "method": "iqr", "multiplier": 1.5},
        {"column": "outlier", "method": "iqr", "multiplier": 1.5},
    ),
    "expect_column_values_to_not_match_regex": ({"column": "text", "regex": "z"}, {"column": "text", "regex": "a"}),
    "expect_column_values_to_not_match_regex_list": ({"column": "text", "regex_list": ["z"]}, {"column": "text", "regex_list": ["a"]}),
    "expect_compound_columns_to_be_unique": ({"column_list": ["number", "text"]}, {"column_list": ["day", "text"]}),
    "expect_multicolumn_sum_to_equal": (
        {"column_list": ["number", "negative"], "sum_total": 0},
        {"column_list": ["number", "same"], "sum_total": 0},
    ),
    "expect_multicolumn_values_to_be_equal": ({"column_list": ["number", "same"]}, {"column_list": ["number", "negative"]}),
    "expect_select_column_values_to_be_unique_within_record": ({"column_list": ["text", "day"]}, {"column_list": ["number", "same"]}),
    "expect_table_column_count_to_be_between": ({"min_value": 1, "max_value": 20}, {"max_value": 2}),
    "expect_table_column_count_to_equal": ({"value": 9}, {"value": 2}),
    "expect_table_columns_to_match_ordered_list": ({"column_list": list(FRAME.columns)}, {"column_list": ["a"]}),
    "expect_table_columns_to_match_set": ({"column_set": list(FRAME.columns)}, {"column_set": ["a"]}),
    "expect_table_row_count_to_be_between": ({"min_value": 1}, {"max_value": 1}),
    "expect_table_row_count_to_equal": ({"value": ROWS}, {"value": 1}),
}


VACUOUS = {"expect_column_to_exist", "expect_column_values_to_be_null", "expect_column_values_to_be_of_type"}
"""What is true of a column without a single value."""


def expect(name: str, severity: str = "critical", **arguments: Any) -> Expectation:
    return Expectation(type=f"expect_{name}", severity=severity, **arguments)  # type: ignore[arg-type]


def run(*expectations: Expectation, frame: pd.DataFrame = FRAME, key: tuple[str, ...] = ()) -> list[Finding]:
    return [answer.finding for answer in run_expectations(frame, expectations, key)]


def faults_of(*expectations: Expectation) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check_expectations(ValidationSettings(expectations=expectations))
    return caught.value.faults


def test_every_built_in_expectation_is_tried_here() -> None:
    assert set(expectation_names()) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_built_in_expectation_works_by_its_name(name: str) -> None:
    right, wrong = (Expectation(type=name, **arguments) for arguments in CASES[name])
    check_expectations(ValidationSettings(expectations=(right, wrong)))
    passed, failed = run_expectations(FRAME, (right, wrong))
    assert (passed.finding.check, passed.finding.passed, failed.finding.passed) == (name, True, False)
    assert [answer.raw["success"] for answer in (passed, failed)] == [True, False]
    json.dumps([passed.raw, failed.raw], allow_nan=False)


@pytest.mark.parametrize("name", sorted(DATABASE_ONLY))
def test_what_works_in_databases_only_is_refused(name: str) -> None:
    assert faults_of(Expectation(type=name, column="text")) == (
        f"validation.expectations[0].type: {name} works inside a database only, not on the data frame that is validated here",
    )


@pytest.mark.parametrize("values", [pd.Series([None] * ROWS, dtype="str"), pd.Series([np.nan] * ROWS)], ids=["str", "float"])
def test_nothing_passes_on_a_column_without_a_single_value(values: pd.Series) -> None:
    single = {name: arguments[0] for name, arguments in CASES.items() if set(arguments[0]) & {"column"} and name not in VACUOUS}
    typed = {"expect_column_type_to_be", "expect_column_values_to_be_in_type_list"}
    findings = run(
        *[Expectation(type=name, **{**arguments, "column": "x"}) for name, arguments in single.items() if name not in typed],
        frame=pd.DataFrame({"x": values}),
    )
    assert [finding.check for finding in findings if finding.passed] == []


def test_findings_come_in_the_order_of_the_config_with_their_own_severity() -> None:
    findings = run(
        expect("column_values_to_be_between", "warning", column="number", max_value=10),
        expect("table_row_count_to_equal", value=ROWS),
        expect("column_values_to_be_between", "info", column="number", max_value=10),
        expect("column_values_to_be_between", column="number", max_value=10),
    )
    assert [(finding.severity, finding.passed) for finding in findings] == [
        ("warning", False), ("critical", True), ("info", False), ("critical", False)
    ]  # fmt: skip


def test_a_failed_expectation_says_how_many_rows_and_shows_a_few_with_their_key() -> None:
    frame = FRAME.assign(id=[f"k{row}" for row in FRAME.index])[150:]
    (finding,) = run(expect("column_values_to_be_between", column="number", max_value=196), frame=frame, key=("id",))
    assert finding == Finding(
        check="expect_column_values_to_be_between",
        column="number",
        severity="critical",
        passed=False,
        expected="max_value 196",
        observed="3 of 50 rows (6.0 %)",
        failed_rows=3,
        examples=("197.0 (row 198, id=k197)", "198.0 (row 199, id=k198)", "199.0 (row 200, id=k199)"),
    )


def test_a_share_of_rows_may_be_allowed_to_fail() -> None:
    (finding,) = run(expect("column_values_to_be_between", column="number", max_value=196, mostly=0.9))
    assert (finding.passed, finding.failed_rows) == (True, 3)


def test_rows_can_be_chosen_by_a_condition() -> None:
    some, none = run(
        expect("column_values_to_be_between", column="number", max_value=100, row_condition='text=="a"', condition_parser="pandas"),
        expect("column_values_to_be_between", column="number", max_value=100, row_condition='text=="z"', condition_parser="pandas"),
    )
    assert (some.passed, some.failed_rows) == (False, 49)
    assert none.passed


def test_an_exception_is_critical_whatever_the_severity() -> None:
    missing, wrong = run(
        expect("column_values_to_be_between", "info", column="numbr", max_value=1),
        expect("column_values_to_be_between", "warning", column="text", max_value=1),
    )
    assert (missing.severity, missing.passed, wrong.severity, wrong.passed) == ("critical", False, "critical", False)
    assert "did you mean number?" in missing.observed
    assert "same type" in wrong.observed


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_bounds_of_times_are_written_as_text(zone: str | None) -> None:
    frame = pd.DataFrame({"when": pd.date_range("2013-01-01", periods=10, tz=zone)})
    low, high, most = run(
        expect("column_values_to_be_between", column="when", min_value="2013-01-01"),
        expect("column_values_to_be_between", column="when", max_value="2013-01-08T00:00:00Z"),
        expect("column_max_to_be_between", column="when", min_value="2013-01-09", max_value="2013-01-10"),
        frame=frame,
    )
    assert (low.passed, high.failed_rows, most.passed) == (True, 2, True)


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["a", "b", None] * 10),
        pd.Series(["a", "b", None] * 10, dtype="str"),
        pd.Series(["a", "b", None] * 10, dtype="string"),
        pd.Series(["a", "b", None] * 10, dtype=object),
    ],
)
def test_text_of_every_pandas_type_is_compared(values: Any) -> None:
    (finding,) = run(expect("column_values_to_be_in_set", column="x", value_set=["a"]), frame=pd.DataFrame({"x": values}))
    assert (finding.failed_rows, finding.examples[0]) == (10, "b (row 2)")


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float64"])
def test_numbers_of_every_pandas_type_are_compared(dtype: str) -> None:
    frame = pd.DataFrame({"x": pd.Series([1, 2, None] * 10, dtype=dtype)})
    between, mean = run(
        expect("column_values_to_be_between", column="x", min_value=2),
        expect("column_mean_to_be_between", column="x", max_value=1),
        frame=frame,
    )
    assert (between.failed_rows, mean.passed, mean.observed) == (10, False, "1.5")


def test_no_expectation_costs_no_import() -> None:
    code = """
import sys, pandas
from tasks.checks.expectations import check_expectations, run_expectations
from tasks.settings import ValidationSettings
run_expectations(pandas.DataFrame({"x": [1]}), ())
check_expectations(ValidationSettings())
sys.exit("great_expectations" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent.parent)


def test_nothing_is_written_and_nobody_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    run(expect("column_values_to_be_between", column="number", max_value=10))
    assert os.listdir(tmp_path) == []


def test_their_loggers_are_left_as_they_were() -> None:
    logger = logging.getLogger("great_expectations")
    level = logger.level
    run(expect("table_row_count_to_equal", value=ROWS))
    assert logger.level == level


class TestFaults:
    """What a wrong entry is told, without any data."""

    def test_an_unknown_name(self) -> None:
        assert faults_of(expect("table_row_count_to_equal", value=1), expect("column_values_to_be_betwen", column="x")) == (
            "validation.expectations[1].type: no expectation is called 'expect_column_values_to_be_betwen'; "
            "did you mean expect_column_values_to_be_between?",
        )

    def test_an_unknown_argument(self) -> None:
        assert faults_of(expect("column_values_to_be_between", column="x", min_valu=1)) == (
            "validation.expectations[0].min_valu: expect_column_values_to_be_between takes no such argument; did you mean min_value?",
        )

    def test_a_missing_argument(self) -> None:
        assert faults_of(expect("column_values_to_be_in_set", column="x")) == (
            "validation.expectations[0].value_set: expect_column_values_to_be_in_set: is required",
        )

    def test_a_wrong_value(self) -> None:
        (fault,) = faults_of(expect("column_values_to_be_in_set", column="x", value_set=[1], mostly=3))
        assert fault.startswith("validation.expectations[0].mostly: ")
        assert fault.endswith("got 3")

    def test_bounds_the_wrong_way_round(self) -> None:
        assert faults_of(expect("column_values_to_be_between", column="x", min_value=5, max_value=3)) == (
            "validation.expectations[0].min_value: must not be above max_value, got 5 and 3",
        )

    def test_a_broken_pattern(self) -> None:
        assert "is not a regular expression" in faults_of(expect("column_values_to_match_regex", column="x", regex="("))[0]

    def test_what_evertune_sets_itself(self) -> None:
        assert faults_of(expect("column_values_to_not_be_null", column="x", result_format="COMPLETE")) == (
            "validation.expectations[0].result_format: is set by Evertune; leave it out",
        )

    def test_all_of_them_at_once(self) -> None:
        assert len(faults_of(expect("nothing"), expect("column_values_to_not_be_null", columm="x"))) == 3

    def test_running_them_says_the_same(self) -> None:
        with pytest.raises(ConfigError, match=r"expectations\[0\]"):
            run(expect("nothing"))

    def test_what_an_entry_says_about_itself_is_kept(self) -> None:
        entry = expect("column_values_to_not_be_null", column="number", notes="why", meta={"owner": "us"}, description="no gaps")
        check_expectations(ValidationSettings(expectations=(entry,)))
        assert run(entry)[0].passed
