"""What LightGBM and XGBoost do silently with names they do not expect, they may not do here."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from tasks.errors import TrainingFailed
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.lightgbm import BINNING
from tasks.models.model import Fitting, Matrix
from tasks.models.xgboost import ELSEWHERE, PARAMETERS
from tasks.records import Target

TARGET = Target("y", "binary", (0, 1))


def rows(count: int = 300) -> Matrix:
    random = np.random.default_rng(0)
    values = np.column_stack([random.normal(size=count), random.integers(0, 5, count)])
    return Matrix(values, (values[:, 0] + (values[:, 1] == 2) > 0).astype(float), ("a", "b"), (1,))


def fit(settings: dict[str, Any], valid: bool = False, seed: int = 0) -> Any:
    model, asked = parse_model(settings), Fitting(TARGET, METRICS["log_loss"], seed, 1)
    return model.fit(model.prepare(rows(), rows() if valid else None, asked), asked)


@pytest.mark.parametrize(
    ("family", "name", "words"),
    [
        ("lightgbm", "n_estimators", "write num_iterations"),
        ("lightgbm", "subsample", "write bagging_fraction"),
        ("lightgbm", "reg_lambda", "write lambda_l2"),
        ("lightgbm", "max_bin", "write model.max_bin"),
        ("lightgbm", "max_bins", "write model.max_bin"),
        ("lightgbm", "n_jobs", "write threads, at the top of the config"),
        ("lightgbm", "random_state", "write seed, at the top of the config"),
        ("lightgbm", "num_class", "it is told from the target"),
        ("lightgbm", "num_leafs", r"lightgbm has no such parameter; did you mean num_leaves\?"),
        ("xgboost", "learning_rate", "write eta"),
        ("xgboost", "reg_lambda", "write lambda"),
        ("xgboost", "n_estimators", "write num_boost_round"),
        ("xgboost", "n_jobs", "write threads, at the top of the config"),
        ("xgboost", "max_dept", r"xgboost has no such parameter; did you mean max_depth\?"),
    ],
)
def test_a_second_name_is_refused_because_the_first_would_be_searched_beside_it(family: str, name: str, words: str) -> None:
    with pytest.raises(TrainingFailed, match=f"hyperparameters.{name}: {words}"):
        parse_model({"family": family, "hyperparameters": {name: 1}})


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(
        TrainingFailed, match=r"hyperparameters.num_leafs: .*; and hyperparameters.eta: write learning_rate; and space.foo: "
    ):
        parse_model(
            {
                "family": "lightgbm",
                "hyperparameters": {"num_leafs": 1, "eta": 0.1},
                "space": {"foo": {"type": "int", "low": 1, "high": 2}},
            }
        )


@pytest.mark.parametrize("name", sorted(BINNING))
def test_what_the_bins_are_made_by_cannot_be_searched(name: str) -> None:
    with pytest.raises(TrainingFailed, match=f"space.{name}: is a property of the binned data"):
        parse_model({"family": "lightgbm", "space": {name: {"type": "int", "low": 1, "high": 9}}})


@pytest.mark.parametrize("chosen", [{"linear_tree": True}, {"min_data_in_bin": 20}, {"use_missing": False}, {"enable_bundle": False}])
def test_what_the_bins_are_made_by_can_be_fixed(chosen: dict[str, Any]) -> None:
    settings = {"family": "lightgbm", "hyperparameters": {**chosen, "num_iterations": 5}}
    plain = fit({"family": "lightgbm", "hyperparameters": {"num_iterations": 5}}, valid=True)
    native = fit(settings, valid=True)
    assert np.isfinite(native.predict(rows().values)).all()
    if "linear_tree" in chosen or "min_data_in_bin" in chosen:
        assert (native.predict(rows().values) != plain.predict(rows().values)).any()


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "lightgbm", "hyperparameters": {"bagging_fraction": 0.5, "num_iterations": 5}},
        {"family": "xgboost", "hyperparameters": {"subsample": 0.5, "num_boost_round": 5}},
    ],
)
def test_the_seed_reaches_the_library(settings: dict[str, Any]) -> None:
    first, again, other = (fit(settings, seed=seed).predict(rows().values).tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("family", "chosen"),
    [
        ("lightgbm", {"scale_pos_weight": 5.0, "num_iterations": 20}),
        ("lightgbm", {"is_unbalance": True, "num_iterations": 20}),
        ("xgboost", {"scale_pos_weight": 5.0, "num_boost_round": 20}),
    ],
    ids=str,
)
def test_the_libraries_own_words_for_a_rare_class_reach_them(family: str, chosen: dict[str, Any]) -> None:
    plain = {name: value for name, value in chosen.items() if name.startswith("num_")}
    matrix = rows()
    rare = Matrix(matrix.values, (matrix.values[:, 0] > 1.2).astype(float), matrix.names, matrix.categorical)

    def mean_of(hyperparameters: dict[str, Any]) -> float:
        model, asked = parse_model({"family": family, "hyperparameters": hyperparameters}), Fitting(TARGET, METRICS["log_loss"], 0, 1)
        return float(model.fit(model.prepare(rare, None, asked), asked).predict(rare.values).mean())

    assert mean_of(chosen) > mean_of(plain)


def test_lightgbm_trains_as_it_would_by_itself() -> None:
    native, matrix = fit({"family": "lightgbm", "hyperparameters": {"num_leaves": 7, "num_iterations": 10}}), rows()
    params = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "seed": 0, "deterministic": True, "force_col_wise": True}
    oracle = lightgbm.train(params, lightgbm.Dataset(matrix.values, matrix.truth, categorical_feature=[1]), 10)
    np.testing.assert_allclose(native.predict(matrix.values), oracle.predict(matrix.values), rtol=1e-12)


def test_xgboost_trains_as_it_would_by_itself() -> None:
    native, matrix = fit({"family": "xgboost", "hyperparameters": {"max_depth": 3, "num_boost_round": 10}}), rows()
    data = xgboost.QuantileDMatrix(matrix.values, matrix.truth, feature_types=["q", "c"], enable_categorical=True)
    oracle = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "seed": 0, "nthread": 1}, data, 10)
    np.testing.assert_allclose(native.predict(matrix.values), oracle.predict(data), rtol=1e-6)


def test_the_names_are_those_that_xgboost_knows() -> None:
    known: set[str] = set()

    def collect(part: Any) -> None:
        for name, value in part.items() if isinstance(part, dict) else enumerate(part):
            known.add(str(name))
            if isinstance(value, dict | list):
                collect(value)

    data = xgboost.DMatrix(rows().values, rows().truth)
    for booster, objective in (
        ("gbtree", "binary:logistic"),
        ("dart", "reg:tweedie"),
        ("gbtree", "reg:pseudohubererror"),
        ("gbtree", "reg:quantileerror"),
    ):
        params = {"booster": booster, "objective": objective, "verbosity": 0, "quantile_alpha": 0.5}
        collect(json.loads(xgboost.train(params, data, 1).save_config()))
    assert PARAMETERS - {"num_boost_round"} <= known
    assert not PARAMETERS & set(ELSEWHERE)


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_reading_the_settings_does_not_import_the_library(family: str) -> None:
    code = f"import sys; from tasks.models import parse_model; parse_model({{'family': {family!r}}}); print({family!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
