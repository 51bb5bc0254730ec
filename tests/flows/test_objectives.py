"""Retrains of a regression that is not after the mean."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from tasks.errors import ConfigError
from tests.small import small_table
from tests.stores import Retrain

PRICES = {"target": "price", "columns": {"sold": "number"}}


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_a_quantile_is_tuned_for_and_judged_on_its_own_loss(retrain_shop: Retrain, client: MlflowClient, family: str) -> None:
    model = {"family": family, "objective": {"kind": "quantile", "alpha": 0.9}, "max_rounds": 30, "early_stopping_rounds": 5}
    result = retrain_shop(table=small_table().dropna(), model=model, **PRICES)
    assert result.verdict == "promoted"
    assert result.metric["name"] == "pinball_at_0.9"
    assert result.mlflow_run_id is not None
    logged = client.get_run(result.mlflow_run_id).data.metrics
    assert any("pinball_at_0.9" in name and value == pytest.approx(result.metric["challenger"]) for name, value in logged.items())


def test_counts_below_nought_are_told_before_anything_is_trained(retrain_shop: Retrain) -> None:
    with pytest.raises(ConfigError, match="model lightgbm: objective poisson needs a target that is never below 0, its least value is -"):
        retrain_shop(table=small_table().dropna(), model={"objective": "poisson"}, **PRICES)


def test_a_quantile_of_classes_is_told_before_anything_is_trained(retrain_shop: Retrain) -> None:
    with pytest.raises(ConfigError, match=r"objective absolute is one of a regression, the task is binary; leave model.objective out"):
        retrain_shop(model={"objective": "absolute"})


def test_weights_for_an_estimator_that_has_none_are_a_fault_of_the_config(retrain_shop: Retrain) -> None:
    with pytest.raises(ConfigError, match="model: KNeighborsClassifier cannot weigh rows: its fit takes no sample_weight"):
        retrain_shop(model={"family": "scikit", "estimator": "KNeighborsClassifier"}, weights={"balance": True})
