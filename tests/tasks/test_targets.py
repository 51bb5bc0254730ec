from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.errors import DataRejected
from tasks.records import Target
from tasks.targets import align, can_judge, encode, require_classes

BINARY = Target("sold", "binary", ("no", "yes"))
SEVERAL = Target("shop", "multiclass", ("a", "b", "c"))
VALUE = Target("price", "regression")


@pytest.mark.parametrize(
    ("classes", "values"),
    [
        (("no", "yes"), ["yes", "no", "yes"]),
        ((0, 1), [1, 0, 1]),
        ((0, 1), [1.0, 0.0, 1.0]),
        ((False, True), [True, False, True]),
        ((1, 0), [0, 1, 0]),
    ],
)
def test_classes_become_their_positions(classes: Any, values: Any) -> None:
    assert encode(Target("sold", "binary", classes), pd.Series(values)).tolist() == [1.0, 0.0, 1.0]


def test_the_values_of_a_regression_stay_as_they_are() -> None:
    encoded = encode(VALUE, pd.Series([1, 2, 3]))
    assert encoded.tolist() == [1.0, 2.0, 3.0]
    assert encoded.dtype == np.float64


def test_a_class_nobody_declared_is_named() -> None:
    with pytest.raises(DataRejected, match=r"sold has the value 'perhaps', which is none of its classes \['no', 'yes'\]"):
        encode(BINARY, pd.Series(["yes", "perhaps"]))


@pytest.mark.parametrize(("target", "values"), [(BINARY, ["yes", None]), (VALUE, [1.0, None])])
def test_a_missing_label_is_never_taken_for_a_class(target: Target, values: Any) -> None:
    with pytest.raises(DataRejected, match="is missing in 1 of 2 rows"):
        encode(target, pd.Series(values))


def test_one_class_alone_judges_nothing() -> None:
    assert not can_judge(BINARY, np.array([1.0, 1.0]))
    assert can_judge(BINARY, np.array([1.0, 0.0]))
    assert can_judge(VALUE, np.array([1.0]))


def test_no_row_at_all_judges_nothing_either() -> None:
    with pytest.raises(DataRejected, match=r"one class only \('no row'\) in the test window \(0 rows\)"):
        require_classes(BINARY, np.array([1.0, 0.0]), np.array([], dtype=np.int64), "the test window")


def test_an_answer_over_the_same_classes_is_left_alone() -> None:
    raw = np.array([0.2, 0.9])
    assert align(raw, ["no", "yes"], BINARY) is raw
    assert align(raw, [], VALUE) is raw


def test_an_answer_about_the_other_class_is_turned_round() -> None:
    assert align(np.array([0.2, 0.9]), ["yes", "no"], BINARY) == pytest.approx([0.8, 0.1])


def test_a_class_the_other_model_does_not_know_gets_nothing() -> None:
    raw = np.array([[0.1, 0.9], [0.7, 0.3]])
    assert align(raw, ["c", "a"], SEVERAL).tolist() == [[0.9, 0.0, 0.1], [0.3, 0.0, 0.7]]
    assert align(np.array([0.25]), ["a", "c"], SEVERAL).tolist() == [[0.75, 0.0, 0.25]]


def test_a_class_that_is_gone_is_left_out() -> None:
    raw = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert align(raw, ["a", "b", "c", "d"], SEVERAL).tolist() == [[0.1, 0.2, 0.3]]


@pytest.mark.parametrize(("classes", "target"), [(["no", "yes"], VALUE), ([], BINARY)])
def test_an_answer_to_another_question_is_refused(classes: Any, target: Target) -> None:
    with pytest.raises(ValueError, match=r"it answers a (classification|regression), not a"):
        align(np.array([0.5]), classes, target)
