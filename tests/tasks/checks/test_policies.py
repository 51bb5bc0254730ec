from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.expectations import check_expectations, run_expectations
from tasks.checks.findings import finding_rows, is_rejecting
from tasks.checks.policies import Screening, screen_rows
from tasks.errors import ConfigError
from tasks.settings import Expectation, ValidationSettings
from tests.tasks.checks.test_expectations import CASES, FRAME, ROWS

AS_A_WHOLE = {
    "expect_column_distinct_values_to_be_in_set", "expect_column_distinct_values_to_contain_set",
    "expect_column_distinct_values_to_equal_set", "expect_column_kl_divergence_to_be_less_than", "expect_column_max_to_be_between",
    "expect_column_mean_to_be_between", "expect_column_median_to_be_between", "expect_column_min_to_be_between",
    "expect_column_most_common_value_to_be_in_set", "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between", "expect_column_quantile_values_to_be_between",
    "expect_column_stdev_to_be_between", "expect_column_sum_to_be_between", "expect_column_to_exist", "expect_column_type_to_be",
    "expect_column_unique_value_count_to_be_between",
}  # fmt: skip
"""What judges a column and names no row."""
BY_TYPE = {"expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"}
"""By row in columns of Python objects, else by the column's one type."""
BY_ROW = sorted(name for name in CASES if not name.startswith("expect_table_") and name not in AS_A_WHOLE | BY_TYPE)


def expect(name: str, policy: str | None = None, **arguments: Any) -> Expectation:
    return Expectation(type=f"expect_{name}", policy=policy, **arguments)  # type: ignore[arg-type]


def below(most: float, policy: str | None = "drop", **arguments: Any) -> Expectation:
    return expect("column_values_to_be_between", policy, column="number", max_value=most, **arguments)


def screen(*expectations: Expectation, frame: pd.DataFrame = FRAME, key: tuple[str, ...] = (), most: float = 0.5) -> Screening:
    return screen_rows(frame, ValidationSettings(expectations=expectations, max_dropped=most), key)


class TestStopForbidAndWarn:
    """What a failure means when no row is left out."""

    @pytest.mark.parametrize(
        ("severity", "policy", "rejects", "forbids"),
        [
            ("critical", None, True, False), ("warning", None, False, False), ("info", None, False, False),
            ("warning", "stop", True, False),
            ("critical", "warn", False, False), ("critical", "forbid", False, True), ("info", "forbid", False, True),
        ],
    )  # fmt: skip
    def test_the_policy_decides_and_without_one_the_severity(self, severity: str, policy: str | None, rejects: bool, forbids: bool) -> None:
        entry = below(10, policy, severity=severity)
        for failing in (entry, entry.model_copy(update={"max_value": 1000})):
            found = screen(failing)
            fails = failing is entry
            (finding,) = found.findings
            assert (finding.passed, is_rejecting(finding), bool(found.forbids)) == (not fails, rejects and fails, forbids and fails)
            assert (found.dropped, len(found.rows)) == (None, ROWS)

    def test_what_rejects_and_nothing_else_is_critical_in_tables(self) -> None:
        found = screen(below(10, "warn"), below(10, "forbid"), below(10, "stop", severity="info"), below(10, "warn", severity="info"))
        assert [(row["severity"], row["policy"]) for row in finding_rows(found.findings)] == [
            ("critical", "stop"), ("warning", "warn"), ("warning", "forbid"), ("info", "warn")
        ]  # fmt: skip

    def test_why_nothing_may_go_live_is_one_sentence_for_each_failure(self) -> None:
        found = screen(below(10, "forbid"), below(1000, "forbid"), expect("table_row_count_to_equal", "forbid", value=1))
        assert found.forbids == (
            "number: expect_column_values_to_be_between (max_value 10) failed: 189 of 200 rows (94 %); its policy is forbid",
            "expect_table_row_count_to_equal (value 1) failed: 200; its policy is forbid",
        )

    @pytest.mark.parametrize("policy", ["warn", "forbid", "drop"])
    def test_what_could_not_be_checked_rejects_whatever_the_policy(self, policy: str) -> None:
        (finding, *_) = screen(expect("column_values_to_be_between", policy, column="numbr", max_value=1)).findings
        assert is_rejecting(finding)
        assert "did you mean number?" in finding.observed

    def test_without_an_expectation_nothing_happens(self) -> None:
        found = screen()
        assert found.rows is FRAME
        assert (found.findings, found.raw, found.forbids) == ((), None, ())


