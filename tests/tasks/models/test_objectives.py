"""What a regression is trained to predict, by one name for LightGBM and XGBoost."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from tasks.errors import ConfigError, TrainingFailed
from tasks.metrics import METRICS, find_metric
from tasks.models import parse_model
from tasks.models.model import Fitting, Matrix, require_fit
from tasks.records import Floats, Target

TARGET = Target("y", "regression")
LIGHTGBM: dict[str, Any] = {"verbosity": -1, "seed": 0, "deterministic": True, "force_col_wise": True, "num_threads": 1}
ROUNDS = 30
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "squared": ("squared", {"objective": "regression"}, {"objective": "reg:squarederror"}),
    "absolute": ("absolute", {"objective": "regression_l1"}, {"objective": "reg:absoluteerror"}),
    "quantile": (
        {"kind": "quantile", "alpha": 0.9},
        {"objective": "quantile", "alpha": 0.9},
        {"objective": "reg:quantileerror", "quantile_alpha": 0.9},
    ),
    "poisson": ("poisson", {"objective": "poisson"}, {"objective": "count:poisson"}),
    "huber": (
        {"kind": "huber", "delta": 2.0},
        {"objective": "huber", "alpha": 2.0},
        {"objective": "reg:pseudohubererror", "huber_slope": 2.0},
    ),
    "gamma": ("gamma", {"objective": "gamma"}, {"objective": "reg:gamma"}),
    "tweedie": (
        {"kind": "tweedie", "power": 1.3},
        {"objective": "tweedie", "tweedie_variance_power": 1.3},
        {"objective": "reg:tweedie", "tweedie_variance_power": 1.3},
    ),
}


def counts(rows: int = 2000, seed: int = 0, least: float = 0.0) -> Matrix:
    """Poisson counts whose mean doubles with every unit of the first column."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 2))
    return Matrix(values, random.poisson(3 * 2 ** values[:, 0]) + least, ("a", "b"), ())


def fit(family: str, objective: Any, train: Matrix | None = None, valid: Matrix | None = None, metric: str = "rmse", **chosen: Any) -> Any:
    model, asked = (
        parse_model({"family": family, "objective": objective, "hyperparameters": chosen}),
        Fitting(TARGET, METRICS[metric], 0, 1),
    )
    return model.fit(model.prepare(train or counts(), valid, asked), asked)


@pytest.mark.parametrize("kind", CASES)
def test_lightgbm_is_asked_for_what_it_calls_so(kind: str) -> None:
    objective, params, _ = CASES[kind]
    rows = counts(least=1.0 if kind == "gamma" else 0.0)
    ours = fit("lightgbm", objective, rows, num_iterations=ROUNDS).predict(rows.values)
    oracle = lightgbm.train(LIGHTGBM | params, lightgbm.Dataset(rows.values, rows.truth), ROUNDS)
    np.testing.assert_allclose(ours, np.asarray(oracle.predict(rows.values)), rtol=1e-12)


@pytest.mark.parametrize("kind", CASES)
def test_xgboost_is_asked_for_what_it_calls_so(kind: str) -> None:
    objective, _, params = CASES[kind]
    rows = counts(least=1.0 if kind == "gamma" else 0.0)
    ours = fit("xgboost", objective, rows, num_boost_round=ROUNDS).predict(rows.values)
    data = xgboost.QuantileDMatrix(rows.values, rows.truth)
    oracle = xgboost.train({"nthread": 1, "tree_method": "hist"} | params, data, ROUNDS).predict(data)
    np.testing.assert_allclose(ours, oracle, rtol=1e-5)


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("alpha", [0.1, 0.9])
def test_a_quantile_is_undershot_by_its_share_of_new_rows(family: str, alpha: float) -> None:
    valid, new = counts(seed=1), counts(seed=2)
    native = fit(family, {"kind": "quantile", "alpha": alpha}, valid=valid, metric=f"pinball_at_{alpha}")
    below = float(np.mean(new.truth <= native.predict(new.values)))
    assert below == pytest.approx(alpha, abs=0.08)


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_each_objective_is_best_at_its_own_metric(family: str) -> None:
    def answers(objective: Any, metric: str) -> Floats:
        answer: Floats = fit(family, objective, valid=counts(seed=1), metric=metric).predict(counts(seed=2).values)
        return answer

    truth = counts(seed=2).truth
    low = {"kind": "quantile", "alpha": 0.1}
    metrics = {"squared": "rmse", "absolute": "mae", "quantile": "pinball_at_0.1"}
    said = {kind: answers(low if kind == "quantile" else kind, metric) for kind, metric in metrics.items()}
    for kind, metric in metrics.items():
        losses = {other: find_metric(metric).measure(truth, answer) for other, answer in said.items()}
        assert losses[kind] <= 1.03 * min(losses.values())


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_poisson_predicts_no_negative_mean(family: str) -> None:
    assert fit(family, "poisson").predict(counts(seed=1).values).min() > 0


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        (None, "rmse"),
        ("squared", "rmse"),
        ("absolute", "mae"),
        ("poisson", "poisson_deviance"),
        ("tweedie", "rmse"),
        ({"kind": "quantile", "alpha": 0.9}, "pinball_at_0.9"),
        ({"kind": "quantile", "alpha": 0.05}, "pinball_at_0.05"),
    ],
)
@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_the_metric_follows_the_objective(family: str, objective: Any, metric: str) -> None:
    assert find_metric(parse_model({"family": family, "objective": objective}).default_metric("regression"), "regression").name == metric


