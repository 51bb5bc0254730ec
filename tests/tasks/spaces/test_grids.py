from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.records import Hyperparameters
from tasks.spaces import Categorical, Float, Int, Space, combinations, grid, is_active, walk

SIX: Space = {name: Float(low=0, high=1) for name in "abcdef"}


def test_six_parameters_of_six_values_are_46656_combinations() -> None:
    assert combinations(SIX, 6) == 46_656


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Int(low=1, high=4), [1, 2, 3, 4]),
        (Int(low=0, high=100), [0, 20, 40, 60, 80, 100]),
        (Int(low=0, high=100, step=10), list(range(0, 101, 10))),
        (Int(low=1, high=1024, log=True), [1, 4, 16, 64, 256, 1024]),
        (Int(low=1, high=8, log=True), [1, 2, 3, 5, 8]),
        (Float(low=0, high=1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Float(low=0, high=1, step=0.25), [0, 0.25, 0.5, 0.75, 1]),
        (Float(low=0.1, high=0.7, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (Float(low=0.001, high=100, log=True), [0.001, 0.01, 0.1, 1, 10, 100]),
        (Categorical(choices=("a", 3, False)), ["a", 3, False]),
    ],
)
def test_a_grid_takes_all_of_little_and_spreads_over_much(parameter: Int | Float | Categorical, values: list[object]) -> None:
    assert grid({"x": parameter}, 6) == {"x": values}
    assert combinations({"x": parameter}, 6) == len(values)


def test_a_reversed_grid_is_densest_near_high() -> None:
    values = [float(value) for value in grid({"x": Float(low=0.001, high=1, reverse_log=True)}, 4)["x"]]
    assert values == pytest.approx([0.001, 0.901, 0.991, 1.0])


def test_long_ranges_of_steps_are_counted_not_listed() -> None:
    assert combinations({"a": Int(low=0, high=10**15, step=1), "b": Float(low=0, high=1, step=1e-9)}, 6) == (10**15 + 1) * (10**9 + 1)


def test_inactive_parameters_do_not_multiply() -> None:
    space: Space = {
        "drop": Float(low=0, high=1, when={"booster": ("dart",)}),
        "booster": Categorical(choices=("tree", "dart", "line")),
        "skip": Categorical(choices=(1, 2), when={"booster": ("dart", "line")}),
    }
    assert combinations(space, 5) == 1 + 5 * 2 + 2
    settings = list(walk(space, 5, 0))
    assert {frozenset(each.items()) for each in settings if each["booster"] == "tree"} == {frozenset({("booster", "tree")})}


names = st.sampled_from(["a", "b", "c", "d", "e"])


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Small spaces whose parameters hang on those before them."""
    space: Space = {}
    for name in "abcde"[: draw(st.integers(0, 5))]:
        parents = {other: tuple(draw(st.sets(st.integers(0, 3), min_size=1))) for other in space if draw(st.booleans())}
        kind = draw(st.sampled_from(["int", "choices", "steps"]))
        if kind == "int":
            space[name] = Int(low=0, high=draw(st.integers(1, 9)), when=parents)
        elif kind == "steps":
            space[name] = Int(low=0, high=3, step=3, when=parents)
        else:
            space[name] = Categorical(choices=tuple(draw(st.sets(st.integers(0, 3), min_size=1))), when=parents)
    return space


@given(spaces(), st.integers(2, 4))
def test_the_count_is_the_number_of_settings_walked_through(space: Space, points: int) -> None:
    settings = list(walk(space, points, 0))
    assert len(settings) == combinations(space, points) == len({frozenset(each.items()) for each in settings})
    for each in settings:
        assert all(is_active(parameter, each) == (name in each) for name, parameter in space.items())


def test_a_walk_goes_everywhere_once_in_an_order_that_its_seed_shuffles() -> None:
    space: Space = {"a": Int(low=0, high=4), "b": Int(low=0, high=4)}

    def key(values: Hyperparameters) -> tuple[int, int]:
        return int(values["a"]), int(values["b"])

    one, again, other = ([key(values) for values in walk(space, 5, seed)] for seed in (0, 0, 1))
    assert one == again != other
    assert sorted(one) == sorted(other) == [(a, b) for a in range(5) for b in range(5)]
