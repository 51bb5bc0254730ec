from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.models import parse_model
from tasks.models.lightgbm import LightGBM
from tasks.models.recipes import FAMILY, Candidates, Recipe
from tasks.records import Champion, Hyperparameters, Remembered
from tasks.settings import FeatureSettings, MemorySettings, Scalar, Task
from tasks.spaces import Categorical, Float, Int, Parameter, Space, is_active, ordered
from tasks.trials.memory import (
    DEFAULTS,
    PORTFOLIO,
    Start,
    champion_origin,
    describe_space,
    migrate,
    remember_champion,
    start_from,
    starting_points,
)

THEN = datetime(2013, 9, 1, tzinfo=UTC)
ALONE = MemorySettings(portfolio=False)
CONDITIONAL: Space = {
    "boosting": Categorical(choices=("gbdt", "dart"), default="gbdt"),
    "drop_rate": Float(low=0.05, high=0.5, default=0.1, when={"boosting": ("dart",)}),
    "num_leaves": Int(low=8, high=64, log=True, default=31),
}


class Searched(LightGBM):
    """LightGBM with no space but the config's, and a portfolio of two."""

    def default_space(self, task: Task) -> Space:
        return {}

    def portfolio(self, task: Task) -> tuple[Hyperparameters, ...]:
        return {"num_leaves": 15, "learning_rate": 0.05}, {"num_leaves": 1000}


def candidates(
    space: Space, fixed: dict[str, Scalar] | None = None, extra: Space | None = None, others: tuple[Any, ...] = ()
) -> Candidates:
    recipe = Recipe(Searched(space=space, hyperparameters=fixed or {}), FeatureSettings(optional={"weather": ("temp",)}))
    return Candidates(recipe, "binary", others, extra or {})


def remembered(choices: Hyperparameters, family: str = "lightgbm", origin: str = "retrain of 2013-09-01") -> Remembered:
    return Remembered(family, choices, origin, THEN)


def migrated(choices: Hyperparameters, to: Candidates, renamed: dict[str, str] | None = None) -> tuple[Hyperparameters | None, list[str]]:
    return migrate(remembered(choices), to, renamed or {})


@pytest.mark.parametrize(
    ("today", "values", "notes"),
    [
        (Int(low=8, high=256, log=True), {"num_leaves": 100}, []),
        (Int(low=8, high=64), {"num_leaves": 64}, ["num_leaves 100 clipped to 64"]),
        (Int(low=128, high=256), {"num_leaves": 128}, ["num_leaves 100 clipped to 128"]),
        (Int(low=8, high=248, step=16), {"num_leaves": 104}, ["num_leaves 100 rounded to 104"]),
        (Categorical(choices=(50, 100)), {"num_leaves": 100}, []),
        (Categorical(choices=(31, 63), default=63), {"num_leaves": 63}, ["num_leaves 100 is no longer offered, starts at its default 63"]),
        (Categorical(choices=(31, 63)), {}, ["num_leaves 100 is no longer offered, left to the search"]),
    ],
)
def test_a_value_becomes_the_nearest_that_todays_parameter_has(today: Parameter, values: Hyperparameters, notes: list[str]) -> None:
    assert migrated({"num_leaves": 100}, candidates({"num_leaves": today})) == (values, notes)


def test_a_real_number_becomes_a_whole_one_and_a_scale_changes_nothing() -> None:
    space: Space = {"num_leaves": Int(low=8, high=64), "lambda_l1": Float(low=0.001, high=10, log=True)}
    values, notes = migrated({"num_leaves": 31.4, "lambda_l1": 0.25}, candidates(space))
    assert values == {"num_leaves": 31, "lambda_l1": 0.25}
    assert isinstance(values["num_leaves"], int)
    assert notes == ["num_leaves 31.4 rounded to 31"]


def test_a_renamed_parameter_keeps_its_value() -> None:
    space: Space = {"num_leaves": Int(low=8, high=64)}
    assert migrated({"leaves": 31}, candidates(space), {"leaves": "num_leaves"}) == ({"num_leaves": 31}, ["leaves renamed to num_leaves"])
    both, notes = migrated({"leaves": 31, "num_leaves": 15}, candidates(space), {"leaves": "num_leaves"})
    assert both == {"num_leaves": 15}
    assert notes == ["leaves left out, since it is no longer searched"]


