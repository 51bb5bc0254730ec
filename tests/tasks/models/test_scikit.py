from __future__ import annotations

import inspect
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC
from sklearn.utils import all_estimators

from tasks.errors import TrainingFailed
from tasks.metrics import METRICS
from tasks.models.estimators import PORTFOLIOS, SPACES, UNFIT
from tasks.models.model import Fitting, Matrix, Native
from tasks.models.scikit import Scikit
from tasks.records import Floats, Target
from tasks.settings import Task

CLASSIFIERS, REGRESSORS = (dict(all_estimators(kind)) for kind in ("classifier", "regressor"))
EVERY = CLASSIFIERS | REGRESSORS
WRAPPERS = {
    name for name, found in EVERY.items() if any(each.default is each.empty for each in inspect.signature(found).parameters.values())
}
USABLE = sorted(set(EVERY) - WRAPPERS - set(UNFIT))
TARGETS: dict[Task, Target] = {
    "binary": Target("y", "binary", (0, 1)),
    "multiclass": Target("y", "multiclass", (0, 1, 2)),
    "regression": Target("y", "regression"),
}


def rows(task: Task, count: int = 60) -> Matrix:
    random = np.random.default_rng(0)
    values = random.normal(size=(count, 3))
    signal = values[:, 0] + 0.3 * random.normal(size=count)
    truth = np.exp(signal) if task == "regression" else np.digitize(signal, [0] if task == "binary" else [-0.5, 0.5])
    return Matrix(values, truth.astype(np.float64), ("a", "b", "c"), ())


def fit(estimator: str, task: Task, seed: int = 0, matrix: Matrix | None = None, **hyperparameters: Any) -> Native:
    model = Scikit(family="scikit", estimator=estimator, hyperparameters=hyperparameters)
    asked = Fitting(TARGETS[task], METRICS["rmse" if task == "regression" else "log_loss"], seed, 1)
    return model.fit(model.prepare(matrix or rows(task), None, asked), asked)


def reloaded(native: Native, task: Task, folder: Path) -> Any:
    native.save(folder)
    (folder / "plan.json").write_text(json.dumps({"classes": TARGETS[task].classes}))
    return Scikit.load_native(str(folder))


@pytest.mark.parametrize("estimator", USABLE)
def test_every_estimator_that_is_not_refused_fits_is_saved_and_answers_alike(estimator: str, tmp_path: Path) -> None:
    task: Task = "multiclass" if estimator in CLASSIFIERS else "regression"
    native, values = fit(estimator, task), rows(task).values
    raw = native.predict(values)
    assert raw.shape == ((60, 3) if task == "multiclass" else (60,))
    assert raw.dtype == np.float64
    assert np.isfinite(raw).all()
    np.testing.assert_array_equal(reloaded(native, task, tmp_path)(values), raw)
    assert native.size is None or native.size > 0


