"""A blend: the mean of its members, saved and served like any family."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from tasks.errors import TrainingFailed
from tasks.models import parse_model
from tasks.models.blend import Blend
from tasks.models.model import Fitted
from tasks.serving import answer
from tests.tasks.models.test_families import TARGETS, fitting, labelled, matrices

SMALL = {"family": "lightgbm", "hyperparameters": {"num_leaves": 4, "num_iterations": 20, "min_data_in_leaf": 10}}
LARGE = {"family": "lightgbm", "hyperparameters": {"num_leaves": 24, "num_iterations": 10, "min_data_in_leaf": 5}}
OTHER = {"family": "xgboost", "hyperparameters": {"max_depth": 3, "num_boost_round": 15}}
FOREST = {"family": "scikit", "estimator": "RandomForestClassifier", "hyperparameters": {"n_estimators": 10}}
LINEAR = {"family": "scikit", "estimator": "LogisticRegression", "hyperparameters": {"C": 0.5}}
LOADER = """
import sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
assert not [name for name in sys.modules if name.split(".")[0] in ("tasks", "flows", "configs")]
rows = pd.read_parquet(sys.argv[2])
model.predict(rows).to_json(sys.argv[3], orient="split", double_precision=15)
"""


def blend(*members: dict[str, Any]) -> Blend:
    found = parse_model({"family": "blend", "members": list(members)})
    assert isinstance(found, Blend)
    return found


def fitted(model: Any, task: Any = "binary") -> Fitted:
    train, _, features = matrices(model.members[0], task)
    return Fitted(model, features, model.fit(model.prepare(train, None, fitting(task)), fitting(task)), TARGETS[task])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_answers_with_the_mean_of_what_its_members_answer_alone(task: Any) -> None:
    model = blend(SMALL, LARGE)
    _, rows, _ = matrices(model.members[0], task)
    alone = [fitted_alone(member, task).predict(rows.values) for member in model.members]
    np.testing.assert_allclose(fitted(model, task).native.predict(rows.values), np.mean(alone, axis=0), rtol=1e-12)


def fitted_alone(member: Any, task: Any) -> Any:
    train, _, _ = matrices(member, task)
    return member.fit(member.prepare(train, None, fitting(task)), fitting(task))


def test_its_size_and_importance_are_its_members() -> None:
    model = blend(SMALL, LARGE)
    native, alone = fitted(model).native, [fitted_alone(member, "binary") for member in model.members]
    assert native.size == sum(each.size for each in alone)
    shares = [each.importance / each.importance.sum() for each in alone]
    np.testing.assert_allclose(native.importance, np.mean(shares, axis=0))


def test_members_fitted_side_by_side_are_those_fitted_one_after_the_other() -> None:
    model = blend(SMALL, LARGE, OTHER, SMALL)
    train, rows, _ = matrices(model.members[0], "binary")
    answers = []
    for threads in (1, 2, 2, 2):
        asked = replace(fitting("binary"), threads=threads)
        answers.append(model.fit(model.prepare(train, None, asked), asked).predict(rows.values))
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


def test_members_that_read_different_matrices_are_refused() -> None:
    with pytest.raises(TrainingFailed, match="members must read the same kind of matrix"):
        blend(SMALL, LINEAR)
    with pytest.raises(TrainingFailed, match="at least 2"):
        blend(SMALL)


def test_there_is_nothing_to_search_and_everything_to_show() -> None:
    model = blend(SMALL, LARGE)
    assert model.searched("binary") == {}
    assert model.shown == {"1.num_leaves": 4, "1.num_iterations": 20, "1.min_data_in_leaf": 10} | {
        "2.num_leaves": 24,
        "2.num_iterations": 10,
        "2.min_data_in_leaf": 5,
    }
    assert json.loads(json.dumps(model.model_dump(mode="json"))) == parse_model(model.model_dump(mode="json")).model_dump(mode="json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Fitted]]:
    """Blends saved through MLflow."""
    made = {}
    for name, members in {
        "alike": (SMALL, LARGE),
        "two families": (SMALL, OTHER),
        "estimators": (FOREST, {**FOREST, "estimator": "ExtraTreesClassifier"}),
    }.items():
        folder = tmp_path_factory.mktemp("blend")
        model = fitted(blend(*members))
        code = model.save(folder)
        mlflow.pyfunc.save_model(
            path=str(folder / "saved"), python_model=str(code), artifacts={"model": str(folder / "model")}, pip_requirements=["numpy"]
        )
        made[name] = (folder, model)
    return made


@pytest.mark.parametrize("name", ["alike", "two families", "estimators"])
def test_it_is_served_without_this_project(saved: dict[str, tuple[Path, Fitted]], name: str, tmp_path: Path) -> None:
    folder, model = saved[name]
    rows = labelled("binary", 50, seed=2)[["price", "shop", "member", "day"]]
    rows["day"] = rows["day"].dt.tz_localize(None)
    rows["member"] = rows["member"].astype(float)
    rows.to_parquet(tmp_path / "rows.parquet")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-I", "-c", LOADER, str(folder / "saved"), str(tmp_path / "rows.parquet"), str(tmp_path / "answers.json")]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, timeout=120)
    answered = pd.read_json(tmp_path / "answers.json", orient="split", precise_float=True)
    expected = answer(model.plan, model.predict(rows))
    np.testing.assert_allclose(answered["probability_yes"], expected["probability_yes"], rtol=1e-12)
    assert len(answered) == 50


def test_each_member_has_its_files_in_a_folder_of_its_own_and_no_pickle(saved: dict[str, tuple[Path, Fitted]]) -> None:
    folder, _ = saved["two families"]
    assert sorted(path.name for path in (folder / "model").iterdir()) == ["1-lightgbm", "2-xgboost", "plan.json"]
    files = [path for path in (folder / "saved").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib") or path.read_bytes().startswith(b"\x80")]


@pytest.mark.parametrize("harm", ["broken", "missing"])
def test_a_members_file_that_was_changed_is_refused(harm: str, tmp_path: Path) -> None:
    model = fitted(blend(SMALL, LARGE))
    model.save(tmp_path)
    file = next((tmp_path / "model" / "2-lightgbm").glob("*.txt"))
    if harm == "broken":
        file.write_text("broken")
    else:
        file.unlink()
    loader = served(tmp_path / "served_model.py")
    with pytest.raises(Exception, match=r"(?i)model|no such file|could not open"):
        loader(str(tmp_path / "model"))


def test_a_member_of_a_skops_file_from_elsewhere_is_refused(tmp_path: Path) -> None:
    import skops.io

    model = fitted(blend(FOREST, FOREST))
    model.save(tmp_path)
    file = next((tmp_path / "model" / "2-scikit").glob("*.skops"))
    forest = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    forest.extra = TrainingFailed("not of scikit-learn")
    skops.io.dump(forest, file)
    with pytest.raises(ValueError, match=r"no part of scikit-learn's models: tasks.errors.TrainingFailed"):
        served(tmp_path / "served_model.py")(str(tmp_path / "model"))


def served(code: Path) -> Any:
    """The loader among the code that travels with the model."""
    names: dict[str, Any] = {"__name__": "served_model"}
    exec(code.read_text().partition("from mlflow.models import set_model")[0], names)
    return names["load_native"]


def test_members_that_would_stop_early_are_refused() -> None:
    free = {"family": "lightgbm", "max_rounds": 40, "early_stopping_rounds": 5}
    with pytest.raises(TrainingFailed, match=r"members.2.hyperparameters must have num_iterations"):
        blend(SMALL, free)
