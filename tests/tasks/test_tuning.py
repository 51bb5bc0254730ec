"""The search as the flow runs it, with real worker processes: what it chooses, where it stops, what becomes of trials that fail."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.models.recipes import Recipe
from tasks.records import Split, Table, Trial
from tasks.spaces import Categorical, Float
from tasks.trials.reserves import FinalFit
from tests.engine import QUICK, Searching, fault_of, going_wrong
from tests.tasks.executors.scenes import NUMBERS

LAST_BEST = Recipe(QUICK.changed(hyperparameters={"num_leaves": 9}))


def test_the_limit_of_trials_holds_and_each_is_recorded(search: Searching) -> None:
    _, found = search(trials=4, prune="none")
    assert sorted(trial.number for trial in search.recorded) == [0, 1, 2, 3]
    assert found.counts == {"finished": 4, "pruned": 0, "failed": 0}
    assert found.stopped_by == "4 trials"
    assert found.limits == ("4 trials", "20 failed trials")


def test_the_best_trial_is_the_one_with_the_least_mean_loss(search: Searching) -> None:
    recipe, found = search(trials=6, prune="none")
    assert found.best is not None
    assert found.chosen == found.best
    assert found.best.value == min(trial.value for trial in found.trials if trial.value)
    assert all(trial.value and math.isclose(trial.value, np.mean(trial.fold_values)) for trial in found.trials)
    assert recipe.model.hyperparameters == found.best.hyperparameters


def test_a_metric_where_greater_is_better_is_maximized(search: Searching) -> None:
    _, found = search(trials=6, prune="none", metric="roc_auc")
    assert found.best is not None
    assert found.best.value == max(trial.value for trial in found.trials if trial.value)


def test_the_rounds_of_the_folds_become_part_of_the_hyperparameters(search: Searching) -> None:
    recipe, found = search()
    assert found.chosen is not None
    rounds = [score.rounds for score in found.chosen.scores if score.rounds is not None]
    assert recipe.model.hyperparameters["num_iterations"] == round(float(np.median(rounds)))


def test_the_first_trial_starts_from_the_familys_defaults_and_the_portfolio_follows(search: Searching) -> None:
    search(trials=3)
    by_number = {trial.number: trial for trial in search.recorded}
    defaults = {name: parameter.default for name, parameter in QUICK.default_space("binary").items()}
    assert (by_number[0].origin, by_number[0].choices) == ("defaults", defaults)
    assert [by_number[number].origin for number in (1, 2)] == ["portfolio", "portfolio"]
    assert by_number[1].choices["min_data_in_leaf"] == QUICK.portfolio("binary")[0]["min_data_in_leaf"]


def test_values_fixed_in_the_config_are_not_searched(search: Searching) -> None:
    recipe, _ = search(QUICK.changed(hyperparameters={"num_leaves": 5}))
    assert recipe.model.hyperparameters["num_leaves"] == 5
    assert all("num_leaves" not in trial.choices for trial in search.recorded)


def test_a_folds_value_is_what_scikit_learn_makes_of_a_refit(search: Searching, small: Table, two_folds: Split) -> None:
    import lightgbm

    names = QUICK.default_space("binary")
    fixed = {**{name: parameter.default for name, parameter in names.items()}, "num_leaves": 5, "min_data_in_leaf": 5}
    del fixed["lambda_l2"]
    only = QUICK.changed(hyperparameters=fixed, space={"lambda_l2": Float(low=0.0, high=1.0, default=0.0)})
    _, found = search(only, trials=1)
    fold = two_folds.folds[0]
    price = small.frame[["price"]].to_numpy()
    shop = small.frame["shop"].iloc[fold.train].value_counts()
    order = {name: k for k, name in enumerate(sorted(shop.index, key=lambda name: (-shop[name], name)))}
    time = small.frame["day"].dt
    matrix = np.column_stack([price, small.frame["shop"].map(order), time.month, time.day_of_week, time.hour])
    truth = small.frame["sold"].to_numpy()
    ours = {"objective": "binary", "bagging_freq": 1, "seed": 0, "verbose": -1, "num_threads": 1}
    params = {**fixed, **ours, "lambda_l2": 0.0, "force_col_wise": True, "deterministic": True, "feature_pre_filter": False}
    train = lightgbm.Dataset(matrix[fold.train], truth[fold.train], categorical_feature=[1], params=params)
    valid = lightgbm.Dataset(matrix[fold.valid], truth[fold.valid], categorical_feature=[1], reference=train, params=params)
    booster = lightgbm.train(params, train, 20, valid_sets=[valid], callbacks=[lightgbm.early_stopping(5, verbose=False)])
    expected = log_loss(truth[fold.valid], np.asarray(booster.predict(matrix[fold.valid], num_iteration=booster.best_iteration)))
    (score,) = [score for score in found.trials[0].scores if score.fold == 0]
    assert score.value == pytest.approx(expected, rel=1e-9)
    assert score.rounds == booster.best_iteration


def test_trials_run_side_by_side_and_say_where_and_when(search: Searching) -> None:
    _, found = search(trials=6, prune="none")
    scores = [score for trial in found.trials for score in trial.scores]
    assert {score.worker for score in scores} == {f"worker {k + 1}" for k in range(search.executor.capacity)}
    assert all(0 < score.fit_seconds < score.seconds for score in scores)
    assert found.fit_seconds == pytest.approx(sum(score.fit_seconds for score in scores))
    assert found.worker_seconds == pytest.approx(found.seconds * search.executor.capacity)
    assert all(trial.started + trial.seconds < found.seconds + 0.1 for trial in found.trials)


def test_the_progress_of_a_search_is_shown_as_it_goes(search: Searching) -> None:
    search(trials=5, prune="none")
    seen = [len(standing.trials) for standing in search.standings]
    assert seen == sorted(seen)
    assert search.standings[-1].best is not None
    assert (search.standings[-1].most, search.standings[-1].left) == (5, None)


def test_a_search_of_the_same_name_goes_on_where_it_was(search: Searching) -> None:
    search(trials=2, prune="none")
    _, found = search(trials=5, prune="none")
    assert sorted(trial.number for trial in search.recorded) == [2, 3, 4]
    assert found.resumed == 2
    assert found.counts["finished"] == 5


def test_a_finished_search_is_not_run_again(search: Searching) -> None:
    first, _ = search(trials=2)
    again, found = search(trials=2)
    assert search.recorded == []
    assert again == first
    assert len(found.trials) == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("raise_error", "ValueError: the library said no"),
        ("segfault", "died of SIGSEGV"),
        ("leave", "exit code 3"),
        ("not_a_number", "log_loss is nan, not a finite number"),
        ("eat_at_once", "ran out of memory"),
    ],
)
def test_a_trial_that_goes_wrong_is_one_failed_trial_with_its_reason(search: Searching, fault: str, says: str) -> None:
    _, found = search(going_wrong(fault), trials=6, prune="none", search="random")
    assert found.counts["finished"] + found.counts["failed"] == 6
    for trial in found.trials:
        assert (trial.state == "failed") == (fault_of(trial) == fault)
        assert (says in trial.error) == (trial.state == "failed")
        assert (trial.value is None) == (trial.state == "failed")
    assert Counter(map(fault_of, found.trials))[fault]


def test_the_limit_of_failed_trials_ends_the_search(search: Searching) -> None:
    _, found = search(going_wrong("raise_error"), trials=100, failed_trials=4, prune="none", search="random")
    assert found.stopped_by == "4 failed trials"
    assert found.counts["failed"] == 4
    assert found.counts["finished"]


def test_a_search_in_which_every_trial_fails_ends_early_and_says_why(search: Searching) -> None:
    with pytest.raises(TrainingFailed, match=r"none of 1\d trials finished; the last one: ValueError: the library said no") as failed:
        search(going_wrong("raise_error", good=False), trials=500, search="random")
    assert failed.value.exit_code == 4
    assert 10 <= len(search.recorded) <= 10 + search.executor.capacity


def test_where_all_fail_the_last_best_settings_can_be_asked_for(search: Searching) -> None:
    hopeless = going_wrong("raise_error", good=False)
    recipe, found = search(hopeless, lambda: LAST_BEST, trials=3, on_all_failed="last_best", search="random")
    assert recipe is LAST_BEST
    assert (found.best, found.chosen) == (None, None)
    assert found.choice == "all 3 trials failed: the last best hyperparameters, as tuning.on_all_failed says"


@pytest.mark.parametrize(
    ("settings", "stopped_by"),
    [
        ({"target": 10.0}, "log_loss reaching 10"),
        ({"target": 10.0, "min_trials": 4}, "log_loss reaching 10"),
        ({"no_progress_trials": 3}, "trials without progress"),
        ({"no_progress_minutes": 0.5 / 60}, "min without progress"),
        ({"convergence": 0.99}, "the 10 best trials lying within"),
        ({"target": 10.0, "min_trials": 5, "failed_trials": 1}, "log_loss reaching 10"),
    ],
)
def test_the_first_limit_reached_ends_the_search(search: Searching, settings: dict[str, Any], stopped_by: str) -> None:
    _, found = search(trials=400, prune="none", **settings)
    assert stopped_by in found.stopped_by
    assert len(found.trials) >= settings.get("min_trials", 1)
    assert len(found.trials) < 400
    assert found.counts["finished"]


def test_the_limit_of_time_holds_although_a_trial_hangs(quick: Searching) -> None:
    began = time.monotonic()
    _, found = quick(going_wrong("hang"), trials=None, minutes=3 / 60, prune="none", search="random", seed=1)
    assert time.monotonic() - began < 3 + 5
    assert found.stopped_by == "0.05 minutes"
    assert found.chosen is not None
    assert not any(map(fault_of, found.trials))  # what hung says nothing, and is not counted


def test_time_for_the_final_fit_is_reserved_within_the_limit(quick: Searching) -> None:
    _, without = quick(trials=None, minutes=2 / 60, name="without")
    _, reserved = quick(trials=None, minutes=2 / 60, name="reserved", final=FinalFit(rows=10_000_000, fits=2, threads=1))
    assert 2 < without.seconds < 2 + 5
    assert 1 < reserved.seconds < min(2, without.seconds) + 1  # half of the limit at most
    assert (without.stopped_by, reserved.stopped_by) == ("0.0333333 minutes", "0.0333333 minutes")


def test_time_that_runs_out_leaves_the_trial_that_came_furthest(quick: Searching) -> None:
    quick.split = replace(quick.split, folds=quick.split.folds * 4)
    model = going_wrong("take_a_second", good=False)  # so a trial takes eight
    recipe, found = quick(model, trials=None, minutes=4 / 60, search="random")
    assert found.best is None
    assert found.chosen is not None
    assert 1 <= len(found.chosen.scores) < 8
    assert found.choice.startswith("no trial finished before the search was stopped by 0.0666667 minutes: trial ")
    assert recipe.model.hyperparameters["max_cat_to_onehot"] == NUMBERS["take_a_second"]
    assert "num_iterations" in recipe.model.hyperparameters


def test_time_that_runs_out_before_anything_was_scored_leaves_the_last_best(quick: Searching) -> None:
    recipe, found = quick(going_wrong("hang", good=False), lambda: LAST_BEST, trials=None, minutes=0.5 / 60, search="random")
    assert recipe is LAST_BEST
    assert found.choice == "no trial was scored before the search was stopped by 0.00833333 minutes: the last best hyperparameters"
    assert found.trials == ()


def test_time_that_runs_out_after_nothing_but_failures_leaves_the_last_best_too(quick: Searching) -> None:
    space = {"max_cat_to_onehot": Categorical(choices=(NUMBERS["raise_error"], NUMBERS["hang"]), default=NUMBERS["raise_error"])}
    model = going_wrong("hang").changed(space=space)
    recipe, found = quick(model, lambda: LAST_BEST, trials=None, minutes=2 / 60, failed_trials=None, search="random", seed=1)
    assert recipe is LAST_BEST
    assert found.counts["failed"] == len(found.trials) > 0


def test_an_unreachable_store_is_a_service_fault(search: Searching) -> None:
    def record(trial: Trial) -> None:
        raise AssertionError("no trial may run without a store")

    with pytest.raises(ServiceUnavailable, match="study store") as refused:
        search(store="postgresql+psycopg://nobody:secret@127.0.0.1:9/none", record=record)
    assert "secret" not in str(refused.value)
