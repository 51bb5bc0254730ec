from __future__ import annotations

import pandas as pd
import pytest

from tasks import artifacts
from tasks.checks.findings import describe, finding_rows, rejection, row_examples, say_value
from tasks.records import Finding
from tasks.wording import did_you_mean

HOSTILE = "a\x1b[31mred\nline\x00"


def finding(check: str = "check", severity: str = "critical", passed: bool = False, **changes: object) -> Finding:
    return Finding(check, "x", severity, passed, "this", "that", **changes)  # type: ignore[arg-type]


def test_a_rejection_names_failed_critical_checks_only_and_carries_all() -> None:
    findings = (finding("a"), finding("b", "warning"), finding("c", passed=True), finding("d"))
    error = rejection(findings, "rows.csv")
    assert str(error).splitlines() == [
        "rows.csv: 2 critical checks failed", "  x: a: expected this; got that", "  x: d: expected this; got that"
    ]  # fmt: skip
    assert (error.findings, error.exit_code) == (findings, 3)


def test_a_line_stays_a_line_whatever_the_data_holds() -> None:
    line = describe(Finding(HOSTILE, HOSTILE, "critical", False, HOSTILE, HOSTILE, 1, (HOSTILE,)))
    assert line.isprintable()
    assert "\x1b" not in line


def test_the_worst_comes_first_in_a_table() -> None:
    rows = finding_rows([finding("a", passed=True), finding("b", "info"), finding("c", "warning"), finding("d")])
    assert [(row["check"], row["result"]) for row in rows] == [("d", "failed"), ("c", "failed"), ("b", "failed"), ("a", "passed")]


def test_tables_hold_harmless_text() -> None:
    (row,) = finding_rows([Finding(HOSTILE, HOSTILE, "info", True, HOSTILE, HOSTILE, 0, (HOSTILE,))])
    assert all(str(value).isprintable() for value in row.values())


def test_examples_keep_whole_numbers_whole_and_name_row_and_key() -> None:
    frame = pd.DataFrame({"x": [1.5, None], "id": [7, 8], "word": ["a", "b" * 200]}, index=[10, 2000])
    assert row_examples(frame, [10, 2000], ["x"], ["id"]) == ("1.5 (row 11, id=7)", "missing (row 2,001, id=8)")
    assert row_examples(frame, frame.index, ["id", "x"]) == ("7 / 1.5 (row 11)", "8 / missing (row 2,001)")
    assert len(row_examples(frame, [2000], ["word"])[0]) < 100


def test_five_examples_are_enough() -> None:
    frame = pd.DataFrame({"x": range(100)})
    assert len(row_examples(frame, frame.index, ["x"])) == 5


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, pd.NaT])
def test_every_missing_value_is_called_missing(value: object) -> None:
    assert say_value(value) == "missing"


def test_the_nearest_name_is_found_whatever_its_case() -> None:
    assert did_you_mean("dep_tme", ["arr_time", "Dep_Time"]) == "did you mean Dep_Time?"
    assert did_you_mean("zzz", ["arr_time"]) == ""


def test_nothing_is_published_outside_a_flow() -> None:
    artifacts.publish_table("a", [{"x": 1}], "nothing")
    artifacts.publish_markdown("a", "text", "nothing")
    artifacts.publish_link("a", "https://example.org", "nothing")
