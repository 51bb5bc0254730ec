from __future__ import annotations

import math
import re
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


def short(content: Any) -> Any:
    """The same in a short form."""
    return Searched.model_validate({"space": {"x": content}}).space["x"]


@pytest.mark.parametrize(
    ("content", "parameter"),
    [
        ("7..255 log", Int(low=7, high=255, log=True)),
        ("0.02..0.3 log default 0.1", Float(low=0.02, high=0.3, log=True, default=0.1)),
        ("0..1 step 0.25", Float(low=0, high=1, step=0.25)),
        ("0..100 step 5", Int(low=0, high=100, step=5)),
        ("0..1 default 0.5", Float(low=0, high=1, default=0.5)),
        ("2..8", Int(low=2, high=8)),
        ("-3 .. 3", Int(low=-3, high=3)),
        ("-.5..1.", Float(low=-0.5, high=1)),
        ("1e-3..1e2 log", Float(low=1e-3, high=100, log=True)),
        ("float 0..1", Float(low=0, high=1)),
        ("int 1..9, log, default 3", Int(low=1, high=9, log=True, default=3)),
        ("0.001..0.999 reverse_log", Float(low=0.001, high=0.999, reverse_log=True)),
        ([4, 6, "none"], Categorical(choices=(4, 6, "none"))),
        ([True], Categorical(choices=(True,))),
        ("gbdt", Categorical(choices=("gbdt",), default="gbdt")),
        (31, Categorical(choices=(31,), default=31)),
        (0.1, Categorical(choices=(0.1,), default=0.1)),
        (False, Categorical(choices=(False,), default=False)),
        ({"low": 2, "high": 8}, Int(low=2, high=8)),
        ({"low": 2, "high": 8.0}, Float(low=2, high=8)),
        ({"low": 0, "high": 1, "step": 0.5}, Float(low=0, high=1, step=0.5)),
        ({"choices": [1, 2], "when": {"booster": "dart"}}, Categorical(choices=(1, 2), when={"booster": ("dart",)})),
        ({"low": 1, "high": 2, "when": {"depth": [1, 2]}}, Int(low=1, high=2, when={"depth": (1, 2)})),
    ],
)
def test_short_forms_stand_for_whole_ones(content: Any, parameter: Any) -> None:
    assert short(content) == parameter
    assert type(parameter).model_validate(parameter.model_dump(mode="json")) == parameter


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1..", "must look like 7..255 log or 0.02..0.3 log default 0.1, got '1..'"),
        ("1..x", "must look like"),
        ("1..2..3", "after the range may stand"),
        ("1..9 lag", "log or reverse_log, step and default, each once; 'lag' may not, got '1..9 lag'"),
        ("1..9 log log", "'log' may not"),
        ("1..9 log reverse_log", "log and reverse_log exclude each other"),
        ("1..9 default", "default must be followed by a number, got '1..9 default'"),
        ("1..9 step log", "step must be followed by a number"),
        ("9..1", "low must be below high, got low 9 and high 1"),
        ("1..99 log step 2", "steps need a linear scale; leave out log, or step 2"),
        ("0..1 reverse_log", "a logarithmic scale needs low above 0, got 0"),
        ("0..1 step 0.3", "step 0.3 must lead from low 0 to high 1; the last one it reaches is 0.9"),
        ("0..1 step 2.5", "step 2.5 must lead from low 0 to high 1"),
        ("0..9 step 0", "step must be more than 0, got 0"),
        ("0..10 step 5 default 7", "default must be low 0 and a number of steps of 5, got 7"),
        ("int 1..2.5", "valid integer"),
        ("1..1e400", "finite number"),
        ("-1e308..1e308", "wider than numbers reach"),
        ({"low": 0, "high": 10**20}, "less than or equal to 9007199254740992"),
        ([1, True], "choices must differ, got 1 and True"),
        ([], "at least 1 item"),
        (None, "valid dictionary"),
        ([[1]], "valid boolean"),
    ],
)
def test_a_short_form_that_cannot_be_searched_is_refused(content: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        short(content)


def test_a_step_is_as_it_was_written_not_as_it_is_in_binary() -> None:
    assert short("0..0.3 step 0.1").size == 4
    assert short("0.1..0.7 step 0.1 default 0.3").default == 0.3


@pytest.mark.parametrize("content", ["7..255 log", "0.02..0.3 log default 0.1", "0..1 step 0.25", "0.5..1 reverse_log", "0..5 step 5"])
def test_what_is_described_can_be_pasted_back(content: str) -> None:
    assert short(describe(short(content))) == short(content)


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
    assert describe(Int(low=1, high=9, step=2, default=3)) == "int 1..9, step 2, default 3"
    assert describe(Int(low=1, high=10_000_001)) == "int 1..10000001"
    assert describe(Categorical(choices=(False, True), default=True)) == "one of false, true, default true"
    assert describe(short(3)) == "always 3"
    conditional = Float(low=0, high=1, when={"kind": ("a", "b"), "deep": (True,)})
    assert describe(conditional) == "float 0..1, while kind is a or b and deep is true"


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
