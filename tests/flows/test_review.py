"""A verdict that leaves the decision to a person, and data that forbids a promotion, through whole retrains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flows.command_line import main
from tests.small import small_table
from tests.stores import Retrain

GATE = {"min_rows": 20, "rule": "superior", "confidence": 0.99999}


def aliases(client: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model("shop").aliases.items()}


def test_what_the_rows_cannot_tell_waits_for_a_person_who_can_promote_it_and_take_it_back(
    retrain_shop: Retrain, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain_shop(day=100)
    asked = retrain_shop(day=120, gate=GATE)
    assert (asked.verdict, asked.version) == ("ask", "2"), asked.reason
    assert aliases(client) == {"champion": "1", "challenger": "2"}
    again = retrain_shop(day=120, gate=GATE)
    assert (again.verdict, again.version) == ("ask", "2")
    assert "answered again" in again.reason
    assert main(["promote", "shop", "--reason", "looked at the slices"]) == 0
    assert aliases(client) == {"champion": "2", "previous": "1"}
    assert main(["rollback", "shop"]) == 0
    assert aliases(client)["champion"] == "1"
    capsys.readouterr()


def test_a_person_who_rejects_is_not_asked_again_by_the_same_retrain(
    retrain_shop: Retrain, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain_shop(day=100)
    retrain_shop(day=120, gate=GATE)
    assert main(["reject", "shop"]) == 0
    again = retrain_shop(day=120, gate=GATE)
    assert (again.verdict, again.version) == ("kept", "1")
    assert "waits no more" in again.reason
    capsys.readouterr()


def test_an_expectation_that_forbids_trains_and_promotes_nothing(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    expectation = {"type": "expect_column_max_to_be_between", "column": "price", "max_value": 0.0, "policy": "forbid"}
    kept = retrain_shop(day=120, validation={"min_rows": 50, "expectations": [expectation]})
    assert kept.verdict == "kept"
    assert "price" in kept.reason
    assert aliases(client) == {"champion": "1"}


def test_rows_that_a_policy_drops_are_kept_with_the_run(retrain_shop: Retrain, client: MlflowClient, tmp_path: Path) -> None:
    expectation = {"type": "expect_column_values_to_be_between", "column": "price", "min_value": -2.0, "policy": "drop"}
    result = retrain_shop(day=120, validation={"min_rows": 50, "expectations": [expectation]})
    assert result.verdict == "promoted"
    assert result.mlflow_run_id is not None
    dropped = pd.read_csv(client.download_artifacts(result.mlflow_run_id, "validation/dropped_rows.csv", str(tmp_path)))
    table = small_table()
    assert sorted(dropped["id"]) == sorted(table.loc[table["price"] < -2.0, "id"])


def test_rows_that_were_rewritten_since_the_last_retrain_are_counted_and_can_forbid(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    table = small_table()
    table.loc[table["id"].isin([100, 101]), "price"] += 1.0
    kept = retrain_shop(day=120, table=table, validation={"min_rows": 50, "rewritten": "forbid"})
    assert kept.verdict == "kept"
    assert "validation.rewritten is forbid" in kept.reason
    assert kept.mlflow_run_id is not None
    figures = client.get_run(kept.mlflow_run_id).data.metrics
    assert figures["data/rewritten"] == np.isfinite(table.loc[table["id"].between(100, 109), "sold"]).sum()


def test_drift_against_the_champions_rows_is_told_and_can_forbid(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    table = small_table()
    late = pd.to_datetime(table["day"]) >= pd.Timestamp("2024-04-10", tz="UTC")
    table.loc[late, "price"] += 3.0
    kept = retrain_shop(day=120, table=table, validation={"min_rows": 50, "rewritten": "off", "drift": {"action": "forbid"}})
    assert kept.verdict == "kept"
    assert "price" in kept.reason
    assert kept.mlflow_run_id is not None
    assert client.get_run(kept.mlflow_run_id).data.metrics["drift/drifted"] == 1
