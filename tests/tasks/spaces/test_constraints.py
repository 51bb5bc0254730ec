from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spaces import Float, Int, Space, broken, check_constraints

VALUES: dict[str, Any] = {
    "num_leaves": 31,
    "max_depth": 5,
    "rate": 0.25,
    "booster": "dart",
    "extra": True,
    "lambda": 2.0,
    "features.rare": 20,
    "use.weather": False,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("num_leaves <= 2 ** max_depth", True),
        ("num_leaves <= 2 ** (max_depth - 1)", False),
        ("num_leaves <= 2 ** max_depth - 1", True),
        ("rate + rate < 0.5", False),
        ("rate + rate == 0.5", True),
        ('booster == "dart" or rate < 0.2', True),
        ("booster != 'dart' and rate < 0.3", False),
        ("not booster == 'tree'", True),
        ("0 < rate <= 0.25 < 1", True),
        ("0 < rate < 0.25 < 1", False),
        ("num_leaves % 2 == 1", True),
        ("-rate < 0", True),
        ("+rate > 0", True),
        ("num_leaves / max_depth > 6.1", True),
        ("extra", True),
        ("extra == true", True),
        ("not use.weather or features.rare > 100", True),
        ("use.weather == false", True),
        ("lambda * 2 == 4", True),
        ("num_leaves - 31 == 0", True),
    ],
)
def test_a_constraint_means_what_it_says(text: str, holds: bool) -> None:
    assert broken((text,), VALUES) == (None if holds else text)


@pytest.mark.parametrize(
    "text", ["10 / (num_leaves - 31) > 0", "num_leaves % (max_depth - 5) >= 0", "num_leaves ** 9999 > 1", "(0 - rate) ** 0.5 < 9"]
)
def test_what_has_no_value_does_not_hold(text: str) -> None:
    assert broken((text,), VALUES) == text


def test_a_constraint_on_a_parameter_that_is_not_active_holds() -> None:
    assert broken(("drop_rate < 0 and num_leaves < 0",), VALUES) is None
    assert broken(("not drop_rate < 0",), VALUES) is None


def test_the_first_broken_one_is_named() -> None:
    assert broken(("rate < 1", "rate < 0.1", "rate < 0.01"), VALUES) == "rate < 0.1"
    assert broken((), VALUES) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate <", "cannot be read"),
        ("", "cannot be read"),
        ("rate = 1", "cannot be read"),
        ("rate < 1; rate < 2", "cannot be read"),
        ("__import__('os').system('true')", "is not allowed"),
        ("rate.__class__() == 1", "is not allowed"),
        ("[rate][0] < 1", "is not allowed"),
        ("(lambda: 1)() < rate", "cannot be read"),
        ("rate if extra else 1", "is not allowed"),
        ("rate in (1, 2)", "is not allowed"),
        ("rate is 1", "is not allowed"),
        ("f'{rate}' == 'x'", "is not allowed"),
        ("rate < 1j", "is not allowed"),
        ("rate < 10 ** 10 ** 10", "has no finite value"),
        ("rate < 1 / 0", "has no finite value"),
        ("rate < " + "9" * 400, "at most 200 characters"),
        ("rate < 1e999", "is not allowed"),
        ("rate < ...", "is not allowed"),
        ("rate < None", "is not allowed"),
        ("rate << 3", "is not allowed"),
        ("rate // 2 < 1", "is not allowed"),
        ("booster * 3 == 'dartdartdart'", "a text and a number"),
        ("booster + 'x' == 'dartx'", "a text and a number"),
        ("'%s' % rate == 'x'", "a text and a number"),
        ("'a' * 100000000 == booster", "computes with a text"),
        ("booster < 3", "a text and a number"),
    ],
)
def test_nothing_but_arithmetic_and_comparisons_is_read(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        broken((text,), VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "rate < 2 ** num_leaves ** num_leaves ** num_leaves",
        "rate" + " * rate" * 27 + " < 1",
        "(" * 90 + "rate" + ")" * 90,
        "-" * 190 + "rate < 1",
        "not " * 40 + "rate",
    ],
)
def test_no_constraint_takes_long(text: str) -> None:
    started = time.perf_counter()
    with contextlib.suppress(ValueError):  # nested deeper than Python's own reader likes
        broken((text,), VALUES)
    assert time.perf_counter() - started < 0.5


@given(st.text(alphabet="ab01.+-*/%<>=!()'\" \nandortue_\\#[]{},:@", max_size=60))
def test_no_text_does_anything_but_hold_be_broken_or_be_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert broken((text,), {"a": 1, "b": "x"}) in (None, text)


# at config time

SPACE: Space = {"a": Int(low=1, high=10), "b": Float(low=0, high=1), "c": Int(low=1, high=9, when={"a": (3,)})}


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (("a <",), "'a <': cannot be read"),
        (("aa < 1",), "'aa < 1': there is no parameter 'aa'; did you mean a?"),
        (("1 < 2",), "'1 < 2': names no parameter"),
        (("a < 1",), "the search space is empty: none of 10,000 random settings satisfies 'a < 1'"),
        (("a < 5", "a > 5"), "the search space is empty: none of 10,000 random settings satisfies 'a < 5' and 'a > 5'"),
        (("fixed > 7 and b > 0",), "the search space is empty: none of 10,000 random settings satisfies 'fixed > 7 and b > 0'"),
        (("b > 'x'",), "\"b > 'x'\" compares"),
    ],
)
def test_a_constraint_that_leaves_nothing_or_cannot_be_read_is_a_fault(texts: tuple[str, ...], fault: str) -> None:
    (found,) = check_constraints(texts, SPACE, {"fixed": 7})
    assert found.startswith(fault)


def test_constraints_that_leave_something_are_none() -> None:
    assert not list(check_constraints(("a < 3 or b < 0.5", "c > 100", "fixed == 7", "eta < 0"), SPACE, {"fixed": 7}, ["eta"]))
    assert not list(check_constraints((), {}, {}))
