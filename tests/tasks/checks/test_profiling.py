from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.reading import read_config
from tasks.checks.expectations import check_expectations, run_expectations
from tasks.checks.profiling import propose_expectations, render_expectations
from tasks.errors import DataRejected
from tasks.records import Columns, Target
from tasks.settings import Expectation, ValidationSettings
from tasks.validation import validate_table
from tests.flights import AFTER, FLIGHTS, NEXT_YEAR, flights_between, loaded

CLASSES = Columns(Target("y", "binary", (0, 1)), {"x": "number"})


@cache
def from_january_to_march() -> tuple[Expectation, ...]:
    table = validate_table(loaded(flights_between("2013-01-01", "2013-04-01")), FLIGHTS, ValidationSettings(), NEXT_YEAR)
    return tuple(propose_expectations(table.frame, table.columns))


def april() -> pd.DataFrame:
    return flights_between("2013-04-01", "2013-05-01")


def judge(frame: pd.DataFrame) -> set[str]:
    """Columns that a suite from January to March rejects the frame for."""
    try:
        validate_table(loaded(frame), FLIGHTS, ValidationSettings(expectations=from_january_to_march()), NEXT_YEAR)
    except DataRejected as error:
        return {finding.column for finding in error.findings if not finding.passed and finding.severity == "critical"}
    return set()


def propose(values: object, kind: str = "number") -> dict[str, Expectation]:
    frame = pd.DataFrame({"x": values, "y": 0})
    columns = Columns(Target("y", "binary", (0, 1)), {"x": kind})  # type: ignore[dict-item]
    return {entry.type.removeprefix("expect_"): entry for entry in propose_expectations(frame, columns)}


class TestFlights:
    """A suite that January to March suggest, and what April may do."""

    def test_april_passes(self) -> None:
        assert judge(april()) == set()

    def test_all_of_the_year_passes(self) -> None:
        assert judge(flights_between("2013-01-01", "2014-01-01")) == set()

    def test_april_in_another_order_passes(self) -> None:
        assert judge(april()[april().columns[::-1]].sample(frac=1, random_state=0)) == set()

    def test_half_an_april_is_rejected(self) -> None:
        assert judge(april()[: len(april()) // 2]) == {""}

    def test_a_thousandfold_april_is_rejected(self) -> None:
        numbers = [name for name in april().select_dtypes("number") if name != "flight"]
        assert judge(april().assign(**{name: april()[name] * 1000 for name in numbers})) >= {"distance", "hour", "sched_dep_time"}

    def test_a_single_thousandfold_column_is_rejected(self) -> None:
        assert judge(april().assign(distance=april()["distance"] * 1000)) == {"distance"}

    def test_columns_under_each_others_names_are_rejected(self) -> None:
        names = [name for name in april() if name not in ("late", "time_hour")]
        shifted = april().rename(columns=dict(zip(names, names[1:] + names[:1], strict=True)))
        assert judge(shifted) >= {"carrier", "distance", "flight"}

    def test_a_column_that_is_gone_or_emptied_is_rejected(self) -> None:
        assert "dest" in judge(april().drop(columns="dest"))
        assert judge(april().assign(origin=april()["origin"].where(april()["day"] > 5))) == {"origin"}

    def test_numbers_as_text_are_rejected(self) -> None:
        assert "distance" in judge(april().assign(distance=april()["distance"].astype(str)))

    def test_what_is_known_afterwards_is_not_asked_for(self) -> None:
        assert not {entry.arguments.get("column") for entry in from_january_to_march()} & {"late", *AFTER}


def test_every_proposal_holds_for_the_rows_it_came_from() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "float": random.normal(size=200), "small": random.normal(size=200) * 1e-9, "negative": -random.random(200) - 5,
            "integer": random.integers(0, 9, 200), "Int64": pd.array([1, 2, None, 4] * 50, dtype="Int64"), "bool": random.random(200) < 0.5,
            "boolean": pd.array([True, None] * 100, dtype="boolean"), "str": random.choice(["no", "1e3", "12:30"], 200),
            "string": pd.array(["a", "b"] * 100, dtype="string"), "object": pd.Series(["a", None] * 100, dtype=object),
            "categorical": pd.Categorical(["a", "b"] * 100), "coded": random.integers(0, 99, 200),
            "when": pd.date_range("2013-01-01", periods=200, tz="UTC"), "day": pd.date_range("2013-01-01", periods=200),
            "y": random.normal(size=200),
        }
    )  # fmt: skip
    numbers = ("float", "small", "negative", "integer", "Int64", "bool", "boolean")
    texts = ("str", "string", "object", "categorical", "coded")
    features = dict.fromkeys(numbers, "number") | dict.fromkeys(texts, "category") | {"day": "date"}
    columns = Columns(Target("y", "regression"), features, "when")  # type: ignore[arg-type]
    proposed = propose_expectations(frame, columns)
    check_expectations(ValidationSettings(expectations=proposed))
    findings, _ = run_expectations(frame, proposed)
    assert [(finding.check, finding.column, finding.observed) for finding in findings if not finding.passed] == []
    assert {finding.column for finding in findings} == {*frame, ""}


