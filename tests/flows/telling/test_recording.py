"""What a search leaves in MLflow, looked up in a real store."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import mlflow.artifacts
import pytest
from mlflow import MlflowClient

from configs.reading import read_config
from flows.telling.recording import CURVE, SearchRecord, to_paste
from tasks.homes import Home
from tasks.models.lightgbm import LightGBM
from tasks.models.recipes import Recipe
from tasks.models.scikit import Scikit
from tasks.records import Search
from tasks.settings import FeatureSettings, WeightSettings
from tasks.stage import Timing
from tasks.tracking import Run, connect, open_run
from tests.searches import make_search
from tests.small import small_config

BEGAN = 1_700_000_000.0


@pytest.fixture
def run(store: Home) -> Any:
    with open_run(connect(store, "searches"), "parent", {}, Timing()) as opened:
        yield opened


def write(run: Run, search: Search) -> SearchRecord:
    """Record a search, all but the curve."""
    record = SearchRecord(run, search.metric, BEGAN)
    for trial in search.trials:
        record.add(trial)
    record.close(search)
    return record


def written(run: Run, search: Search) -> list[Any]:
    """Record a search; its children in the order they started."""
    write(run, search)
    return children(run)


def children(run: Run, order: str = "attributes.start_time") -> list[Any]:
    return list(run.client.search_runs([run.tracker.experiment], f"tags.`mlflow.parentRunId` = '{run.id}'", order_by=[order]))


def number(child: Any) -> int:
    return int(child.data.tags["evertune.trial"])


def test_every_trial_is_a_child_with_its_name_state_times_and_scores(run: Run) -> None:
    search = make_search(20)
    found = {number(child): child for child in written(run, search)}
    assert sorted(found) == list(range(20))
    for trial in search.trials:
        child = found[trial.number]
        assert child.info.run_name.startswith(f"trial {trial.number:03d}")
        assert child.info.status == {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[trial.state]
        assert child.data.tags["evertune.origin"] == trial.origin
        assert child.data.metrics.get("log_loss") == trial.value
        assert [child.data.metrics[f"fold_{k}"] for k in range(1, len(trial.fold_values) + 1)] == list(trial.fold_values)
        assert child.data.params["learning_rate"] == str(trial.choices["learning_rate"])
        assert child.data.params["features.rare"] == str(trial.choices["features.rare"])
        started = trial.scores[0].started if trial.scores else trial.started
        assert child.info.start_time == pytest.approx(1000 * (BEGAN + started), abs=1)
        assert child.info.end_time >= child.info.start_time


def test_sorted_by_the_metric_the_best_trial_comes_first_and_trials_without_a_score_last(run: Run) -> None:
    search = make_search(20)
    write(run, search)
    for order in ("ASC", "DESC"):
        scores = [child.data.metrics.get("log_loss") for child in children(run, f"metrics.log_loss {order}")]
        known = [score for score in scores if score is not None]
        assert known == sorted(known, reverse=order == "DESC")
        assert scores[: len(known)] == known


def test_the_best_and_the_chosen_trial_are_marked_in_tags_and_names(run: Run) -> None:
    search = make_search(20)
    assert search.best is not None
    assert search.chosen is not None
    found = {number(child): child for child in written(run, search)}
    assert [n for n, child in found.items() if "evertune.best" in child.data.tags] == [search.best.number]
    assert [n for n, child in found.items() if "evertune.chosen" in child.data.tags] == [search.chosen.number]
    assert found[search.best.number].info.run_name == f"trial {search.best.number:03d} (best)"


def test_a_failed_trial_keeps_its_error(run: Run) -> None:
    failed = next(child for child in written(run, make_search(16)) if child.info.status == "FAILED")
    assert failed.data.tags["evertune.error"] == failed.data.tags["mlflow.note.content"] == "took more than 2 GB"


def test_learning_curves_are_metrics_by_round_with_their_first_and_last_point(run: Run) -> None:
    search = make_search(3)
    child = next(child for child in written(run, search) if number(child) == 2)
    curve = run.client.get_metric_history(child.info.run_id, "curve/fold_2")
    whole = search.trials[2].scores[1].curve
    assert [(point.step, point.value) for point in (curve[0], curve[-1])] == [whole[0], whole[-1]]
    assert len(curve) <= 20


def test_the_parent_has_the_curve_of_the_best_so_far_by_trial_after_the_scores(run: Run) -> None:
    search = make_search(20)
    record = write(run, search)
    run.metrics({"log_loss": 0.4})
    record.write_curve()
    record.write_curve()
    assert list(run.client.get_run(run.id).data.metrics) == ["log_loss", CURVE]
    points = [(point.step, point.value) for point in run.client.get_metric_history(run.id, CURVE)]
    best, expected = None, []
    for trial in search.trials:
        if trial.value is not None:
            best = trial.value if best is None else min(best, trial.value)
        if best is not None:
            expected.append((trial.number, best))
    assert points == expected


def test_the_table_is_there_as_mlflow_shows_it_and_as_csv(run: Run, client: MlflowClient) -> None:
    search = make_search(20)
    assert search.best is not None
    write(run, search)
    shown = mlflow.artifacts.load_dict(f"runs:/{run.id}/trials.json")
    rows = list(csv.DictReader(io.StringIO(mlflow.artifacts.load_text(f"runs:/{run.id}/trials.csv"))))
    assert len(shown["data"]) == len(rows) == 20
    assert shown["columns"] == list(rows[0])
    assert rows[search.best.number]["marked"] == "best"
    assert float(rows[search.best.number]["log_loss"]) == search.best.value
    assert "trials.json" in client.get_run(run.id).data.tags["mlflow.loggedArtifacts"]


def test_a_trial_that_is_given_twice_is_one_child(run: Run) -> None:
    search, record = make_search(4), SearchRecord(run, "log_loss")
    threads = [threading.Thread(target=record.add, args=(trial,)) for trial in (*search.trials, *search.trials)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record.close(search)
    assert sorted(map(number, children(run))) == [0, 1, 2, 3]


def test_trials_of_an_earlier_process_get_a_child_at_the_end(run: Run) -> None:
    SearchRecord(run, "log_loss", BEGAN).close(make_search(6))
    assert sorted(map(number, children(run))) == list(range(6))


def test_without_a_beginning_the_first_trial_ends_now(run: Run) -> None:
    search, before = make_search(1), time.time()
    SearchRecord(run, "log_loss").add(search.trials[0])
    assert children(run)[0].info.end_time / 1000 == pytest.approx(before, abs=1)


def test_a_search_in_which_nothing_finished_is_recorded_too(run: Run) -> None:
    failed = tuple(trial for trial in make_search(30).trials if trial.state == "failed")
    write(run, Search("log_loss", failed, None, "failures", 1.0)).write_curve()
    assert len(children(run)) == 2
    assert run.client.get_metric_history(run.id, CURVE) == []


def test_more_parameters_and_points_than_one_request_takes_are_all_written(run: Run) -> None:
    run.batch([("loss", 0.1, step) for step in range(1500)], {f"p{k}": k for k in range(150)})
    assert len(run.client.get_metric_history(run.id, "loss")) == 1500
    assert len(run.client.get_run(run.id).data.params) == 150


# settings to paste


def pasted(folder: Path, recipe: Recipe, chosen: tuple[str, ...], **before: Any) -> Any:
    """The config that comes of pasting the sections, as JSON, over a config's own."""
    sections = json.loads(json.dumps(to_paste(recipe, chosen)))
    changes = {"model": sections.pop("model")} | {f"{part}.{key}": value for part, keys in sections.items() for key, value in keys.items()}
    return read_config(small_config(folder / "paste"), {**before, **changes})


