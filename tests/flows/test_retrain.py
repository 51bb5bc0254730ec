"""What a retrain means, one promise a test, on a real MLflow store; Prefect around it is tested in test_retrain_flow.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from sklearn.metrics import log_loss

from tasks.errors import Conflict, DataRejected, TrainingFailed
from tasks.homes import Home
from tasks.records import Result
from tests.small import small_table
from tests.stores import Retrain


def runs(client: MlflowClient, kind: str = "retrain") -> list[Run]:
    """Runs of the experiment, the newest first."""
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.`evertune.kind` = '{kind}'", order_by=["attributes.start_time DESC"]))


def versions(client: MlflowClient) -> list[str]:
    return sorted(str(version.version) for version in client.search_model_versions("name = 'shop'"))


def champion(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias("shop", "champion").version)


def test_the_first_retrain_is_promoted_on_floors_alone(retrain_shop: Retrain, client: MlflowClient) -> None:
    result = retrain_shop()
    assert (result.verdict, result.version, result.tuned) == ("promoted", "1", True)
    assert result.metric["champion"] is None
    assert champion(client) == "1"


def test_a_second_identical_run_is_unchanged_and_adds_no_version(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop()
    again = retrain_shop()
    assert (again.verdict, again.version) == ("unchanged", "1")
    assert versions(client) == ["1"]
    assert [run.info.status for run in runs(client)] == ["FINISHED", "FINISHED"]


def test_a_later_retrain_finds_the_earlier_ones_model_and_is_judged_on_rows_neither_has_seen(
    retrain_shop: Retrain, client: MlflowClient
) -> None:
    retrain_shop(day=100)
    later = retrain_shop(day=120)
    assert later.metric["champion"] is not None
    assert later.verdict == "promoted"
    assert champion(client) == "2"
    newest = runs(client)[0]
    assert newest.data.metrics["champion/log_loss"] == later.metric["champion"]


def test_the_reported_scores_are_what_scikit_learn_makes_of_the_registered_champion(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    served = mlflow.pyfunc.load_model("models:/shop@champion")
    later = retrain_shop(day=120)
    table = small_table().dropna(subset="sold")
    times = pd.to_datetime(table["day"], utc=True)
    through = pd.Timestamp(client.get_model_version("shop", "1").tags["evertune.trained_through"])
    newest = times[times < pd.Timestamp("2024-04-30", tz="UTC")].max()
    unseen = table[(times > through) & (times > newest - pd.Timedelta(days=20)) & (times <= newest)].copy()
    assert len(unseen) == later.rows["test"]
    unseen["day"] = pd.to_datetime(unseen["day"]).dt.tz_localize(None)
    answers = served.predict(unseen[["price", "shop", "day"]])
    assert later.metric["champion"] == pytest.approx(log_loss(unseen["sold"], answers["probability_1"]), rel=1e-6)


def test_too_few_unseen_rows_let_the_champions_settings_stand_in(retrain_shop: Retrain) -> None:
    retrain_shop(day=118)
    later = retrain_shop(day=119, gate={"min_rows": 30, "margin": 0.05})
    assert "refitted" in later.reason
    assert later.metric["champion"] is not None


def test_a_changed_config_on_the_same_rows_is_compared_with_the_stand_in(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop()
    changed = retrain_shop(tuning={"trials": 4, "minutes": None})
    assert "refitted" in changed.reason
    assert changed.verdict in ("promoted", "kept")


def test_force_trains_although_nothing_is_new(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop()
    forced = retrain_shop(force=True)
    assert forced.trials["finished"] + forced.trials["pruned"] == 3
    assert forced.verdict in ("promoted", "kept")


def test_never_trains_with_the_champions_hyperparameters_and_says_so(retrain_shop: Retrain, client: MlflowClient) -> None:
    tuned = retrain_shop(day=100)
    reused = retrain_shop(day=120, tuning={"when": "never"})
    assert reused.hyperparameters == tuned.hyperparameters
    assert not reused.tuned
    assert reused.tune_reason == "tuning.when is never: the hyperparameters of champion v1"
    newest = runs(client)[0]
    assert newest.data.tags["evertune.tuning"] == "skipped"
    assert not [child for child in runs(client, "trial") if child.data.tags["mlflow.parentRunId"] == newest.info.run_id]


def test_never_without_a_champion_uses_the_configs_own(retrain_shop: Retrain) -> None:
    model = {"family": "lightgbm", "hyperparameters": {"num_iterations": 7, "num_leaves": 4}}
    result = retrain_shop(tuning={"when": "never"}, model=model)
    assert result.hyperparameters == {"num_iterations": 7, "num_leaves": 4}
    assert "there is no champion" in result.tune_reason


def test_a_kept_candidate_leaves_the_champion_alone(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    worse = retrain_shop(day=120, model={"family": "lightgbm", "hyperparameters": {"num_iterations": 1, "learning_rate": 0.001}})
    assert (worse.verdict, worse.version) == ("kept", "1")
    assert "worse" in worse.reason
    assert (champion(client), versions(client)) == ("1", ["1"])


def test_a_kept_retrain_answers_again_without_training(retrain_shop: Retrain, client: MlflowClient) -> None:
    below = {"floors": {"roc_auc": 0.999}, "min_rows": 20}
    first = retrain_shop(gate=below)
    again = retrain_shop(gate=below)
    assert (first.verdict, again.verdict) == ("kept", "kept")
    assert first.mlflow_run_id in again.reason
    assert again.hyperparameters == first.hyperparameters
    assert "tune" not in again.seconds


def test_a_first_version_below_its_floor_is_kept_and_nothing_registered(retrain_shop: Retrain, client: MlflowClient) -> None:
    result = retrain_shop(gate={"floors": {"roc_auc": 0.999}})
    assert (result.verdict, result.version) == ("kept", None)
    assert "floor" in result.reason
    assert versions(client) == []


def test_a_replay_never_replaces_a_champion_from_a_later_date(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    retrain_shop(day=120)
    replay = retrain_shop(day=110)
    assert replay.verdict == "kept"
    assert "replay" in replay.reason
    assert champion(client) == "2"


def test_a_replay_starts_from_the_version_that_was_live_then(retrain_shop: Retrain) -> None:
    first = retrain_shop(day=100)
    retrain_shop(day=120)
    replay = retrain_shop(day=110, tuning={"when": "never"})
    assert replay.tune_reason == f"tuning.when is never: the hyperparameters of champion v{first.version}"


def test_promoted_versions_without_an_alias_are_refused(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    client.delete_registered_model_alias("shop", "champion")
    with pytest.raises(Conflict, match="no alias 'champion'"):
        retrain_shop(day=120)


def test_a_promotion_that_was_taken_back_is_not_made_again(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    retrain_shop(day=120)
    client.set_registered_model_alias("shop", "champion", "1")
    again = retrain_shop(day=120)
    assert again.verdict == "unchanged"
    assert "no longer the champion" in again.reason
    assert champion(client) == "1"


def test_force_after_a_promotion_was_taken_back_registers_what_was_judged_now(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    retrain_shop(day=120)
    client.set_registered_model_alias("shop", "champion", "1")
    forced = retrain_shop(day=120, force=True)
    assert (forced.verdict, forced.version, champion(client)) == ("promoted", "3", "3")
    assert client.get_model_version("shop", "3").run_id == forced.mlflow_run_id


def test_what_goes_live_is_fitted_on_the_newest_rows_although_they_are_fewer(retrain_shop: Retrain, client: MlflowClient) -> None:
    many, few = small_table(rows_a_day=20), small_table(rows_a_day=4)
    thinning = pd.concat([many[many["day"] < "2024-04-05"], few[few["day"] >= "2024-04-05"].assign(id=lambda frame: frame["id"] + 10_000)])
    split = {"test": "20d", "folds": 2, "fold": "15d", "training_window": "40d"}
    result = retrain_shop(table=thinning, split=split)
    tags = client.get_model_version("shop", "1").tags
    assert "refit" in result.seconds
    assert int(tags["evertune.rows"]) < result.rows["train"]
    assert tags["evertune.trained_through"].startswith("2024-04-29")


def test_secrets_among_a_sources_arguments_stay_out_of_the_records(retrain_shop: Retrain, client: MlflowClient) -> None:
    source = {"kind": "python", "function": "tests.small:guarded_table", "arguments": {"api_token": "hunter2"}}
    result = retrain_shop(source=source)
    record = mlflow.artifacts.load_text(f"runs:/{result.mlflow_run_id}/config.yaml")
    assert "hunter2" not in record + Path(str(result.report)).read_text(encoding="utf-8")
    assert "api_token" in record


def test_a_report_that_cannot_be_written_does_not_undo_a_promotion(
    retrain_shop: Retrain, client: MlflowClient, store: Home, caplog: pytest.LogCaptureFixture
) -> None:
    (store.root / "reports").write_text("a file where the folder should be")
    result = retrain_shop()
    assert (result.verdict, champion(client)) == ("promoted", "1")
    assert runs(client)[0].data.tags["evertune.verdict"] == "promoted"
    assert "could not be written up" in caplog.text


def test_a_version_left_behind_before_the_alias_is_used_again(
    retrain_shop: Retrain, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tasks.registration

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tasks.registration, "make_champion", killed)  # the moment between version and alias, where a kill would land
        with pytest.raises(KeyboardInterrupt):
            retrain_shop()
    assert versions(client) == ["1"]
    assert runs(client)[0].info.status == "KILLED"
    assert retrain_shop().verdict == "promoted"
    assert (versions(client), champion(client)) == (["1"], "1")


def test_a_champion_that_cannot_be_loaded_is_not_replaced(retrain_shop: Retrain, client: MlflowClient, store: Home) -> None:
    retrain_shop(day=100)
    for file in store.artifacts.rglob("model.txt"):
        file.write_text("broken")
    result = retrain_shop(day=120)
    assert result.verdict == "ask"
    assert "could not be scored" in result.reason
    assert champion(client) == "1"


def test_leakage_blocks_promotion_and_is_named(retrain_shop: Retrain, client: MlflowClient) -> None:
    leaking = small_table()
    leaking["refund"] = np.where(leaking["sold"].isna(), np.nan, leaking["sold"] * 10)
    result = retrain_shop(table=leaking)
    assert result.verdict == "kept"
    assert "refund" in result.reason
    assert versions(client) == []


def test_a_column_named_as_known_before_the_event_may_stay(retrain_shop: Retrain) -> None:
    strong = small_table(noise=0.1)
    assert retrain_shop(table=strong).verdict == "kept"
    allowed = {"min_rows": 50, "leakage": {"allow": ["price"]}}
    assert retrain_shop(table=strong, validation=allowed).verdict == "promoted"


def test_rejected_data_leaves_the_champion_and_a_failed_run_with_its_findings(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    strict = {"min_rows": 50, "expectations": [{"type": "expect_column_values_to_be_in_set", "column": "shop", "value_set": ["north"]}]}
    with pytest.raises(DataRejected, match="shop") as rejected:
        retrain_shop(day=120, validation=strict)
    assert rejected.value.summary["verdict"] == "data_rejected"
    newest = runs(client)[0]
    assert newest.info.status == "FAILED"
    assert (newest.data.tags["evertune.verdict"], newest.data.tags["failure.stage"]) == ("data_rejected", "validate")
    names = {artifact.path for artifact in client.list_artifacts(newest.info.run_id)}
    assert {"report.html", "summary.json", "validation"} <= names
    assert champion(client) == "1"


def test_a_failed_search_leaves_the_champion_and_a_failed_run(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=100)
    with pytest.raises(TrainingFailed) as failed:
        retrain_shop(day=120, model={"family": "lightgbm", "hyperparameters": {"objective": "no_such_objective"}})
    assert failed.value.summary["verdict"] == "failed"
    newest = runs(client)[0]
    assert (newest.info.status, newest.data.tags["failure.stage"]) == ("FAILED", "tune")
    assert champion(client) == "1"


def test_one_class_in_the_test_window_is_rejected_data(retrain_shop: Retrain) -> None:
    table = small_table()
    table.loc[pd.to_datetime(table["day"], utc=True) > pd.Timestamp("2024-04-05", tz="UTC"), "sold"] = 1.0
    with pytest.raises(DataRejected, match="one class only"):
        retrain_shop(table=table)


def test_everything_about_a_retrain_is_in_mlflow(retrain_shop: Retrain, client: MlflowClient) -> None:
    result = retrain_shop()
    run = runs(client)[0]
    assert run.info.run_name == "shop 2024-04-30 promoted"
    assert run.data.params["num_iterations"] == str(result.hyperparameters["num_iterations"])
    assert run.data.metrics["log_loss"] == result.metric["challenger"]
    assert run.data.metrics["seconds/tune"] == pytest.approx(result.seconds["tune"])
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"best_hyperparameters.json", "config.yaml", "gate.json", "report.html", "report.md", "summary.json", "validation"} <= names
    data = run.inputs.dataset_inputs[0].dataset
    assert data.digest == run.data.tags["evertune.data_digest"]
    children = [child for child in runs(client, "trial") if child.data.tags["mlflow.parentRunId"] == run.info.run_id]
    assert sorted(child.info.run_name[:9] for child in children) == ["trial 000", "trial 001", "trial 002"]
    assert [child.info.run_name[9:] for child in children if child.info.run_name[9:]] == [" (chosen, best)"]
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/summary.json")["verdict"] == "promoted"


def test_the_registered_model_answers_raw_columns_from_its_uri(retrain_shop: Retrain) -> None:
    retrain_shop()
    served = mlflow.pyfunc.load_model("models:/shop@champion")
    rows = pd.DataFrame({"shop": ["north", None, "never seen"], "day": pd.to_datetime(["2024-05-01"] * 3), "price": [1.0, np.nan, -1.0]})
    answers = served.predict(rows)
    assert list(answers.columns) == ["prediction", "probability_0", "probability_1"]
    assert np.allclose(answers["probability_0"] + answers["probability_1"], 1.0)
    assert served.metadata.signature is not None
    assert served.metadata.saved_input_example_info is not None


def test_the_result_prints_as_a_summary(retrain_shop: Retrain) -> None:
    result: Result = retrain_shop()
    text = str(result)
    assert text.startswith("shop 2024-04-30: promoted")
    assert f"{result.metric['challenger']:.4f}" in text
    assert str(result.report) in text


def test_the_summary_has_what_scripts_rely_on(retrain_shop: Retrain) -> None:
    import json

    summary: dict[str, Any] = json.loads(retrain_shop().to_json())
    what = {"verdict", "reason", "model", "version", "as_of", "tuned", "tune_reason", "trials", "hyperparameters", "metric"}
    where = {"seconds", "rows", "mlflow_run_id", "prefect_flow_run_id", "report"}
    assert what | where <= set(summary)
    assert set(summary["trials"]) == {"finished", "pruned", "failed"}
    assert set(summary["metric"]) == {"name", "challenger", "champion"}
    assert set(summary["rows"]) == {"train", "test"}
    assert summary["seconds"]["total"] >= sum(value for name, value in summary["seconds"].items() if name != "total") - 0.1