class TestDrop:
    """Rows that are left out, and kept aside."""

    def test_breaking_rows_go_and_the_others_keep_their_places(self) -> None:
        found = screen(below(196))
        assert list(found.rows.index) == list(range(197))
        assert found.dropped is not None
        assert list(found.dropped.index) == [198, 199, 200]  # as a file counts
        finding, counted = found.findings
        assert (finding.passed, finding.severity, finding.policy, finding.failed_rows) == (False, "warning", "drop", 3)
        assert finding.observed == "3 of 200 rows (1.5 %), left out"
        assert (counted.check, counted.passed, counted.observed) == ("few rows left out", True, "3 of 200 rows (1.5 %)")
        assert not any(map(is_rejecting, found.findings))

    def test_they_are_kept_with_the_reason_the_key_and_the_failing_columns_first(self) -> None:
        frame = FRAME.assign(id=[f"k{row}" for row in FRAME.index], why="mine")
        words = expect("column_values_to_not_be_in_set", "drop", column="same", value_set=[199.0, 3.0])
        dropped = screen(below(198), words, frame=frame, key=("id",)).dropped
        assert dropped is not None
        assert list(dropped.columns) == ["why", "id", "number", "same", *[name for name in FRAME if name not in ("number", "same")], "why_"]
        assert dropped["why"].tolist() == [
            "same: expect_column_values_to_not_be_in_set (value_set 199, 3)",
            "number: expect_column_values_to_be_between (max_value 198); same: expect_column_values_to_not_be_in_set (value_set 199, 3)",
        ]
        assert dropped["id"].tolist() == ["k3", "k199"]

    def test_a_share_that_may_fail_is_left_out_too(self) -> None:
        found = screen(below(196, mostly=0.9))
        assert len(found.rows) == 197
        assert (found.findings[0].passed, found.findings[0].observed) == (True, "3 of 200 rows (1.5 %), left out")

    def test_other_expectations_see_what_is_left(self) -> None:
        most = expect("column_max_to_be_between", column="number", max_value=196)
        rows = expect("table_row_count_to_equal", "forbid", value=197)
        found = screen(most, below(196), rows)
        assert [(finding.check, finding.passed) for finding in found.findings] == [
            ("expect_column_max_to_be_between", True), ("expect_column_values_to_be_between", False),
            ("expect_table_row_count_to_equal", True), ("few rows left out", True),
        ]  # fmt: skip

    def test_more_rows_than_the_limit_reject_and_none_is_left_out(self) -> None:
        found = screen(below(196), expect("column_values_to_not_be_in_set", "drop", column="same", value_set=list(range(8))), most=0.05)
        counted = found.findings[-1]
        assert is_rejecting(counted)
        assert (counted.expected, counted.observed) == (
            "at most 5.0 % of the rows left out by policy (validation.max_dropped)", "11 of 200 rows (5.5 %)"
        )  # fmt: skip
        assert (len(found.rows), found.dropped, found.findings[0].observed) == (ROWS, None, "3 of 200 rows (1.5 %)")

    def test_a_row_that_breaks_two_counts_once(self) -> None:
        found = screen(below(189), below(191), most=0.05)
        assert (len(found.rows), found.findings[-1].failed_rows) == (190, 10)

    def test_only_rows_that_a_condition_chooses_go(self) -> None:
        found = screen(below(100, row_condition='text=="a"', condition_parser="pandas"))
        assert found.dropped is not None
        assert set(found.dropped["text"]) == {"a"}
        assert len(found.rows) == ROWS - 49

    @pytest.mark.parametrize("name", BY_ROW)
    def test_every_expectation_that_judges_rows_names_all_that_break_it(self, name: str) -> None:
        entry = Expectation(type=name, policy="drop", **CASES[name][1])
        check_expectations(ValidationSettings(expectations=(entry,)))
        (answer,) = run_expectations(FRAME, (entry,), every_row=True)
        assert answer.finding.failed_rows == len(set(answer.breaking)) > 0
        assert set(answer.breaking) <= set(FRAME.index)
        assert len(json.dumps(answer.raw, allow_nan=False)) < 10_000

    def test_rows_that_break_it_together_all_go(self) -> None:
        frame = FRAME.assign(number=[0.0, *range(ROWS - 1)])
        found = screen(expect("column_values_to_be_unique", "drop", column="number"), frame=frame)
        assert list(found.rows.index) == list(range(2, ROWS))

    def test_objects_of_the_wrong_type_go_one_by_one(self) -> None:
        frame = pd.DataFrame({"x": pd.Series([1, 2, "three", 4] * 10, dtype=object)})
        found = screen(expect("column_values_to_be_of_type", "drop", column="x", type_="int"), frame=frame)
        assert set(found.rows["x"]) == {1, 2, 4}

    def test_where_a_column_fails_as_a_whole_the_severity_decides(self) -> None:
        wrong = expect("column_values_to_be_of_type", "drop", column="number", type_="str")
        empty = expect("column_values_to_be_between", "drop", column="empty", max_value=1)
        milder = empty.model_copy(update={"severity": "warning"})
        assert [is_rejecting(finding) for finding in screen(wrong, empty, milder).findings] == [True, True, False, False]


@pytest.mark.parametrize("name", sorted(AS_A_WHOLE | {"expect_table_row_count_to_equal"}))
def test_dropping_by_what_judges_no_row_is_a_fault_of_the_config(name: str) -> None:
    entry = Expectation(type=name, policy="drop", **CASES[name][0])
    with pytest.raises(ConfigError) as caught:
        check_expectations(ValidationSettings(expectations=(below(1), entry)))
    what = "the table" if name.startswith("expect_table_") else "a column"
    assert caught.value.faults == (
        f"validation.expectations[1].policy: drop leaves rows out, but {name} judges {what} as a whole; use stop, forbid or warn",
    )


def test_a_fault_is_named_by_its_place_among_all_entries() -> None:
    with pytest.raises(ConfigError, match=r"^validation\.expectations\[2\]\.type"):
        screen(below(1), below(2, None), expect("nothing"))


def test_results_come_in_the_order_of_the_config() -> None:
    found = screen(below(10, None), below(196), expect("table_row_count_to_equal", value=197))
    assert found.raw is not None
    assert (found.raw["passed"], found.raw["failed"], found.raw["success"]) == (1, 2, False)
    assert [result["expectation_config"]["kwargs"].get("max_value") for result in found.raw["results"]] == [10, 196, None]


def test_a_tenth_of_many_rows_is_named_in_well_under_a_second_a_column() -> None:
    import time

    frame = pd.DataFrame({"number": np.arange(300_000.0)})
    screen(below(1e9), frame=frame.head(10))  # the import
    began = time.process_time()
    assert len(screen(below(269_999), frame=frame).rows) == 270_000
    assert time.process_time() - began < 3
