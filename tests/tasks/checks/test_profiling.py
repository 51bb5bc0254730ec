from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from configs.reading import read_config
from configs.schema import RetrainConfig
from flows.commands.checking import propose_suite
from tasks.checks.expectations import check_expectations, run_expectations
from tasks.checks.profiling import propose_expectations, render_expectations
from tasks.errors import DataRejected
from tasks.loading import load_table
from tasks.records import Columns, Table, Target
from tasks.settings import Expectation, ValidationSettings
from tasks.validation import validate_table
from tests.flights import AFTER, NEXT_YEAR, loaded

CLASSES = Columns(Target("y", "binary", (0, 1)), {"x": "number"})
EXAMPLE = str(Path(__file__).parents[3] / "configs" / "flights.yaml")
FIRST_QUARTER = datetime(2013, 4, 2, tzinfo=UTC)  # labels are known a day later


@cache
def proposal() -> str:
    """What `evertune profile configs/flights.yaml --as-of 2013-04-02` prints."""
    return propose_suite(EXAMPLE, {}, FIRST_QUARTER)


@cache
def example() -> RetrainConfig:
    """The shipped config with the suite that January to March suggest in place of its own."""
    return read_config(EXAMPLE, {"validation.expectations": yaml.safe_load(proposal())})


@cache
def year() -> pd.DataFrame:
    """All flights of 2013 with weather and planes, as the worked example reads them. Not to be changed in place."""
    return load_table(example().source, NEXT_YEAR).frame


@cache
def month(number: int) -> pd.DataFrame:
    frame = year()
    return frame[frame["time_hour"].dt.month == number].reset_index(drop=True)


def april() -> pd.DataFrame:
    return month(4)


def validate(frame: pd.DataFrame) -> Table:
    """Through the stage that a retrain runs."""
    config = example()
    return validate_table(loaded(frame), config.table, config.validation, NEXT_YEAR, keep=config.kept_columns)


def judge(frame: pd.DataFrame) -> set[str]:
    """Columns that the suite rejects the frame for; the table as a whole is an empty name."""
    try:
        validate(frame)
    except DataRejected as error:
        return {finding.column for finding in error.findings if not finding.passed and finding.severity == "critical"}
    return set()


def propose(values: object, kind: str = "number") -> dict[str, Expectation]:
    """By name, those that leave rows out apart."""
    frame = pd.DataFrame({"x": values, "y": 0})
    columns = Columns(Target("y", "binary", (0, 1)), {"x": kind})  # type: ignore[dict-item]
    proposed = propose_expectations(frame, columns)
    return {entry.type.removeprefix("expect_") + (", drop" if entry.policy == "drop" else ""): entry for entry in proposed}


SWAPPED = [("origin", "dest"), ("engine", "manufacturer"), ("distance", "sched_dep_time"), ("seats", "plane_year"), ("temp", "pressure")]
SCALED = {"distance", "sched_dep_time", "seats", "plane_year", "temp", "pressure", "precip", "visib"}