def test_ranges_and_sets_warn_and_all_else_is_critical() -> None:
    warned = {entry.type for entry in from_january_to_march() if entry.severity == "warning"}
    assert warned == {
        "expect_column_values_to_be_between", "expect_column_values_to_be_in_set", "expect_column_unique_value_count_to_be_between"
    }  # fmt: skip


def test_a_range_has_slack_but_does_not_cross_zero() -> None:
    arguments = propose([1.0, 5.0, 11.0])["column_values_to_be_between"].arguments
    assert (arguments["min_value"], arguments["max_value"]) == (0, 12)


def test_a_share_of_missing_values_has_slack() -> None:
    assert propose([1.0] * 90 + [None] * 10)["column_values_to_not_be_null"].arguments["mostly"] == 0.78


def test_values_around_zero_have_their_spread_watched() -> None:
    proposed = propose([-3.0, 0.0, 3.0])
    assert proposed["column_stdev_to_be_between"].arguments == {"column": "x", "min_value": 0.3, "max_value": 30}
    assert "column_median_to_be_between" not in proposed


def test_many_categories_are_counted_instead_of_listed() -> None:
    few, many = propose(list("ab") * 10, "category"), propose([f"c{k}" for k in range(100)], "category")
    assert few["column_values_to_be_in_set"].arguments["value_set"] == ["a", "b"]
    assert many["column_unique_value_count_to_be_between"].arguments == {"column": "x", "min_value": 50, "max_value": 200}


def test_without_a_time_column_rows_have_a_band() -> None:
    assert propose([1.0, 2.0] * 50)["table_row_count_to_be_between"].arguments == {"min_value": 50, "max_value": 200}


@pytest.mark.parametrize(
    "text", ["no", "1e3", "12:30:00", "2013-01-01", "~", "", "a: b", "# x", "\x85\u2028", 'quo"te', "Zürich 😀", "{x}"]
)
def test_the_yaml_reads_back_as_what_was_proposed(text: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"odd: name #1": [text, "b"] * 10, "y": [0, 1] * 10})
    proposed = propose_expectations(frame, Columns(Target("y", "binary", (0, 1)), {"odd: name #1": "category"}))
    config = tmp_path / "config.yaml"
    rendered = render_expectations(proposed)
    config.write_text(
        "name: x\ntarget: y\nsource: {kind: csv, path: rows.csv}\nvalidation:\n  expectations:\n" + rendered, encoding="utf-8"
    )
    assert list(read_config(config).validation.expectations) == proposed


def test_the_yaml_is_one_line_an_entry_under_a_comment_for_its_column() -> None:
    lines = render_expectations(list(from_january_to_march())).splitlines()
    position = lines.index("    # distance")
    assert lines[position + 2] == '    - {type: expect_column_values_to_not_be_null, column: "distance", mostly: 0.98, severity: critical}'
    assert all(line.startswith(("    #", "    - {type: expect_")) for line in lines)


def test_a_target_of_classes_is_left_to_the_base_suite() -> None:
    proposed = propose_expectations(pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]}), CLASSES)
    assert {entry.arguments.get("column") for entry in proposed} == {None, "x"}


def test_a_short_history_still_gets_a_row_count() -> None:
    frame = pd.DataFrame({"when": pd.date_range("2013-01-05", periods=100, freq="h", tz="UTC"), "x": range(100), "y": [0, 1] * 50})
    columns = Columns(Target("y", "binary", (0, 1)), {"x": "number"}, "when")
    assert propose_expectations(frame, columns)[0].arguments == {"min_value": 80}