def test_what_is_no_longer_searched_is_left_out_and_what_is_new_starts_at_its_default() -> None:
    space: Space = {"num_leaves": Int(low=8, high=64), "lambda_l1": Float(low=0, high=1, default=0.5), "lambda_l2": Float(low=0, high=1)}
    values, notes = migrated({"num_leaves": 31, "max_depth": 7, "cat_smooth": 5.0}, candidates(space, {"max_depth": 9}))
    assert values == {"num_leaves": 31, "lambda_l1": 0.5}
    assert notes == [
        "lambda_l1 is new, starts at its default 0.5",
        "lambda_l2 is new, left to the search",
        "max_depth left out, since it is fixed at 9",
        "cat_smooth left out, since it is no longer searched",
    ]


def test_a_parameter_whose_condition_does_not_hold_is_left_out() -> None:
    to = candidates(CONDITIONAL)
    values, notes = migrated({"boosting": "goss", "drop_rate": 0.2, "num_leaves": 15}, to)
    assert values == {"boosting": "gbdt", "num_leaves": 15}
    assert notes == [
        "boosting goss is no longer offered, starts at its default gbdt",
        "drop_rate left out, since it is searched under other conditions only",
    ]
    assert migrated({"boosting": "dart", "drop_rate": 0.2, "num_leaves": 15}, to)[1] == []


def test_a_family_that_is_no_longer_offered_is_left_out_whole() -> None:
    assert migrate(remembered({"eta": 0.1}, "xgboost"), candidates(CONDITIONAL), {}) == (
        None,
        ["left out, since the family is no longer offered"],
    )


def test_processing_choices_are_remembered_beside_the_familys_own() -> None:
    extra: Space = {"use.weather": Categorical(choices=(True, False)), "features.rare": Int(low=5, high=50)}
    values, notes = migrated({"num_leaves": 15, "use.weather": False, "features.rare": 100}, candidates({}, extra=extra))
    assert values == {"use.weather": False, "features.rare": 50}
    assert notes == ["features.rare 100 clipped to 50", "num_leaves left out, since it is no longer searched"]


def test_with_several_families_each_gets_its_own_names() -> None:
    to = candidates({"num_leaves": Int(low=8, high=64)}, others=(parse_model({"family": "scikit", "estimator": "LogisticRegression"}),))
    values, _ = migrated({"num_leaves": 100}, to)
    assert values == {FAMILY: "lightgbm", "lightgbm.num_leaves": 64}
    points = starting_points(to, [], ALONE)
    assert [values[FAMILY] for _, values in points] == ["lightgbm", "LogisticRegression"]
    assert {origin for origin, _ in points} == {DEFAULTS}


def test_the_starts_are_memory_then_defaults_then_the_portfolio_each_once() -> None:
    to = candidates({"num_leaves": Int(low=8, high=64, default=31), "learning_rate": Float(low=0.01, high=0.2, default=0.1)})
    good: list[Hyperparameters] = [{"num_leaves": 40, "learning_rate": 0.03}, {"num_leaves": 64, "learning_rate": 0.1}]
    kept = [remembered(good[0]), remembered({**good[0]}), remembered({"num_leaves": 900, "learning_rate": 0.1})]
    found = starting_points(to, kept, MemorySettings())
    assert found == [
        ("retrain of 2013-09-01", good[0]),
        ("retrain of 2013-09-01", good[1]),
        (DEFAULTS, {"num_leaves": 31, "learning_rate": 0.1}),
        (PORTFOLIO, {"num_leaves": 15, "learning_rate": 0.05}),
    ], "the second of the portfolio is clipped to what is remembered already"


def test_as_many_as_asked_are_remembered_the_first_ones_and_none_of_a_cold_start() -> None:
    to = candidates({"num_leaves": Int(low=8, high=64, default=31)})
    kept = [remembered({"num_leaves": leaves}) for leaves in (900, 901, 8, 9, 10)]
    assert [values["num_leaves"] for _, values in starting_points(to, kept, MemorySettings(settings=2, portfolio=False))] == [64, 8, 31]
    cold = start_from(to, champion({"num_leaves": 20}), kept, MemorySettings(settings=0, portfolio=False))
    assert cold == Start(((DEFAULTS, {"num_leaves": 31}),), ())


def champion(hyperparameters: Hyperparameters, **processing: Any) -> Champion:
    stored = {"model": {"family": "lightgbm"}, **processing}
    return Champion("shop", "3", "models:/x", "run", None, "c", "d", "s", "lightgbm", hyperparameters, stored)


