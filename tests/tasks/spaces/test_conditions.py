from __future__ import annotations

import pytest

from tasks.spaces import Categorical, Float, Int, Space, check_conditions, ordered, settle

BOOSTER = Categorical(choices=("tree", "dart"))
SPACE: Space = {
    "rate_drop": Float(low=0, high=1, when={"booster": ("dart",)}),
    "skip": Float(low=0, high=1, when={"rate_mode": (1, 2)}),
    "rate_mode": Int(low=0, high=3, when={"booster": ("dart",)}),
    "booster": BOOSTER,
    "eta": Float(low=0.1, high=0.3),
}


def test_parents_come_before_those_that_hang_on_them_else_the_order_stays() -> None:
    assert list(ordered(SPACE)) == ["booster", "eta", "rate_drop", "rate_mode", "skip"]
    assert ordered(SPACE) == SPACE


def test_a_cycle_is_named() -> None:
    cycle: Space = {
        "a": Int(low=0, high=1, when={"b": (1,)}),
        "b": Int(low=0, high=1, when={"c": (1,)}),
        "c": Int(low=0, high=1, when={"a": (1,)}),
        "d": Int(low=0, high=1, when={"a": (1,)}),
    }
    with pytest.raises(ValueError, match="a and b and c hang on each other; leave one when out"):
        ordered(cycle)
    assert [fault for _, fault in check_conditions(cycle, {}, cycle)] == ["when: a and b and c hang on each other; leave one when out"]
    itself: Space = {"a": Int(low=0, high=1, when={"a": (1,)})}
    assert list(check_conditions(itself, {}, itself)) == [("a", "when: a hang on each other; leave one when out")]


def test_a_fixed_value_that_meets_a_condition_leaves_the_parameter_unconditional() -> None:
    settled = settle(SPACE, {"booster": "dart"})
    assert list(settled) == ["rate_drop", "skip", "rate_mode", "eta"]
    assert settled["rate_drop"].when == {}
    assert settled["skip"].when == {"rate_mode": (1, 2)}


def test_a_fixed_value_that_meets_it_never_takes_the_parameter_and_its_children_out() -> None:
    assert list(settle(SPACE, {"booster": "tree"})) == ["eta"]


def test_what_no_choice_calls_for_any_more_is_taken_out() -> None:
    assert list(settle({**SPACE, "booster": Categorical(choices=("tree",))}, {})) == ["booster", "eta"]


def test_a_space_without_conditions_only_loses_what_is_fixed() -> None:
    space: Space = {"a": Int(low=0, high=1), "b": Int(low=0, high=1)}
    assert settle(space, {"a": 1, "other": 2}) == {"b": space["b"]}
    assert not list(check_conditions(SPACE, {}, SPACE))
