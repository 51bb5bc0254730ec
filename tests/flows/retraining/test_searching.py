"""Tuning across retrains: what is decided, remembered, blended, reused; and what becomes of a search whose process is killed."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from configs.reading import read_config
from tasks.homes import Home
from tasks.models import parse_model
from tasks.records import Result
from tests.servers import ROOT, Program, gone, processes_in
from tests.small import small_config
from tests.stores import Retrain
from tests.tasks.executors.scenes import FAULTS, NUMBERS

AUTO = {"when": "auto", "trials": 6, "minutes": None, "auto": {"probe": 4}}
RETRAIN = """
import sys
from configs.reading import read_config
from flows.retrain import run_retrain
from tests.small import at_day
run_retrain(read_config(sys.argv[1]), at_day(120))
"""


def children(client: MlflowClient, result: Result) -> list[Run]:
    """The trials of one retrain, by number."""
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{result.mlflow_run_id}'", max_results=1000)
    return sorted(found, key=lambda run: int(run.data.tags["evertune.trial"]))


def origins(client: MlflowClient, result: Result) -> list[str]:
    return [run.data.tags["evertune.origin"] for run in children(client, result)]


def artifact(result: Result, name: str) -> Any:
    return mlflow.artifacts.load_dict(f"runs:/{result.mlflow_run_id}/{name}")


def test_auto_tunes_without_a_champion_and_reuses_one_that_nothing_surely_beats(retrain_shop: Retrain, client: MlflowClient) -> None:
    wary = {**AUTO, "auto": {"probe": 4, "confidence": 0.999999}}
    first = retrain_shop(day=100, tuning=wary)
    assert first.tuned
    assert first.tune_reason == "tuning.when is auto: there is nothing to reuse, since there is no champion"
    second = retrain_shop(day=120, tuning=wary)
    assert not second.tuned
    assert "(tuning.auto.confidence is 0.999999); the settings of champion v1 are reused, which saves about" in second.tune_reason
    assert second.hyperparameters == first.hyperparameters
    run = client.get_run(str(second.mlflow_run_id)).data
    assert (run.tags["evertune.tuning"], run.tags["evertune.tune_reason"]) == ("skipped", second.tune_reason)
    assert origins(client, second)[0] == "champion v1"
    assert len(children(client, second)) == 4
    assert {"decision/gain", "decision/days_since_search", "decision/seconds_probe", "decision/seconds_saved"} <= set(run.metrics)
    assert run.metrics["decision/days_since_search"] == 20
    assert second.seconds["probe"] == pytest.approx(run.metrics["decision/seconds_probe"], abs=1)


def test_auto_tunes_when_the_probe_finds_a_gain(retrain_shop: Retrain, client: MlflowClient) -> None:
    rates = {"type": "categorical", "choices": [0.0001, 0.1], "default": 0.0001}
    poor = {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5, "space": {"learning_rate": rates}}
    retrain_shop(day=100, tuning={**AUTO, "trials": 1, "memory": {"portfolio": False}}, model=poor)
    tuned = retrain_shop(day=120, tuning={**AUTO, "trials": 9, "auto": {"probe": 6}, "memory": {"portfolio": False}}, model=poor)
    assert tuned.tuned
    assert "of the probe beats the settings of champion v1 by" in tuned.tune_reason
    assert tuned.hyperparameters["learning_rate"] == 0.1
    found = children(client, tuned)
    assert len(found) == 9  # those of the probe count
    assert found[0].data.params["learning_rate"] == "0.0001"
    assert client.get_run(str(tuned.mlflow_run_id)).data.metrics["decision/probability"] >= 0.9


def test_auto_tunes_when_the_last_search_is_old(retrain_shop: Retrain) -> None:
    retrain_shop(day=100, tuning=AUTO)
    old = retrain_shop(day=120, tuning={**AUTO, "auto": {"probe": 4, "max_age": "10d"}})
    assert old.tuned
    assert old.tune_reason == "tuning.when is auto: the last search, of 2024-04-10, is 20 days old (tuning.auto.max_age is 10d)"


def test_auto_tunes_when_the_space_changed(retrain_shop: Retrain) -> None:
    retrain_shop(day=100, tuning=AUTO)
    narrow = {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5, "hyperparameters": {"num_leaves": 7}}
    changed = retrain_shop(day=120, tuning=AUTO, model=narrow)
    assert changed.tuned
    assert "since the search of 2024-04-10 the search space changed: num_leaves was" in changed.tune_reason


def test_a_retrain_starts_from_what_the_ones_before_it_found(retrain_shop: Retrain, client: MlflowClient) -> None:
    first = retrain_shop(day=100, tuning={"trials": 6, "minutes": None})
    second = retrain_shop(day=120, tuning={"trials": 6, "minutes": None})
    assert set(origins(client, first)) <= {"defaults", "portfolio", "search"}
    assert origins(client, second)[:2] == ["champion v1", "retrain of 2024-04-10"]
    incumbent = children(client, second)[0].data.params
    chosen = artifact(first, "memory.json")["finalists"][0]["choices"]
    assert {name: incumbent[name] for name in chosen} == {name: str(value) for name, value in chosen.items()}
    assert "kept as it was" in mlflow.artifacts.load_text(f"runs:/{second.mlflow_run_id}/report.md")


def test_a_replay_remembers_nothing_of_its_future(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=120)
    replay = retrain_shop(day=100)
    assert set(origins(client, replay)) <= {"defaults", "portfolio", "search"}
    later = retrain_shop(day=110, tuning={"trials": 8, "minutes": None})
    assert "retrain of 2024-04-10" in origins(client, later)
    assert "retrain of 2024-04-30" not in origins(client, later)


def test_the_best_settings_can_be_pasted_into_a_config(retrain_shop: Retrain, tmp_path: Path) -> None:
    space = {"features.rare": [2, 30], "weights.half_life": ["none", "30d"]}
    result = retrain_shop(tuning={"trials": 4, "minutes": None, "average": 3}, space=space)
    pasted = artifact(result, "best_hyperparameters.json")
    path = small_config(tmp_path / "pasted")
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, **pasted, "tuning": {"when": "never"}}))
    config, recipe = read_config(path), artifact(result, "recipe.json")
    assert config.model.shown == parse_model(recipe["model"]).shown
    assert config.features.rare == recipe["features"]["rare"]
    assert config.weights.model_dump(mode="json")["half_life"] == recipe["weights"]["half_life"]


@pytest.mark.parametrize("members", [2, 3])
def test_a_blend_goes_live_answers_and_is_reused_whole(retrain_shop: Retrain, client: MlflowClient, members: int) -> None:
    tuning = {"trials": 8, "minutes": None, "average": members, "prune": "none"}
    tuned = retrain_shop(day=100, tuning=tuning)
    recipe = artifact(tuned, "recipe.json")
    assert tuned.verdict == "promoted"
    assert recipe["model"]["family"] == "blend", "eight trials of which no two are better together"
    assert 2 <= len(recipe["model"]["members"]) <= members
    served = mlflow.pyfunc.load_model("models:/shop@champion")
    rows = pd.DataFrame({"price": [1.0, np.nan], "shop": ["north", None], "day": np.array(["2024-05-01"] * 2, dtype="datetime64[ns]")})
    assert np.isfinite(served.predict(rows)["probability_1"]).all()
    reused = retrain_shop(day=120, tuning={"when": "never"})
    assert reused.tune_reason == "tuning.when is never: the hyperparameters of champion v1"
    assert reused.hyperparameters == tuned.hyperparameters
    assert reused.metric["champion"] is not None
    again = retrain_shop(day=121, tuning=tuning, gate={"min_rows": 30, "margin": 0.5})
    assert "refitted" in again.reason  # the blend's settings stand in for it
    assert again.metric["champion"] is not None
    assert origins(client, again)[0] == f"champion v{reused.version or 1}"


def test_todays_fixed_values_win_over_every_member_of_a_blend(retrain_shop: Retrain) -> None:
    retrain_shop(day=100, tuning={"trials": 8, "minutes": None, "average": 2, "prune": "none"})
    fixed = {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5, "hyperparameters": {"num_leaves": 5}}
    reused = retrain_shop(day=120, tuning={"when": "never"}, model=fixed)
    assert (reused.hyperparameters["1.num_leaves"], reused.hyperparameters["2.num_leaves"]) == (5, 5)


def test_chosen_processing_is_stored_with_the_champion_and_used_again(retrain_shop: Retrain, client: MlflowClient) -> None:
    space = {"features.rare": [2, 30], "weights.half_life": ["none", "30d"], "use.price": [True, False]}
    features = {"rare": 2, "optional": {"price": ["price"]}}
    fixed = {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5}
    tuned = retrain_shop(day=100, tuning={"trials": 8, "minutes": None, "prune": "none"}, space=space, features=features, model=fixed)
    reused = retrain_shop(day=120, tuning={"when": "never"}, space=space, features=features, model=fixed)
    first, second = artifact(tuned, "recipe.json"), artifact(reused, "recipe.json")
    assert first["features"] == second["features"]
    assert first["weights"] == second["weights"]
    chosen = artifact(tuned, "memory.json")["finalists"][0]["choices"]
    assert second["features"]["rare"] == chosen["features.rare"]
    assert (second["weights"]["half_life"] or "none") == chosen["weights.half_life"]
    assert ("price" in second["features"]["without"]) != chosen["use.price"]


def test_a_trial_may_take_so_long_and_no_longer(retrain_shop: Retrain, client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAULTS))
    slow = {"type": "categorical", "choices": [4, NUMBERS["hang"]], "default": 4}
    model = {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5, "space": {"max_cat_to_onehot": slow}}
    result = retrain_shop(
        tuning={"trials": 6, "minutes": None, "trial_minutes": 1.5 / 60, "search": "random", "memory": {"portfolio": False}}, model=model
    )
    assert result.verdict == "promoted"
    failed = [run.data.tags["evertune.error"] for run in children(client, result) if run.data.tags["evertune.state"] == "failed"]
    assert failed
    assert set(failed) == {"took more than 1.5 seconds"}


def finished_trials(home: Path) -> int:
    """How many trials the study store holds."""
    try:
        with sqlite3.connect(home / "studies.db") as connection:
            return int(connection.execute("select count(*) from trials where state in ('COMPLETE', 'PRUNED')").fetchone()[0])
    except sqlite3.OperationalError:  # it is only just being made
        return 0


def test_a_search_that_was_killed_goes_on_where_it_was(
    retrain_shop: Retrain, client: MlflowClient, store: Home, program: Program, tmp_path: Path
) -> None:
    fixed = {"max_cat_to_onehot": NUMBERS["take_a_second"]}  # a second a fold, in the process that is to be killed
    changes: dict[str, Any] = {
        "tuning": {"trials": 9, "minutes": None, "prune": "none"},
        "model": {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5, "hyperparameters": fixed},
    }
    killed = program(RETRAIN, str(small_config(tmp_path / "shop", **changes)), PYTHONPATH=f"{FAULTS}:{ROOT}")
    deadline = time.monotonic() + 90
    while finished_trials(store.root) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(processes_in(store.root)) >= 2
    killed.kill()
    killed.wait()
    assert gone(store.root, seconds=2), processes_in(store.root)
    kept = finished_trials(store.root)
    assert 3 <= kept < 9, killed.stdout and killed.stdout.read()
    began = time.monotonic()
    result = retrain_shop(**changes)
    assert (result.verdict, result.trials) == ("promoted", {"finished": 9, "pruned": 0, "failed": 0})
    assert finished_trials(store.root) == 9  # so the kept ones were not run again
    numbers = [int(run.data.tags["evertune.trial"]) for run in children(client, result)]
    assert len(set(numbers)) == 9
    assert time.monotonic() - began < 60