def test_what_is_pasted_into_a_config_is_what_was_chosen(tmp_path: Path) -> None:
    model = LightGBM(hyperparameters={"num_leaves": 63, "learning_rate": 0.08, "num_iterations": 140}, max_rounds=500)
    recipe = Recipe(model, FeatureSettings(rare=7, keep=30), WeightSettings(balance=True))
    config = pasted(tmp_path, recipe, ("features.rare", "weights.balance"))
    assert config.model == model
    assert (config.features.rare, config.weights.balance) == (7, True)
    assert config.features.keep == FeatureSettings().keep


def test_what_was_not_chosen_is_not_in_the_paste() -> None:
    assert to_paste(Recipe(LightGBM(hyperparameters={"num_leaves": 63}), FeatureSettings(rare=7)), ()) == {
        "model": {"family": "lightgbm", "hyperparameters": {"num_leaves": 63}}
    }


def test_an_estimator_and_columns_left_out_are_pasted_too(tmp_path: Path) -> None:
    model = Scikit(family="scikit", estimator="LogisticRegression", hyperparameters={"C": 0.5})
    recipe = Recipe(model, FeatureSettings(optional={"place": ("shop",)}, without=("place",)))
    changes = {"features.optional": {"place": ["shop"]}}
    config = pasted(tmp_path, recipe, ("use.place",), **changes)
    assert config.model == model
    assert config.features.left_out == {"shop"}
