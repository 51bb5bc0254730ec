from __future__ import annotations

import math
from typing import Any

import pytest

from tasks.models import parse_model
from tasks.settings import Settings
from tasks.spaces import Categorical, Float, Int, Space, defaults, describe


class Searched(Settings):
    space: Space


def read(**parameter: Any) -> Any:
    """The parameter as it is read from a config."""
    return Searched.model_validate({"space": {"x": parameter}}).space["x"]


def test_parameters_are_read_by_their_type() -> None:
    assert read(type="int", low=1, high=9, log=True) == Int(low=1, high=9, log=True)
    assert read(type="float", low=0, high=1, default=0.5) == Float(low=0, high=1, default=0.5)
    assert read(type="categorical", choices=["a", 1, False]) == Categorical(choices=("a", 1, False))


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ({"type": "float", "low": 1, "high": 1}, "low must be below high, got low 1 and high 1"),
        ({"type": "int", "low": 5, "high": 2}, "low must be below high, got low 5 and high 2"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "a logarithmic scale needs low above 0, got 0"),
        ({"type": "int", "low": 1, "high": 9, "default": 10}, "default must lie between low 1 and high 9, got 10"),
        ({"type": "float", "low": math.nan, "high": 1}, "finite number"),
        ({"type": "float", "low": 0, "high": math.inf}, "finite number"),
        ({"type": "float", "low": 0, "high": 1, "default": math.nan}, "finite number"),
        ({"type": "int", "low": 1.5, "high": 9}, "valid integer"),
        ({"type": "categorical", "choices": []}, "at least 1 item"),
        ({"type": "categorical", "choices": ["a"], "default": "b"}, "default must be one of the choices, got 'b'"),
        ({"type": "loguniform", "low": 1, "high": 2}, "expected tags"),
        ({}, "discriminator"),
    ],
)
def test_a_parameter_that_cannot_be_searched_is_refused(parameter: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(**parameter)


def test_the_first_trial_starts_from_the_defaults_there_are() -> None:
    space: Space = {"a": Int(low=1, high=9, default=3), "b": Float(low=0, high=1), "c": Categorical(choices=(False, True), default=False)}
    assert defaults(space) == {"a": 3, "c": False}


def test_a_parameter_is_described_for_people() -> None:
    assert describe(Int(low=8, high=256, log=True)) == "int 8..256, log"
    assert describe(Float(low=0.001, high=10)) == "float 0.001..10"
    assert describe(Categorical(choices=("a", 2))) == "one of a, 2"


def test_a_space_in_the_config_adds_to_the_default_one_and_replaces_by_name() -> None:
    own: Any = {"num_leaves": {"type": "int", "low": 2, "high": 8}, "path_smooth": {"type": "float", "low": 0, "high": 1}}
    model = parse_model({"family": "lightgbm", "space": own})
    searched = model.searched("binary")
    assert set(searched) == {*model.default_space("binary"), "path_smooth"}
    assert searched["num_leaves"] == Int(low=2, high=8)


def test_what_is_fixed_is_not_searched() -> None:
    model = parse_model({"family": "lightgbm", "hyperparameters": {"num_leaves": 15}})
    assert "num_leaves" not in model.searched("binary")
    assert model.with_hyperparameters({"learning_rate": 0.2}).hyperparameters == {"num_leaves": 15, "learning_rate": 0.2}
