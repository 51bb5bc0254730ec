"""A verdict that leaves the decision to a person, and data that forbids a promotion, through whole retrains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flows.command_line import main
from tasks.errors import ConfigError
from tasks.homes import Home
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
    again = retrain_shop(day=119, table=table, validation={"min_rows": 50, "rewritten": "forbid"})
    assert again.verdict == "kept"
    assert "validation.rewritten is forbid" in again.reason
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


def test_the_model_that_goes_live_is_the_one_that_gets_the_golden_rows_right(
    retrain_shop: Retrain, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.retrain

    rows = small_table().dropna().head(3).assign(price=4.0, shop="north", sold=1.0)
    rows.to_csv(tmp_path / "golden.csv", index=False)
    gate = {"min_rows": 20, "margin": 0.05, "unsure": "promote", "golden": str(tmp_path / "golden.csv")}
    refit = flows.retrain.refit_model

    def refit_the_other_way_round(table: Any, *others: Any) -> Any:
        frame = table.frame.assign(sold=1.0 - table.frame["sold"])
        return refit(replace(table, frame=frame), *others)

    with monkeypatch.context() as patch:
        patch.setattr(flows.retrain, "refit_model", refit_the_other_way_round)
        kept = retrain_shop(day=120, gate=gate)
    assert kept.verdict == "kept"
    assert "golden" in kept.reason
    assert retrain_shop(day=120, gate=gate, force=True).verdict == "promoted"


def test_a_missing_file_of_golden_rows_is_named_before_anything_is_trained(retrain_shop: Retrain) -> None:
    with pytest.raises(ConfigError, match=r"gate\.golden: there is no file"):
        retrain_shop(day=120, gate={"golden": "nowhere.csv"})


def test_a_verdict_whose_answer_was_lost_is_found_again(retrain_shop: Retrain, client: MlflowClient, store: Home) -> None:
    floors = {"min_rows": 20, "floors": {"roc_auc": 0.999}}
    kept = retrain_shop(day=120, gate=floors)
    for file in store.artifacts.rglob("summary.json"):
        file.unlink()
    again = retrain_shop(day=120, gate=floors)
    assert (kept.verdict, again.verdict) == ("kept", "kept")
    assert "answered again" not in again.reason


def test_the_same_rows_an_hour_later_are_answered_again_not_searched_anew(retrain_shop: Retrain, store: Home, tmp_path: Path) -> None:
    floors = {"min_rows": 20, "floors": {"roc_auc": 0.999}}
    table = small_table(days=110)
    first, later = (retrain_shop(day=day, table=table, gate=floors) for day in (115, 116))
    assert (first.verdict, later.verdict) == ("kept", "kept")
    assert "answered again" in later.reason


def test_a_few_new_days_are_too_few_to_judge_on_so_the_stand_in_is_asked(retrain_shop: Retrain) -> None:
    table = small_table(rows_a_day=30)
    retrain_shop(day=117, table=table)
    later = retrain_shop(day=120, table=table)
    assert "settings, refitted" in later.reason


def test_a_test_bucket_without_time_wears_too(retrain_shop: Retrain, client: MlflowClient, store: Home) -> None:
    table = small_table()
    gate = {"min_rows": 20, "unsure": "promote", "wear": 1}
    without_time = {"time": None, "split": {"test": 0.3, "folds": 2}, "gate": gate}
    for rows in (900, 1000):
        last = retrain_shop(table=table.head(rows), **without_time)
    assert last.mlflow_run_id is not None
    report = Path(str(last.report)).read_text(encoding="utf-8")
    assert "worn" in report
