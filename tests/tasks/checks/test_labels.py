from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.labels import read_target
from tasks.records import Finding, Target
from tasks.settings import TableSettings

TOLD: dict[str, tuple[Any, str, tuple[Any, ...], str]] = {
    "true and false": ([True, False] * 10, "binary", (False, True), "bool"),
    "nullable true and false": (pd.array([True, False] * 10, dtype="boolean"), "binary", (False, True), "bool"),
    "true and false that had gaps": (pd.Series([True, False] * 10, dtype=object), "binary", (False, True), "bool"),
    "zero and one": ([0, 1] * 10, "binary", (0, 1), "int64"),
    "zero and one beside a NaN": ([0.0, 1.0] * 10, "binary", (0, 1), "int64"),
    "nullable integers": (pd.array([0, 1] * 10, dtype="Int64"), "binary", (0, 1), "int64"),
    "one and two": ([1, 2] * 10, "binary", (1, 2), "int64"),
    "text": (["no", "yes"] * 10, "binary", ("no", "yes"), "str"),
    "pandas categories": (pd.Categorical(["no", "yes"] * 10), "binary", ("no", "yes"), "str"),
    "three words": (["a", "b", "c", "b"] * 5, "multiclass", ("a", "b", "c"), "str"),
    "ten digits": (list(range(10)) * 2, "multiclass", tuple(range(10)), "int64"),
    "twenty whole numbers": (list(range(20)) * 2, "multiclass", tuple(range(20)), "int64"),
    "twenty-one whole numbers": (list(range(21)) * 2, "regression", (), "float64"),
    "fractions": ([0.5, 1.0] * 10, "regression", (), "float64"),
    "decimals": (pd.Series([Decimal("0.5"), Decimal("1")] * 10, dtype=object), "regression", (), "float64"),
}


def read(values: Any, **settings: Any) -> tuple[Target | None, pd.Series | None, list[Finding]]:
    return read_target(pd.DataFrame({"y": values}), TableSettings(target="y", **settings))


def failed(findings: list[Finding]) -> list[str]:
    return [finding.check for finding in findings if not finding.passed and finding.severity == "critical"]


@pytest.mark.parametrize(("values", "task", "classes", "dtype"), TOLD.values(), ids=TOLD)
def test_the_task_is_told_from_the_target(values: Any, task: str, classes: tuple[Any, ...], dtype: str) -> None:
    target, labels, findings = read(values)
    assert target == Target("y", task, classes)  # type: ignore[arg-type]
    assert [type(value) for value in target.classes] == [type(value) for value in classes]
    assert labels is not None
    assert str(labels.dtype) == dtype
    assert not failed(findings)


def test_declared_numbers_are_a_regression_however_few() -> None:
    target, labels, _ = read([0, 1, 2] * 10, task="regression")
    assert target == Target("y", "regression")
    assert labels is not None
    assert str(labels.dtype) == "float64"


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("binary", [0, 1, 2] * 5),
        ("binary", [0.1, 0.2, 0.3] * 5),
        ("multiclass", [0, 1] * 5),
        ("multiclass", [0.5, 1.5, 2.5] * 5),
        ("regression", ["a", "b"] * 5),
        ("regression", [True, False] * 5),
    ],
)
def test_a_declared_task_that_does_not_fit_is_rejected(task: str, values: Any) -> None:
    target, _, findings = read(values, task=task)
    assert target is None
    assert failed(findings) == ["task fits the target"]
    assert f"{task} (declared)" in findings[-1].expected


def test_a_constant_target_is_rejected() -> None:
    for values in ([1] * 10, ["x"] * 10, [True] * 10, [0.5] * 10):
        target, _, findings = read(values)
        assert target is None
        assert failed(findings) == ["target is not constant"]


def test_an_infinite_label_is_rejected_with_examples() -> None:
    target, _, findings = read([0.5, np.inf, 1.5, -np.inf])
    assert target is None
    assert failed(findings) == ["target is finite"]
    assert (findings[0].failed_rows, findings[0].examples) == (2, ("inf (row 2)", "-inf (row 4)"))


@pytest.mark.parametrize("values", [pd.date_range("2013-01-01", periods=4), pd.Series([1, "a", 2, "b"], dtype=object)])
def test_dates_and_mixtures_are_no_target(values: Any) -> None:
    assert failed(read(values)[2]) == ["target can be learned"]


def test_the_positive_class_is_the_larger_one_unless_named() -> None:
    for positive, classes in ((None, ("no", "yes")), ("yes", ("no", "yes")), ("no", ("yes", "no"))):
        target, _, findings = read(["no", "yes"] * 5, positive=positive)
        assert target == Target("y", "binary", classes)
        assert not failed(findings)


def test_the_positive_class_must_be_one_of_the_two() -> None:
    findings = read(["no", "yes"] * 5, positive="Yes")[2]
    assert failed(findings) == ["positive is a class"]
    assert findings[-1].expected == "one of no, yes"
    assert failed(read([0, 1, 2] * 5, positive=1)[2]) == ["positive is a class"]


def test_a_number_names_the_class_of_true() -> None:
    target, _, findings = read([True, False] * 5, positive=1)
    assert target == Target("y", "binary", (False, True))
    assert not failed(findings)


def test_a_class_with_a_single_row_is_a_warning() -> None:
    findings = read([*["a", "b"] * 5, "c"])[2]
    (warning,) = [finding for finding in findings if not finding.passed]
    assert (warning.severity, warning.observed) == ("warning", "a single row of: c")


def test_more_classes_than_max_categories_are_rejected() -> None:
    assert failed(read([f"c{k}" for k in range(30)], max_categories=20)[2]) == ["task fits the target"]
