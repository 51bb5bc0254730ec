from __future__ import annotations

import ast
import inspect
import json
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks import serving
from tasks.metrics import labels
from tasks.serving import answer, apply_plan, category_text, read_dates, served_model

NUMBER = {"name": "x", "kind": "number"}


def plan(task: str, classes: list[Any]) -> dict[str, Any]:
    return {"format": 1, "task": task, "classes": classes, "encoding": "native", "columns": [NUMBER]}


def served(folder: Path, task: str, classes: list[Any], native: Any) -> Any:
    (folder / "plan.json").write_text(json.dumps(plan(task, classes)))
    model = served_model(lambda _: native)
    model.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    return model


def test_serving_imports_nothing_but_the_standard_library_numpy_pandas_and_mlflow() -> None:
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]  # type: ignore[union-attr]
        for node in ast.walk(ast.parse(inspect.getsource(serving)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - sys.stdlib_module_names == {"numpy", "pandas", "mlflow"}


def test_a_regression_answers_with_its_values() -> None:
    assert answer(plan("regression", []), np.array([1.5, 2.0])).to_dict("list") == {"prediction": [1.5, 2.0]}


def test_a_binary_model_answers_with_a_class_and_both_probabilities() -> None:
    answered = answer(plan("binary", ["no", "yes"]), np.array([0.25, 0.75]))
    assert answered.to_dict("list") == {"prediction": ["no", "yes"], "probability_no": [0.75, 0.25], "probability_yes": [0.25, 0.75]}


def test_several_classes_are_answered_by_the_likeliest() -> None:
    answered = answer(plan("multiclass", [3, 5, 7]), np.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]))
    assert answered["prediction"].tolist() == [5, 7]
    assert answered["probability_7"].tolist() == [0.3, 0.7]


def test_one_half_is_answered_as_it_is_scored() -> None:
    raw = np.array([0.4999, 0.5, 0.5001])
    assert answer(plan("binary", [0, 1]), raw)["prediction"].tolist() == labels(raw).tolist()


@pytest.mark.parametrize("classes", [["a", "b"], [0, 1], [False, True], [0.5, 1.5]], ids=str)
def test_the_answer_to_no_row_has_the_same_types_as_any_other(classes: list[Any]) -> None:
    none, some = (answer(plan("binary", classes), raw) for raw in (np.empty(0), np.array([0.7])))
    assert none.dtypes.to_dict() == some.dtypes.to_dict()
    assert len(none) == 0
    assert some["prediction"].tolist() == [classes[1]]


@pytest.mark.parametrize(
    ("task", "classes", "shape"), [("binary", [0, 1], (0,)), ("multiclass", [0, 1, 2], (0, 3)), ("regression", [], (0,))]
)
def test_a_model_is_never_asked_about_no_row(tmp_path: Path, task: str, classes: list[Any], shape: tuple[int, ...]) -> None:
    model = served(tmp_path, task, classes, native=None)
    assert model.raw(pd.DataFrame({"x": []})).shape == shape
    assert len(model.predict(None, pd.DataFrame({"x": []}))) == 0


def test_a_served_model_reads_raw_columns(tmp_path: Path) -> None:
    model = served(tmp_path, "regression", [], native=lambda matrix: matrix[:, 0] * 2)
    assert model.predict(None, pd.DataFrame({"more": ["a"], "x": ["3"]}))["prediction"].tolist() == [6.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        ("7", "7"),
        (np.float32(7), "7"),
        (-0.0, "0"),
        (7.5, "7.5"),
        (np.float32(0.1), "0.1"),
        (True, "True"),
        (1e300, str(int(1e300))),
        ("07", "07"),
    ],
)
def test_a_category_as_text(value: Any, text: str) -> None:
    assert category_text(value) == text


def test_a_decimal_category_is_the_number_it_is() -> None:
    assert category_text(Decimal("7.00")) == category_text(7)
    assert category_text(Decimal("7.50")) == category_text(7.5)


def test_dates_keep_their_place_in_the_frame() -> None:
    values = pd.Series(["2024-02-01", None], index=[7, 3])
    assert read_dates(values).index.tolist() == [7, 3]
    assert read_dates(pd.Series([1.5, 2.5], index=[7, 3])).isna().all()


def test_a_plan_without_columns_gives_a_matrix_without_any() -> None:
    assert apply_plan({**plan("binary", [0, 1]), "columns": []}, pd.DataFrame({"x": [1, 2]})).shape == (2, 0)
