"""A ranking, retrained from end to end: the worked example of tests/ranked.py."""

from __future__ import annotations

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.metrics import ndcg_score

from tests.ranked import searches
from tests.stores import Retrain


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_a_ranking_is_retrained_promoted_and_served_as_a_score_a_row(retrain_shop: Retrain, client: MlflowClient, family: str) -> None:
    table = searches()
    asked = {
        "target": "liked", "task": "ranking", "query": "search", "time": "when", "split": {"test": "20d", "folds": 2, "fold": "15d"},
        "model": {"family": family, "max_rounds": 30, "early_stopping_rounds": 5},
    }  # fmt: skip
    first = retrain_shop(table=table[table["search"].str[1:].astype(int) < 250], day=95, **asked)
    assert (first.verdict, first.version) == ("promoted", "1")
    assert first.metric["name"] == "ndcg"
    assert first.metric["challenger"] > 0.9
    later = retrain_shop(table=table, **asked)
    assert later.verdict == "promoted"
    assert later.metric["champion"] == pytest.approx(later.metric["challenger"], abs=0.1)
    model = mlflow.pyfunc.load_model(client.get_model_version_by_alias("shop", "champion").source)
    new = searches(count=20, seed=1)
    new["score"] = model.predict(new.assign(when=pd.to_datetime(new["when"], utc=True).dt.tz_localize(None)))["prediction"].to_numpy()
    each = [ndcg_score([2.0 ** rows["liked"] - 1], [rows["score"]]) for _, rows in new.groupby("search")]
    assert sum(each) / len(each) > 0.9
