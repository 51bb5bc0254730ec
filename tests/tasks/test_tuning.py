from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.features import build_features
from tasks.metrics import METRICS
from tasks.models.lightgbm import LightGBM
from tasks.models.model import Fitting
from tasks.plans import Features
from tasks.records import Columns, Split, Table, Target, Trial
from tasks.settings import FeatureSettings, SplitSettings, TuningSettings
from tasks.spaces import Float, Int
from tasks.splitting import split_table
from tasks.tuning import tune_model
from tests.small import small_table

QUICK = LightGBM(max_rounds=20, early_stopping_rounds=5)


@pytest.fixture(scope="module")
def table() -> Table:
    frame = small_table(100).dropna(subset="sold").reset_index(drop=True)
    frame["day"] = pd.to_datetime(frame["day"], utc=True)
    columns = Columns(Target("sold", "binary", (0.0, 1.0)), {"price": "number", "shop": "category"}, "day")
    return Table(frame, columns, "digest", ())


@pytest.fixture(scope="module")
def split(table: Table) -> Split:
    return split_table(table, SplitSettings(test=timedelta(days=20), folds=2), timedelta(0), None, 10)


@pytest.fixture
def search(table: Table, split: Split, tmp_path: Path) -> Any:
    """Tune with changed settings: `search(trials=3)`; keeps the trials as they were recorded, in `search.recorded`."""

    def run(model: LightGBM = QUICK, name: str = "study", seed: int = 0, metric: str = "log_loss", **settings: Any) -> Any:
        features: Features = build_features(table.columns, FeatureSettings(rare=2), "native")
        fitting = Fitting(table.columns.target, METRICS[metric], seed, 1)
        chosen = TuningSettings(**{"trials": 3, "minutes": None, **settings})
        run.recorded = []  # type: ignore[attr-defined]
        study = (f"sqlite:///{tmp_path / 'studies.db'}", name)
        return tune_model(table, split, features, model, chosen, fitting, study, run.recorded.append)  # type: ignore[attr-defined]

    return run


def test_the_limit_of_trials_holds_and_each_is_recorded(search: Any) -> None:
    _, found = search(trials=4, prune=False)
    assert [trial.number for trial in search.recorded] == [0, 1, 2, 3]
    assert found.counts == {"finished": 4, "pruned": 0, "failed": 0}
    assert found.stopped_by == "4 trials"


def test_the_best_trial_is_the_one_with_the_least_mean_loss(search: Any) -> None:
    model, found = search(trials=6, prune=False)
    assert found.best.value == min(trial.value for trial in found.trials)
    assert all(math.isclose(trial.value, np.mean(trial.fold_values)) for trial in found.trials)
    assert model.hyperparameters == found.best.hyperparameters


def test_a_metric_where_greater_is_better_is_maximized(search: Any) -> None:
    _, found = search(trials=6, prune=False, metric="roc_auc")
    assert found.best.value == max(trial.value for trial in found.trials)


def test_the_rounds_of_the_folds_become_part_of_the_hyperparameters(search: Any) -> None:
    model, _ = search()
    assert 1 <= model.hyperparameters["num_iterations"] <= 20


def test_the_first_trial_starts_from_the_familys_defaults(search: Any) -> None:
    search()
    assert search.recorded[0].hyperparameters["num_leaves"] == 31
    assert search.recorded[0].hyperparameters["learning_rate"] == 0.1


def test_values_fixed_in_the_config_are_not_searched(search: Any) -> None:
    model, _ = search(QUICK.changed(hyperparameters={"num_leaves": 5}))
    assert model.hyperparameters["num_leaves"] == 5
    assert all("num_leaves" not in trial.hyperparameters for trial in search.recorded)


def test_a_folds_value_is_what_scikit_learn_makes_of_a_refit(search: Any, table: Table, split: Split) -> None:
    import lightgbm

    fixed = {"num_leaves": 5, "learning_rate": 0.1, "min_data_in_leaf": 5}
    only = QUICK.changed(hyperparameters=fixed, space={"lambda_l2": Float(low=0.0, high=1.0, default=0.0)})
    names = QUICK.default_space("binary")
    only = only.changed(hyperparameters={**fixed, **{n: p.default for n, p in names.items() if n not in fixed and n != "lambda_l2"}})
    _, found = search(only, trials=1)
    fold = split.folds[0]
    price = table.frame[["price"]].to_numpy()
    shop = table.frame["shop"].iloc[fold.train].value_counts()
    order = {name: k for k, name in enumerate(sorted(shop.index, key=lambda name: (-shop[name], name)))}
    matrix = np.column_stack(
        [price, table.frame["shop"].map(order), table.frame["day"].dt.month, table.frame["day"].dt.day_of_week, table.frame["day"].dt.hour]
    )
    truth = table.frame["sold"].to_numpy()
    ours = {"objective": "binary", "bagging_freq": 1, "seed": 0, "verbose": -1, "num_threads": 1}
    params = {**only.hyperparameters, **ours, "lambda_l2": 0.0, "force_col_wise": True, "deterministic": True, "feature_pre_filter": False}
    train = lightgbm.Dataset(matrix[fold.train], truth[fold.train], categorical_feature=[1], params=params)
    valid = lightgbm.Dataset(matrix[fold.valid], truth[fold.valid], categorical_feature=[1], reference=train, params=params)
    booster = lightgbm.train(params, train, 20, valid_sets=[valid], callbacks=[lightgbm.early_stopping(5, verbose=False)])
    expected = log_loss(truth[fold.valid], np.asarray(booster.predict(matrix[fold.valid], num_iteration=booster.best_iteration)))
    assert found.trials[0].fold_values[0] == pytest.approx(expected, rel=1e-9)


