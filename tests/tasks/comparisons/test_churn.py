from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.comparisons.churn import measure_churn
from tasks.records import Target

BINARY, SEVERAL, NUMBER = Target("y", "binary", (0, 1)), Target("y", "multiclass", ("a", "b", "c")), Target("y", "regression")


def test_a_binary_row_churns_when_it_crosses_one_half() -> None:
    ours, theirs = np.array([0.4, 0.6, 0.5, 0.1]), np.array([0.6, 0.9, 0.49, 0.2])
    assert measure_churn(BINARY, ours, theirs) == 2 / 4


def test_several_classes_churn_by_the_likeliest_one() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.dirichlet(np.ones(3), 200), random.dirichlet(np.ones(3), 200)
    changed = sum(int(np.argmax(a)) != int(np.argmax(b)) for a, b in zip(ours, theirs, strict=True))
    assert measure_churn(SEVERAL, ours, theirs) == changed / 200


def test_numbers_churn_by_their_change_in_units_of_the_rivals_spread() -> None:
    theirs = np.array([-1.0, 1.0, -1.0, 1.0])  # a standard deviation of 1
    assert measure_churn(NUMBER, theirs + np.array([0.2, -0.4, 0.0, 0.2]), theirs) == pytest.approx(0.2)
    assert measure_churn(NUMBER, 50 * theirs + 10, 50 * theirs) == pytest.approx(10 / 50)


@pytest.mark.parametrize(("target", "prediction"), [(BINARY, [0.2, 0.9]), (SEVERAL, [[0.1, 0.2, 0.7]]), (NUMBER, [3.0, 4.0])])
def test_the_same_predictions_do_not_churn(target: Target, prediction: list[float]) -> None:
    assert measure_churn(target, np.array(prediction), np.array(prediction)) == 0


def test_a_rival_that_always_says_the_same_has_no_spread() -> None:
    assert measure_churn(NUMBER, np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0
    assert measure_churn(NUMBER, np.array([1.0, 1.1]), np.array([1.0, 1.0])) == math.inf
