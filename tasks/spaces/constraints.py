"""Constraints between parameters: `num_leaves <= 2 ** max_depth`, `a + b < 1`, `booster == "dart" or learning_rate < 0.2`.

Numbers, texts, true, false, names, + - * / ** %, comparisons, and, or, not, brackets; nothing else is read, and nothing is ever
run as Python. Numbers are float64, so that no expression can take long or much memory.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from tasks.records import Hyperparameters
from tasks.spaces.parameters import Space
from tasks.spaces.proposals import draw
from tasks.wording import did_you_mean

LONGEST = 200
DRAWS = 10_000
"""A space of which none of so many random draws satisfies the constraints counts as empty."""
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
WORDS = {"true": True, "false": False}
ALLOWED = "numbers, texts, names, + - * / ** %, comparisons, and, or, not"


def broken(constraints: tuple[str, ...], values: Hyperparameters) -> str | None:
    """The first constraint that does not hold for these values; None when all do.

    One that names a parameter without a value (it is not active) holds; one that cannot be computed, such as a division
    by zero, does not. Raises ValueError for one that cannot be read, or compares text with a number.
    """
    return next((text for text in constraints if not _holds(text, values)), None)


def check_constraints(constraints: tuple[str, ...], space: Space, fixed: Hyperparameters, names: Iterable[str] = ()) -> Iterator[str]:
    """Faults, each beginning with its constraint: what cannot be read, names nobody knows, and constraints nothing satisfies.

    `names` are further parameters there may be, such as another family's.
    """
    known = {*space, *fixed, *names}
    readable = []
    for text in constraints:
        if fault := _unreadable(text, known):
            yield f"{text!r}: {fault}"
        else:
            readable.append(text)
    if readable and len(readable) == len(constraints):
        yield from _unsatisfied(tuple(readable), space, fixed)


def _holds(text: str, values: Hyperparameters) -> bool:
    tree = _parse(text)
    if not _names(text) <= values.keys():
        return True
    try:
        return bool(_value(tree, values))
    except ArithmeticError:
        return False
    except TypeError:
        raise ValueError(f"{text!r} compares, or computes with, a text and a number") from None


def _unreadable(text: str, known: set[str]) -> str:
    try:
        names = _names(text)
    except ValueError as error:
        return str(error)
    if not names:
        return "names no parameter"
    unknown = sorted(names - known)
    hints = [f"there is no parameter {name!r}" + (f"; {hint}" if (hint := did_you_mean(name, known)) else "") for name in unknown]
    return "; ".join(hints)


def _unsatisfied(constraints: tuple[str, ...], space: Space, fixed: Hyperparameters) -> Iterator[str]:
    random = Random(0)  # noqa: S311 - trying out, nothing secret
    broken_by = dict.fromkeys(constraints, 0)
    for _ in range(DRAWS):
        values = {**fixed, **draw(space, random)}
        try:
            failed = [text for text in constraints if not _holds(text, values)]
        except ValueError as error:
            yield str(error)
            return
        if not failed:
            return
        for text in failed:
            broken_by[text] += 1
    always = [text for text, count in broken_by.items() if count == DRAWS] or list(constraints)
    yield f"the search space is empty: none of {DRAWS:,} random settings satisfies {' and '.join(map(repr, always))}"


@functools.cache
def _names(text: str) -> frozenset[str]:
    return frozenset(_walk_names(_parse(text)))


def _walk_names(node: ast.expr) -> Iterator[str]:
    if (name := _name(node)) is not None:
        if name not in WORDS:
            yield name
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _walk_names(child)


@functools.cache
def _parse(text: str) -> ast.expr:
    """The expression, all of it allowed. Raises ValueError that says what is not."""
    if len(text) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    python = re.sub(r"\blambda\b", "lambda_", text)  # a parameter of XGBoost's, and a word of Python's
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(python.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'msg', None) or error}; it may have {ALLOWED}") from None
    _check(tree)
    return tree


def _check(node: ast.expr) -> None:
    if _name(node) is not None:
        return
    allowed = (
        (isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str) and _is_number_or_text(node.value))
        or (isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC)
        or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.UAdd))
        or (isinstance(node, ast.Compare) and all(type(op) in COMPARISONS for op in node.ops))
        or isinstance(node, ast.BoolOp)
    )
    if not allowed:
        raise ValueError(f"{ast.unparse(node)} is not allowed; only {ALLOWED} are")
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            _check(child)
    if isinstance(node, ast.BinOp) and not list(_walk_names(node)):
        _check_computable(node)


def _check_computable(node: ast.BinOp) -> None:
    try:
        _value(node, {})
    except ArithmeticError:
        raise ValueError(f"{ast.unparse(node)} has no finite value") from None
    except TypeError:
        raise ValueError(f"{ast.unparse(node)} computes with a text") from None


def _is_number_or_text(value: Any) -> bool:
    return isinstance(value, bool | str) or (abs(value) < 1e300 and math.isfinite(value))


def _name(node: ast.AST) -> str | None:
    """`learning_rate`, or a dotted one such as `features.rare`; None for anything else."""
    if isinstance(node, ast.Name):
        return "lambda" if node.id == "lambda_" else node.id
    if isinstance(node, ast.Attribute):
        above = _name(node.value)
        return None if above is None else f"{above}.{'lambda' if node.attr == 'lambda_' else node.attr}"
    return None


def _value(node: ast.expr, values: Hyperparameters) -> Any:
    """The value of an allowed expression. Raises ArithmeticError and TypeError."""
    if (name := _name(node)) is not None:
        return _plain(WORDS[name] if name in WORDS and name not in values else values[name])
    if isinstance(node, ast.Constant):
        return _plain(node.value)
    if isinstance(node, ast.BinOp):
        return _computed(ARITHMETIC[type(node.op)], _value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        operand = _value(node.operand, values)
        return (
            not operand
            if isinstance(node.op, ast.Not)
            else _computed(operator.mul, operand, -1.0 if isinstance(node.op, ast.USub) else 1.0)
        )
    if isinstance(node, ast.BoolOp):
        every = isinstance(node.op, ast.And)
        return (all if every else any)(bool(_value(operand, values)) for operand in node.values)
    assert isinstance(node, ast.Compare)
    left = _value(node.left, values)
    for op, operand in zip(node.ops, node.comparators, strict=True):
        right = _value(operand, values)
        if not COMPARISONS[type(op)](left, right):
            return False
        left = right
    return True


def _computed(compute: Callable[[Any, Any], Any], left: Any, right: Any) -> float:
    if isinstance(left, str) or isinstance(right, str):
        raise TypeError("a text is no number")  # Python would repeat, join or format it
    result = compute(left, right)
    if isinstance(result, complex) or not math.isfinite(result):
        raise ArithmeticError("it has no finite value")
    return float(result)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
