from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spaces import Categorical, Float, Int, fit_value

INT = Int(low=2, high=100)
STEPS = Int(low=0, high=100, step=10)
FLOAT = Float(low=0.01, high=1.0, log=True)
TENTHS = Float(low=0, high=1, step=0.1)
KINDS = Categorical(choices=("tree", "dart", 3, False))


@pytest.mark.parametrize(
    ("parameter", "value", "fitted", "done"),
    [
        (INT, 31, 31, ""),
        (INT, 31.0, 31, ""),
        (INT, "31", 31, ""),
        (INT, 31.7, 32, "rounded"),
        (INT, 1, 2, "clipped"),
        (INT, 1e9, 100, "clipped"),
        (INT, True, None, "defaulted"),
        (INT, "many", None, "defaulted"),
        (INT, "nan", None, "defaulted"),
        (STEPS, 42, 40, "rounded"),
        (STEPS, 104, 100, "clipped"),
        (FLOAT, 0.1, 0.1, ""),
        (FLOAT, 0, 0.01, "clipped"),
        (FLOAT, 1, 1.0, ""),
        (FLOAT, "0.05", 0.05, ""),
        (TENTHS, 0.30000000000000004, 0.3, ""),
        (TENTHS, 0.34, 0.3, "rounded"),
        (KINDS, "dart", "dart", ""),
        (KINDS, "DART", "dart", ""),
        (KINDS, "3", 3, ""),
        (KINDS, 3.0, 3, ""),
        (KINDS, False, False, ""),
        (KINDS, "false", False, ""),
        (KINDS, 0, None, "defaulted"),
        (KINDS, "gone", None, "defaulted"),
    ],
)
def test_a_value_of_then_becomes_one_of_today(parameter: Any, value: Any, fitted: Any, done: str) -> None:
    found = fit_value(parameter, value)
    assert found == (fitted, done)
    assert type(found[0]) is type(fitted)


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=5)))
def test_whatever_comes_in_fits_or_is_defaulted(value: Any) -> None:
    for parameter in (INT, STEPS, FLOAT, TENTHS):
        fitted, done = fit_value(parameter, value)
        assert (fitted is None) == (done == "defaulted")
        if fitted is not None:
            assert parameter.low <= float(fitted) <= parameter.high
            assert fit_value(parameter, fitted) == (fitted, "")