@pytest.mark.parametrize("estimator", USABLE)
def test_every_estimator_weighs_rows_or_says_that_it_cannot(estimator: str) -> None:
    task: Task = "multiclass" if estimator in CLASSIFIERS else "regression"
    plain = rows(task)
    weighted = replace(plain, weight=np.tile([1.2, 0.8], len(plain.truth) // 2))
    model = Scikit(family="scikit", estimator=estimator)
    if model.unfit_for_weights():
        with pytest.raises(
            TrainingFailed, match=rf"weights: {estimator} cannot weigh rows: its fit takes no sample_weight; leave weights out"
        ):
            fit(estimator, task, matrix=weighted)
        return
    assert np.isfinite(fit(estimator, task, matrix=weighted).predict(plain.values)).all()


@pytest.mark.parametrize(
    ("estimator", "task", "size"),
    [
        ("LogisticRegression", "binary", 4),
        ("LogisticRegression", "multiclass", 12),
        ("Ridge", "regression", 4),
        ("DecisionTreeRegressor", "regression", 4),
        ("RandomForestRegressor", "regression", 400),
        ("HistGradientBoostingClassifier", "multiclass", None),
        ("GradientBoostingClassifier", "binary", None),
        ("KNeighborsRegressor", "regression", None),
    ],
)
def test_the_size_is_leaves_or_coefficients_where_there_are_any(estimator: str, task: Task, size: float | None) -> None:
    chosen = {"max_leaf_nodes": 4} if "Tree" in estimator or "Forest" in estimator else {}
    found = fit(estimator, task, **chosen).size
    if estimator == "KNeighborsRegressor":
        assert found is None
    elif size is None:
        assert found is not None
        assert found > 100
    else:
        assert found == size


@pytest.mark.parametrize("estimator", PORTFOLIOS)
def test_a_portfolio_lies_within_its_space(estimator: str) -> None:
    for chosen in PORTFOLIOS[estimator]:
        for name, value in chosen.items():
            parameter: Any = SPACES[estimator][name]
            assert parameter.low <= value <= parameter.high


def test_a_ranking_is_not_for_scikit_learn() -> None:
    assert Scikit(family="scikit", estimator="Ridge").unfit_for("ranking") == "Ridge cannot learn a ranking; lightgbm and xgboost can"


@pytest.mark.parametrize(
    ("estimator", "chosen"),
    [
        ("KNeighborsClassifier", {"algorithm": "ball_tree", "metric": "manhattan"}),
        ("MLPClassifier", {"solver": "sgd", "max_iter": 5}),
        ("HistGradientBoostingRegressor", {"loss": "poisson"}),
        ("SGDClassifier", {"loss": "log_loss"}),
        ("TweedieRegressor", {"power": 1.5}),
    ],
)
def test_estimators_are_saved_with_other_settings_too(estimator: str, chosen: dict[str, Any], tmp_path: Path) -> None:
    task: Task = "binary" if estimator in CLASSIFIERS else "regression"
    native, values = fit(estimator, task, **chosen), rows(task).values
    np.testing.assert_array_equal(reloaded(native, task, tmp_path)(values), native.predict(values))


@pytest.mark.parametrize("estimator", sorted(WRAPPERS))
def test_an_estimator_around_others_is_refused(estimator: str) -> None:
    with pytest.raises(ValueError, match=rf"{estimator} cannot be used here: it wraps another estimator \(estimators?(, \w+)*\)"):
        Scikit(family="scikit", estimator=estimator)


@pytest.mark.parametrize("estimator", UNFIT)
def test_an_estimator_that_cannot_work_is_refused_with_the_reason(estimator: str) -> None:
    assert estimator in EVERY
    with pytest.raises(ValueError, match=f"{estimator} cannot be used here: it {UNFIT[estimator]}"):
        Scikit(family="scikit", estimator=estimator)


def test_an_unknown_estimator_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no classifier or regressor called 'LogisticRegresion'; did you mean LogisticRegression\?"):
        Scikit(family="scikit", estimator="LogisticRegresion")


@pytest.mark.parametrize(("name", "advice"), [("n_jobs", "write threads"), ("random_state", "write seed"), ("probability", "calibration")])
def test_what_the_config_says_elsewhere_is_no_hyperparameter(name: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"hyperparameters.{name}: .*{advice}"):
        Scikit(family="scikit", estimator="SVC", hyperparameters={name: 1})


@pytest.mark.parametrize(
    ("estimator", "task", "words"),
    [
        ("Ridge", "binary", "Ridge is a regressor, a binary task needs a classifier"),
        ("RandomForestRegressor", "multiclass", "RandomForestRegressor is a regressor, a multiclass task needs a classifier"),
        ("LogisticRegression", "regression", "LogisticRegression is a classifier, a regression task needs a regressor"),
    ],
)
def test_the_wrong_kind_of_estimator_is_told_before_any_trial(estimator: str, task: Task, words: str) -> None:
    assert Scikit(family="scikit", estimator=estimator).unfit_for(task) == words
    with pytest.raises(TrainingFailed, match=words):
        fit(estimator, task)


@pytest.mark.parametrize("estimator", ["SVC", "RidgeClassifier"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_an_estimator_without_probabilities_gets_calibrated_ones(estimator: str, task: Task) -> None:
    raw = fit(estimator, task).predict(rows(task).values)
    positive = raw if task == "binary" else raw[:, 2]
    assert np.corrcoef(positive, rows(task).values[:, 0])[0, 1] > 0.7


def test_calibration_is_that_of_scikit_learn() -> None:
    matrix = rows("binary")
    oracle = CalibratedClassifierCV(SVC(C=2.0, random_state=0), ensemble=False, cv=5).fit(matrix.values, matrix.truth)
    np.testing.assert_allclose(fit("SVC", "binary", C=2.0).predict(matrix.values), oracle.predict_proba(matrix.values)[:, 1])


def test_a_class_of_three_rows_is_calibrated_on_three_folds() -> None:
    matrix = rows("binary")
    rare = np.flatnonzero(matrix.truth == 1)[3:]
    truth: Floats = matrix.truth.copy()
    truth[rare] = 0
    assert np.isfinite(fit("LinearSVC", "binary", matrix=Matrix(matrix.values, truth, matrix.names, ())).predict(matrix.values)).all()


def test_the_seed_reaches_the_estimator() -> None:
    values = rows("binary").values
    first, again, other = (fit("RandomForestClassifier", "binary", seed, n_estimators=10).predict(values) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


def test_what_scikit_learn_warns_of_is_logged_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="evertune"):
        for _ in range(3):
            fit("MLPRegressor", "regression", max_iter=2)
    said = [record.message for record in caplog.records if "Maximum iterations (2)" in record.message]
    assert len(said) == 1
    assert said[0].startswith("MLPRegressor: Stochastic Optimizer")


@pytest.mark.parametrize("estimator", SPACES)
def test_default_spaces_name_parameters_of_their_estimator(estimator: str) -> None:
    assert set(SPACES[estimator]) <= set(EVERY[estimator]._get_param_names())
