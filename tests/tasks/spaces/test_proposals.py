from __future__ import annotations

import math
import statistics
from random import Random

import optuna
import pytest

from tasks.records import Hyperparameters
from tasks.spaces import Categorical, Float, Int, Space, draw, external, internal, suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE: Space = {
    "momentum": Float(low=0.001, high=0.999, reverse_log=True),
    "keep": Int(low=1, high=1000, reverse_log=True),
    "share": Float(low=0, high=1, step=0.1),
    "rate": Float(low=0.001, high=1, log=True),
    "leaves": Int(low=2, high=512, log=True),
    "units": Int(low=8, high=64, step=8),
    "skip": Float(low=0, high=1, when={"kind": ("dart",)}),
    "kind": Categorical(choices=("tree", "dart", False, 3)),
    "always": Categorical(choices=("x",)),
}


def drawn(seed: int, trials: int = 60) -> list[Hyperparameters]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [suggest(study.ask(), SPACE) for _ in range(trials)]


def test_every_active_parameter_has_a_value_and_no_other() -> None:
    for values in drawn(0):
        assert ("skip" in values) == (values["kind"] == "dart")
        assert SPACE.keys() - {"skip"} <= values.keys()
        assert values["always"] == "x"


def test_a_reversed_scale_is_dense_near_high() -> None:
    momenta = [float(values["momentum"]) for values in drawn(1, 400)]
    assert statistics.median(momenta) == pytest.approx(1 - math.sqrt(0.001 * 0.999), abs=0.015)
    assert all(0.001 <= value <= 0.999 for value in momenta)
    keeps = [values["keep"] for values in drawn(1, 400)]
    assert all(type(value) is int and 1 <= value <= 1000 for value in keeps)
    assert statistics.median(map(float, keeps)) > 940


def test_what_goes_into_a_study_comes_out_of_it_as_it_was() -> None:
    written = {"momentum": 0.9, "keep": 7, "share": 0.3, "rate": 0.01, "leaves": 31, "units": 16, "kind": False, "always": "x"}
    for values in [*drawn(2), written]:
        study = optuna.create_study()
        study.enqueue_trial(internal(SPACE, values))
        trial = study.ask()
        assert suggest(trial, SPACE) == values
        assert external(SPACE, trial.params) == values


def test_what_a_space_does_not_have_stays_out_of_its_study() -> None:
    assert internal(SPACE, {"units": 8, "gone": 1}) == {"units": 8}
    assert external(SPACE, {"units": 8, "gone": 1}) == {"units": 8}


def test_draws_are_of_the_space_too() -> None:
    random = Random(0)
    seen = [draw(SPACE, random) for _ in range(300)]
    for values in seen:
        study = optuna.create_study()
        study.enqueue_trial(internal(SPACE, values))
        assert suggest(study.ask(), SPACE) == values
    assert {values["kind"] for values in seen} == {"tree", "dart", False, 3}
    assert {values["units"] for values in seen} == set(range(8, 65, 8))