def test_the_champion_comes_first_with_its_rounds_left_to_the_folds() -> None:
    extra: Space = {"use.weather": Categorical(choices=(True, False)), "weights.half_life": Categorical(choices=("none", "30d", "90d"))}
    to = candidates({"num_leaves": Int(low=8, high=64, default=31)}, {"max_depth": 7}, extra)
    live = champion(
        {"num_leaves": 20, "max_depth": 7, "num_iterations": 400},
        features={"optional": {"weather": ["temp"]}, "without": ["weather"]},
        weights={"half_life": None},
    )
    start = start_from(to, live, [remembered({"num_leaves": 40, "use.weather": True, "weights.half_life": "30d"})], ALONE)
    assert start.points[0] == ("champion v3", {"num_leaves": 20, "use.weather": False, "weights.half_life": "none"})
    assert start.points[1] == ("retrain of 2013-09-01", {"num_leaves": 40, "use.weather": True, "weights.half_life": "30d"})
    assert start.notes == ("champion v3: lightgbm, kept as it was", "retrain of 2013-09-01: lightgbm, kept as it was")
    assert champion_origin(live) == "champion v3"
    assert remember_champion(live, to).choices == start.points[0][1]


def test_a_champion_from_before_processing_was_stored_says_nothing_of_it() -> None:
    to = candidates({"num_leaves": Int(low=8, high=64)}, extra={"use.weather": Categorical(choices=(True, False), default=True)})
    start = start_from(to, champion({"num_leaves": 20}), [], ALONE)
    assert start.points[0] == ("champion v3", {"num_leaves": 20, "use.weather": True})
    assert start.notes == ("champion v3: lightgbm, use.weather is new, starts at its default true",)


def test_the_space_in_words_changes_with_its_ranges_and_fixed_values_and_not_with_its_defaults() -> None:
    space: Space = {"num_leaves": Int(low=8, high=64, default=31)}
    first = describe_space(candidates(space, {"max_depth": 7}))
    assert first == {"num_leaves": "int 8..64", "max_depth": "fixed at 7"}
    assert describe_space(candidates({"num_leaves": Int(low=8, high=64, default=15)}, {"max_depth": 7})) == first
    assert describe_space(candidates({"num_leaves": Int(low=8, high=128)}, {"max_depth": 7})) != first
    assert describe_space(candidates(space, {"max_depth": 8})) != first


NAMES = ("num_leaves", "learning_rate", "lambda_l1", "boosting", "max_depth", "cat_smooth")
scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["a", "b", "7", "none"])
)


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["int", "float", "categorical"]))
    if kind == "categorical":
        choices = draw(st.lists(st.one_of(st.integers(-9, 9), st.sampled_from(["a", "b", "none"])), min_size=1, max_size=4, unique=True))
        return Categorical(choices=tuple(choices), default=draw(st.sampled_from([None, *choices])))
    low, high = sorted(draw(st.tuples(st.integers(1, 50), st.integers(51, 400))))
    log = draw(st.booleans())
    if kind == "int":
        step = None if log else draw(st.sampled_from([None, high - low]))
        return Int(low=low, high=high, log=log, step=step, default=draw(st.sampled_from([None, low, high])))
    return Float(low=low / 100, high=high / 100, log=log, reverse_log=not log and draw(st.booleans()))


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Up to six parameters; one that comes later may hang on an earlier list of choices."""
    space: Space = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        parameter = draw(parameters())
        parents = [(other, known) for other, known in space.items() if isinstance(known, Categorical)]
        if parents and draw(st.booleans()):
            other, known = draw(st.sampled_from(parents))
            parameter = parameter.changed(when={other: (known.choices[0],)})
        space[name] = parameter
    return space


def contains(parameter: Parameter, value: Scalar) -> bool:
    if isinstance(parameter, Categorical):
        return any(value == choice and type(value) is type(choice) for choice in parameter.choices)
    number = isinstance(value, int if isinstance(parameter, Int) else float) and not isinstance(value, bool)
    return number and parameter.low <= value <= parameter.high and abs(parameter.on_step(float(value)) - float(value)) < 1e-9


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from((*NAMES, "gone", "features.rare")), scalars),
    spaces(),
    st.dictionaries(st.sampled_from(("gone", *NAMES)), st.sampled_from(NAMES), max_size=3),
    st.booleans(),
)
def test_whatever_was_remembered_what_comes_out_is_valid_today(
    old: Hyperparameters, space: Space, renamed: dict[str, str], several: bool
) -> None:
    others = (parse_model({"family": "scikit", "estimator": "Ridge"}),) if several else ()
    to = candidates(space, extra={"features.rare": Int(low=1, high=90, default=20)}, others=others)
    values, _ = migrated(old, to, renamed)
    assert values is not None
    active: Hyperparameters = {}
    for name, parameter in ordered(to.space).items():
        if name in values:
            assert is_active(parameter, active), f"{name} is given, but nothing asks for it"
            assert contains(parameter, values[name])
            active[name] = values[name]
        else:
            assert parameter.default is None or not is_active(parameter, active), f"{name} has a default and was left out"
    assert active == values, "nothing that the space does not have"
    assert migrated(to.choices(values), to)[0] == values, "what is valid today stays as it is"