class TestFlights:
    """A suite that January to March suggest, and what April may do."""

    def test_april_passes_and_no_row_is_left_out(self) -> None:
        table = validate(april())
        assert (table.dropped, table.forbids) == (None, ())
        warned = {finding.column for finding in table.findings if not finding.passed}
        assert warned <= {"temp", "dewp", "plane_model"}  # spring
        assert warned

    def test_summer_and_the_whole_year_pass(self) -> None:
        assert validate(month(7)).dropped is None
        assert validate(year()).dropped is None

    def test_a_truncated_april_is_rejected(self) -> None:
        assert judge(april()[april()["time_hour"].dt.day <= 18]) == {""}

    def test_two_columns_under_each_others_name_are_rejected(self) -> None:
        names = {**dict(SWAPPED), **{other: one for one, other in SWAPPED}}
        rejecting = judge(april().rename(columns=names))
        assert [pair for pair in SWAPPED if not rejecting & set(pair)] == []

    def test_a_columns_values_shuffled_into_another_are_rejected(self) -> None:
        shuffled = april().sample(frac=1, random_state=0)
        spoilt = april().assign(dest=shuffled["origin"].to_numpy(), distance=shuffled["seats"].to_numpy())
        assert judge(spoilt) == {"dest", "distance"}

    def test_a_thousandfold_april_is_rejected(self) -> None:
        numbers = [name for name in april().select_dtypes("number") if name not in ("flight", "late")]
        assert judge(april().assign(**{name: april()[name] * 1000 for name in numbers})) >= SCALED
        assert judge(april().assign(distance=april()["distance"] * 1000)) == {"", "distance"}

    def test_a_thousandfold_month_is_rejected_among_three_good_ones_too(self) -> None:
        frame = year()[year()["time_hour"] < "2013-05-01"].reset_index(drop=True)
        of_april = frame["time_hour"] >= "2013-04-01"
        assert "" in judge(frame.assign(temp=frame["temp"].where(~of_april, frame["temp"] * 1000)))

    def test_a_few_absurd_rows_are_left_out_and_kept_aside(self) -> None:
        frame = april().astype({"seats": "float64"})
        frame.loc[[5, 50], "seats"] = 999_999
        frame.loc[70, "origin"] = None
        frame.loc[90, "time_hour"] = pd.Timestamp("1900-01-01", tz="UTC")
        dropped = validate(frame).dropped
        assert dropped is not None
        assert list(dropped.index) == [6, 51, 71, 91]
        assert [text.partition(":")[0] for text in dropped["why"]] == ["seats", "seats", "origin", "time_hour"]

    def test_a_column_that_is_gone_emptied_or_text_is_rejected(self) -> None:
        early = april()["time_hour"].dt.day <= 15
        spoilt = april().assign(seats=april()["seats"].where(early), distance=april()["distance"].astype(str))
        assert judge(spoilt.drop(columns="visib")) >= {"seats", "distance", "visib"}

    def test_what_is_known_afterwards_is_not_asked_for(self) -> None:
        assert not {entry.arguments.get("column") for entry in example().validation.expectations} & {"late", *AFTER}

    def test_what_moves_with_the_season_is_never_asked_to_hold_still(self) -> None:
        asked = {
            entry.arguments["column"] for entry in example().validation.expectations
            if entry.type == "expect_column_quantile_values_to_be_between"
        }  # fmt: skip
        assert asked == {"distance", "plane_year", "sched_arr_time", "sched_dep_time", "seats"}

    def test_the_yaml_is_one_line_an_entry_under_a_comment_for_its_column(self) -> None:
        lines = proposal().splitlines()
        position = lines.index("    # distance: 80 to 4,983")
        assert lines[position + 2] == "    - {type: expect_column_values_to_not_be_null, column: distance, mostly: 0.98}"
        assert all(line.startswith(("    #", "    - {type: expect_")) for line in lines)
        assert "policy: drop" in lines[position + 5]
        assert not any("severity: critical" in line for line in lines)


def test_every_proposal_holds_for_the_rows_it_came_from() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "float": random.normal(size=200), "small": random.normal(size=200) * 1e-9, "negative": -random.random(200) - 5,
            "integer": random.integers(0, 9, 200), "Int64": pd.array([1, 2, None, 4] * 50, dtype="Int64"), "bool": random.random(200) < 0.5,
            "boolean": pd.array([True, None] * 100, dtype="boolean"), "str": random.choice(["no", "1e3", "12:30"], 200),
            "string": pd.array(["a", "b"] * 100, dtype="string"), "object": pd.Series(["a", None] * 100, dtype=object),
            "decimal": pd.Series([Decimal("1.5"), None, Decimal("3"), Decimal("2.25")] * 50, dtype=object),
            "categorical": pd.Categorical(["a", "b"] * 100), "coded": random.integers(0, 99, 200),
            "when": pd.date_range("2013-01-01", periods=200, tz="UTC"), "day": pd.date_range("2013-01-01", periods=200),
            "y": random.normal(size=200),
        }
    )  # fmt: skip
    numbers = ("float", "small", "negative", "integer", "Int64", "bool", "boolean", "decimal")
    texts = ("str", "string", "object", "categorical", "coded")
    features = dict.fromkeys(numbers, "number") | dict.fromkeys(texts, "category") | {"day": "date"}
    columns = Columns(Target("y", "regression"), features, "when")  # type: ignore[arg-type]
    proposed = propose_expectations(frame, columns)
    check_expectations(ValidationSettings(expectations=proposed))
    findings = [answer.finding for answer in run_expectations(frame, proposed)]
    assert [(finding.check, finding.column, finding.observed) for finding in findings if not finding.passed] == []
    assert {finding.column for finding in findings} == {*frame, ""}