def test_the_same_seed_gives_the_same_trials(search: Any) -> None:
    search(trials=5, name="one")
    first = [(trial.hyperparameters, trial.value) for trial in search.recorded]
    search(trials=5, name="two")
    assert [(trial.hyperparameters, trial.value) for trial in search.recorded] == first
    search(trials=5, name="three", seed=1)
    assert [(trial.hyperparameters, trial.value) for trial in search.recorded] != first


def test_a_search_of_the_same_name_goes_on_where_it_was(search: Any) -> None:
    search(trials=2)
    _, found = search(trials=5)
    assert [trial.number for trial in search.recorded] == [2, 3, 4]
    assert found.counts["finished"] + found.counts["pruned"] == 5


def test_a_finished_search_is_not_run_again(search: Any) -> None:
    first, _ = search(trials=2)
    again, found = search(trials=2)
    assert search.recorded == []
    assert again == first
    assert len(found.trials) == 2


def test_a_failing_trial_is_counted_and_the_search_goes_on(search: Any) -> None:
    sometimes = QUICK.changed(space={"boosting": {"type": "categorical", "choices": ["gbdt", "none_such"]}})
    _, found = search(sometimes, trials=12)
    assert found.counts["failed"]
    assert found.counts["finished"]
    assert all(trial.error and trial.value is None for trial in found.trials if trial.state == "failed")


def test_a_search_in_which_every_trial_fails_ends_early_and_says_why(search: Any) -> None:
    hopeless = QUICK.changed(hyperparameters={"objective": "no_such_objective"})
    with pytest.raises(TrainingFailed, match=r"none of 10 trials finished.*objective"):
        search(hopeless, trials=500)


def test_the_limit_of_time_holds_in_the_middle_of_a_trial(search: Any) -> None:
    endless = LightGBM(max_rounds=1_000_000, early_stopping_rounds=1_000_000)
    search(trials=1)  # one trial has finished, so there is a model to fall back on
    _, found = search(endless, trials=None, minutes=2 / 60)
    assert found.stopped_by == "0.0333333 minutes"
    assert found.seconds < 4
    assert [trial.state for trial in found.trials] == ["finished", "pruned"]
    assert found.trials[1].error == "cut short by the limit of time"


def test_the_first_trial_is_finished_whatever_the_limit_of_time(search: Any) -> None:
    _, found = search(trials=None, minutes=0.001 / 60)
    assert found.counts["finished"] == 1


def test_weak_trials_are_pruned_between_folds_but_never_the_first(search: Any) -> None:
    wide = QUICK.changed(
        space={"learning_rate": Float(low=1e-6, high=0.3, log=True, default=0.1), "num_leaves": Int(low=2, high=60, default=31)}
    )
    _, found = search(wide, trials=25)
    assert found.trials[0].state == "finished"
    assert found.counts["pruned"] > 0
    assert all(len(trial.fold_values) == 1 for trial in found.trials if trial.state == "pruned")


def test_with_pruning_off_every_trial_sees_every_fold(search: Any) -> None:
    _, found = search(trials=12, prune=False)
    assert {len(trial.fold_values) for trial in found.trials} == {2}


def test_an_unreachable_store_is_a_service_fault(table: Table, split: Split) -> None:
    features = build_features(table.columns, FeatureSettings(), "native")
    fitting = Fitting(table.columns.target, METRICS["log_loss"], 0, 1)
    study = ("postgresql+psycopg://nobody:secret@127.0.0.1:9/none", "study")

    def record(trial: Trial) -> None:
        raise AssertionError("no trial may run without a store")

    with pytest.raises(ServiceUnavailable, match="study store") as refused:
        tune_model(table, split, features, QUICK, TuningSettings(), fitting, study, record)
    assert "secret" not in str(refused.value)
