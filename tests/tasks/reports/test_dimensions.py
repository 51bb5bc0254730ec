"""Where a value lies on its range, and which values lie at an end of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tasks.records import Search, Trial
from tasks.reports.dimensions import Dimension, find_dimensions, places, ranked, shown
from tests.searches import make_search


@pytest.mark.parametrize(
    ("dimension", "value", "place"),
    [
        (Dimension("x", 0, 10), 2.5, 0.25),
        (Dimension("x", 0.01, 100, "log"), 1.0, 0.5),
        (Dimension("x", 0.01, 100, "log"), 0.01, 0.0),
        (Dimension("x", 0.1, 10, "reverse_log"), 9.1, 0.5),
        (Dimension("x", 0.1, 10, "reverse_log"), 10, 1.0),
        (Dimension("x", choices=("a", "b", "c")), "b", 0.5),
        (Dimension("x", choices=("a",)), "a", 0.0),
    ],
)
def test_a_value_lies_where_the_ranges_own_scale_puts_it(dimension: Dimension, value: float | str, place: float) -> None:
    assert dimension.place(value) == pytest.approx(place)
    if not dimension.choices:
        assert dimension.at(place) == pytest.approx(float(value))


@pytest.mark.parametrize("value", ["gbdt", True, -1.0, 0])
def test_what_has_no_place_on_a_logarithmic_range_is_not_a_number(value: float | str) -> None:
    assert math.isnan(Dimension("x", 0.1, 1, "log").place(value))
    assert Dimension("x", 0.1, 1, "log").edge(value) == ""


def test_an_unknown_choice_and_a_missing_value_have_no_place_and_others_are_clipped() -> None:
    assert math.isnan(Dimension("x", choices=("a", "b")).place("z"))
    found = places(Dimension("x", 0, 1), [None, -3.0, 0.5, 9.0])
    assert math.isnan(found[0])
    assert found[1:].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("dimension", "value", "edge"),
    [
        (Dimension("x", 0.001, 10, "log"), 0.00115, "lower"),
        (Dimension("x", 0.001, 10, "log"), 0.002, ""),
        (Dimension("x", 0, 1), 0.99, "upper"),
        (Dimension("x", 3, 10, whole=True), 3, "lower"),
        (Dimension("x", 3, 10, whole=True), 4, ""),
        (Dimension("x", 0, 1, declared=False), 1.0, ""),
        (Dimension("x", choices=(1, 2)), 2, ""),
        (Dimension("x", 0, 1), 7.0, "upper"),
    ],
)
def test_the_outer_two_per_cent_are_the_edge_of_a_declared_range(dimension: Dimension, value: float, edge: str) -> None:
    assert dimension.edge(value) == edge


def test_dimensions_come_from_the_space_in_its_order_also_behind_a_familys_prefix() -> None:
    search = make_search(40, families=2)
    mine = [trial for trial in search.trials if trial.family == "xgboost"]
    assert list(find_dimensions(search, mine)) == ["eta", "max_depth"]
    assert find_dimensions(search, mine)["eta"] == Dimension("eta", 0.02, 0.3, "log")
    assert find_dimensions(search, mine)["max_depth"].whole


def test_without_a_space_the_values_tell_the_range_and_what_never_varied_is_left_out() -> None:
    values = [{"a": 1, "b": 0.5, "c": "x", "d": True, "e": 3}, {"a": 100, "b": 0.25, "c": "y", "d": False, "e": 3}]
    trials = [Trial(n, "finished", settings, 0.5, (), 1.0) for n, settings in enumerate(values)]
    found = find_dimensions(Search("log_loss", tuple(trials), None, "", 1.0), trials)
    assert list(found) == ["a", "b", "c", "d"]
    assert (found["a"].scale, found["b"].scale, found["c"].choices, found["d"].choices) == ("log", "linear", ("x", "y"), (True, False))
    assert not found["a"].declared


@pytest.mark.parametrize("settings", ["text", {}, {"low": 3, "high": 3}, {"low": "a", "high": "b"}, {"choices": []}, None])
def test_a_space_that_makes_no_sense_says_nothing(settings: object) -> None:
    search = replace(make_search(4), space={"learning_rate": settings})
    assert not find_dimensions(search, search.trials)["learning_rate"].declared


@pytest.mark.parametrize("greater", [False, True])
def test_ranking_knows_the_metrics_direction_and_leaves_out_what_is_no_number(greater: bool) -> None:
    search = make_search(30, greater=greater)
    odd = replace(search.trials[0], value=math.inf)
    values = [trial.value or 0 for trial in ranked(replace(search, trials=(odd, *search.trials[1:])))]
    assert values == sorted(values, reverse=greater)
    assert len(values) == search.counts["finished"] - 1


def test_the_trained_trial_is_the_chosen_one_else_the_best() -> None:
    search = make_search(20)
    assert shown(search) is search.chosen
    assert shown(replace(search, chosen=None)) is search.best