class TestSteady:
    """What held still must hold still; what moved is only warned about."""

    def test_a_steady_number_has_its_quantiles_watched_and_a_moving_one_its_magnitude(self) -> None:
        steady = np.random.default_rng(0).normal(50, 10, 4000)
        assert "column_quantile_values_to_be_between" in propose(steady)
        moving = propose(np.sort(steady))
        assert "column_quantile_values_to_be_between" not in moving
        assert "column_median_to_be_between" in moving

    def test_a_quantile_among_few_values_may_jump_to_the_next(self) -> None:
        ranges = propose([0, 1, 2, 3] * 500)["column_quantile_values_to_be_between"].arguments["quantile_ranges"]["value_ranges"]
        assert ranges == [[-1, 1], [0, 3], [2, 4]]

    def test_true_and_false_have_no_quantiles(self) -> None:
        assert "column_quantile_values_to_be_between" not in propose([True, True, False] * 500)

    def test_a_steady_set_is_critical_and_a_moving_one_a_warning(self) -> None:
        steady = propose(list("abc") * 100, "category")["column_values_to_be_in_set"]
        moving = propose(["a"] * 100 + ["b"] * 100 + ["c"] * 100, "category")["column_values_to_be_in_set"]
        assert (steady.severity, steady.arguments["mostly"]) == ("critical", 0.9)
        assert (moving.severity, moving.arguments["mostly"]) == ("warning", 0.99)

    def test_a_count_of_values_that_grows_with_the_rows_is_a_warning(self) -> None:
        growing = propose([f"c{k}" for k in range(400)], "category")["column_unique_value_count_to_be_between"]
        steady = propose([f"c{k % 60}" for k in range(400)], "category")["column_unique_value_count_to_be_between"]
        assert (growing.severity, steady.severity) == ("warning", "critical")


def test_a_key_that_is_missing_and_a_time_long_before_leave_their_row_out() -> None:
    frame = pd.DataFrame({"id": range(40), "when": pd.date_range("2013-01-05", periods=40, tz="UTC"), "x": range(40), "y": [0, 1] * 20})
    proposed = propose_expectations(frame, Columns(Target("y", "binary", (0, 1)), {"x": "number"}, "when", ("id",)))
    dropping = [(entry.arguments["column"], entry.arguments.get("min_value")) for entry in proposed if entry.policy == "drop"]
    assert dropping == [("id", None), ("when", "2003-01-05"), ("x", -390)]


def test_an_absurd_label_of_a_regression_leaves_its_row_out() -> None:
    frame = pd.DataFrame({"x": range(40), "y": np.linspace(0, 1, 40)})
    proposed = propose_expectations(frame, Columns(Target("y", "regression"), {"x": "number"}))
    (far,) = [entry for entry in proposed if entry.policy == "drop" and entry.arguments["column"] == "y"]
    assert (far.arguments["min_value"], far.arguments["max_value"]) == (-10, 11)


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


def test_a_target_of_classes_is_left_to_the_base_suite() -> None:
    proposed = propose_expectations(pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]}), CLASSES)
    assert {entry.arguments.get("column") for entry in proposed} == {None, "x"}


def test_a_short_history_still_gets_a_row_count() -> None:
    frame = pd.DataFrame({"when": pd.date_range("2013-01-05", periods=100, freq="h", tz="UTC"), "x": range(100), "y": [0, 1] * 50})
    columns = Columns(Target("y", "binary", (0, 1)), {"x": "number"}, "when")
    assert propose_expectations(frame, columns)[0].arguments == {"min_value": 80}