@pytest.mark.parametrize(
    ("estimator", "hyperparameters", "metric"),
    [
        ("Ridge", {}, "rmse"),
        ("PoissonRegressor", {}, "poisson_deviance"),
        ("QuantileRegressor", {"quantile": 0.8}, "pinball_at_0.8"),
        ("QuantileRegressor", {}, "pinball_at_0.5"),
        ("HistGradientBoostingRegressor", {"loss": "poisson"}, "poisson_deviance"),
        ("HistGradientBoostingRegressor", {"loss": "quantile", "quantile": 0.7}, "pinball_at_0.7"),
        ("GradientBoostingRegressor", {"loss": "quantile", "alpha": 0.3}, "pinball_at_0.3"),
        ("GradientBoostingRegressor", {"loss": "quantile"}, "pinball_at_0.9"),
        ("RandomForestRegressor", {"criterion": "absolute_error"}, "mae"),
    ],
)
def test_the_metric_follows_what_scikit_learn_calls_the_loss(estimator: str, hyperparameters: Any, metric: str) -> None:
    model = parse_model({"family": "scikit", "estimator": estimator, "hyperparameters": hyperparameters})
    assert model.default_metric("regression") == metric


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("quantile", "the objective quantile needs to know which: give alpha"),
        ({"kind": "absolute", "alpha": 0.5}, "alpha belongs to the objective quantile, not to absolute"),
        ({"kind": "poisson", "delta": 1.0}, "delta belongs to the objective huber, not to poisson"),
        ({"kind": "quantile", "alpha": 1.5}, "less than 1"),
        ("logistic", "'squared', 'absolute', 'quantile'"),
    ],
)
@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_an_objective_that_makes_no_sense_is_refused_before_anything_runs(family: str, objective: Any, words: str) -> None:
    with pytest.raises(TrainingFailed, match=words):
        parse_model({"family": family, "objective": objective})


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_an_objective_is_given_in_one_place(family: str) -> None:
    with pytest.raises(TrainingFailed, match="objective: is given under hyperparameters or space too"):
        parse_model({"family": family, "objective": "poisson", "hyperparameters": {"objective": "poisson"}})


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_a_quantile_of_classes_is_refused(family: str) -> None:
    model = parse_model({"family": family, "objective": {"kind": "quantile", "alpha": 0.9}})
    assert model.unfit_for("binary") == "objective quantile is one of a regression, the task is binary; leave model.objective out"
    assert model.unfit_for("regression") == ""


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(("kind", "least"), [("poisson", -1.0), ("tweedie", -1.0), ("gamma", 0.0)])
def test_values_that_an_objective_cannot_learn_are_a_clear_error(family: str, kind: str, least: float) -> None:
    rows = counts(least=least)
    with pytest.raises(TrainingFailed, match=f"model: objective {kind} needs a target .*, its least value is {least:g}"):
        fit(family, kind, rows)
    with pytest.raises(ConfigError, match=f"model {family}: objective {kind} needs a target"):
        require_fit([parse_model({"family": family}), parse_model({"family": family, "objective": kind})], "regression", rows.truth)
