from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from tasks.errors import DataRejected, TrainingFailed
from tasks.features import build_features
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.lightgbm import LightGBM
from tasks.models.model import Fitting, Native
from tasks.records import Columns, Table, Target
from tasks.settings import FeatureSettings
from tasks.stage import timed
from tasks.training import refit_model, train_model, train_stand_in

TARGET = Target("sold", "binary", (0, 1))
FITTING = Fitting(TARGET, METRICS["log_loss"], 0, 1)


def table(rows: int = 120) -> Table:
    random = np.random.default_rng(0)
    price = random.normal(size=rows)
    shop = np.where(np.arange(rows) < 80, "north", "south")
    frame = pd.DataFrame({"price": price, "shop": shop, "sold": (price + random.normal(size=rows) > 0).astype(int)})
    return Table(frame, Columns(TARGET, {"price": "number", "shop": "category"}), "digest", ())


def train(rows: Any = range(120), model: Any = None, data: Table | None = None, stage: Any = train_model) -> Any:
    model = model or LightGBM(hyperparameters={"num_iterations": 10, "min_data_in_leaf": 5})
    data = data or table()
    features = build_features.plain(data.columns, FeatureSettings(rare=2), model.encoding)
    return stage(data, np.array(rows), features, model, FITTING), features


def test_a_fit_is_that_of_the_library_on_just_these_rows() -> None:
    fitted, _ = train(range(80))
    frame = table().frame.head(80)
    matrix = np.column_stack([frame["price"], np.zeros(80)])
    params = {"objective": "binary", "min_data_in_leaf": 5, "verbosity": -1, "seed": 0, "deterministic": True, "force_col_wise": True}
    oracle = lightgbm.train(params, lightgbm.Dataset(matrix, frame["sold"], categorical_feature=[1]), 10)
    np.testing.assert_allclose(fitted.predict(frame), oracle.predict(matrix), rtol=1e-12)


def test_features_are_fitted_afresh_on_these_rows_alone() -> None:
    fitted, features = train(range(80))
    assert fitted.plan["columns"][1]["values"] == ["north"]
    assert not hasattr(features, "plan_")
    again, _ = train(range(120))
    assert again.plan["columns"][1]["values"] == ["north", "south"]


def test_training_never_stops_early() -> None:
    hopeless = table().frame.assign(sold=np.arange(120) % 2, price=np.arange(120) // 2 % 2)
    fitted, _ = train(model=LightGBM(hyperparameters={"num_iterations": 50}), data=Table(hopeless, table().columns, "digest", ()))
    assert fitted.native.rounds == 50


def test_the_tables_frame_is_left_as_it_is() -> None:
    data = table()
    before = data.frame.copy()
    train(data=data)
    pd.testing.assert_frame_equal(data.frame, before)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            LightGBM(hyperparameters={"objective": "no_such"}),
            r"training lightgbm failed: LightGBMError: Unknown objective type name: no_such",
        ),
        ({"family": "xgboost", "hyperparameters": {"max_depth": -3}}, "training xgboost failed: XGBoostError: .*max_depth"),
        (
            {"family": "scikit", "estimator": "LogisticRegression", "hyperparameters": {"C": -1.0}},
            "training LogisticRegression failed: InvalidP",
        ),
        ({"family": "scikit", "estimator": "Ridge"}, "model.estimator: Ridge is a regressor, a binary task needs a classifier"),
    ],
)
def test_a_librarys_error_is_told_in_its_own_words(model: Any, words: str) -> None:
    with pytest.raises(TrainingFailed, match=words):
        train(model=parse_model(model) if isinstance(model, dict) else model)


class Greedy(LightGBM):
    def fit(self, prepared: Any, fitting: Fitting) -> Native:
        raise MemoryError


def test_running_out_of_memory_is_told_with_a_remedy() -> None:
    with pytest.raises(TrainingFailed, match=r"training lightgbm on 120 rows ran out of memory; use split.training_window"):
        train(model=Greedy())


def test_a_column_that_is_gone_is_named() -> None:
    data = table()
    with pytest.raises(TrainingFailed, match="training lightgbm failed: KeyError: 'shop'"):
        train(data=Table(data.frame.drop(columns="shop"), data.columns, "digest", ()))


def test_an_error_of_ours_keeps_its_class() -> None:
    data = table()
    with pytest.raises(DataRejected, match="none of its classes"):
        train(data=Table(data.frame.assign(sold=2), data.columns, "digest", ()))


def test_each_use_of_a_fit_is_a_stage_of_its_own() -> None:
    with timed() as timing:
        for stage in (train_model, refit_model, train_stand_in):
            train(stage=stage)
    assert list(timing.seconds) == ["train", "refit", "stand-in"]
