from __future__ import annotations

from typing import Any

import pytest

from tasks.metrics import METRICS
from tasks.records import Trial
from tasks.settings import TuningSettings
from tasks.trials.limits import reached

NONE = {"trials": None, "minutes": None, "failed_trials": None}


def ended(*losses: float | None, state: str = "finished") -> list[Trial]:
    """Trials of a second each; None is a failed one."""
    return [
        Trial(k, "failed" if loss is None else state, {}, loss, (), 1.0, started=float(k))  # type: ignore[arg-type]
        for k, loss in enumerate(losses)
    ]


def why(over: list[Trial], /, elapsed: float = 0.0, metric: str = "log_loss", **settings: Any) -> str:
    return reached(TuningSettings(**{**NONE, **settings}), over, METRICS[metric], elapsed)


def test_without_limits_nothing_ends_a_search() -> None:
    assert why(ended(0.5, None, 0.4), elapsed=1e9) == ""
    assert why([], elapsed=1e9) == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trials": 3}, "3 trials"),
        ({"failed_trials": 1}, "1 failed trial"),
        ({"target": 0.41}, "log_loss reaching 0.41"),
        ({"no_progress_trials": 1, "trials": 4}, ""),
    ],
)
def test_each_limit_says_that_it_was_reached(settings: dict[str, Any], words: str) -> None:
    assert why(ended(0.5, None, 0.4), **settings) == words


def test_of_several_limits_the_first_one_reached_ends_the_search() -> None:
    assert why(ended(0.5, 0.4), trials=2, target=0.1) == "2 trials"
    assert why(ended(0.5, 0.05), trials=9, target=0.1) == "log_loss reaching 0.1"


def test_a_target_of_a_metric_where_greater_is_better_is_reached_from_below() -> None:
    assert why(ended(0.7), metric="roc_auc", target=0.8) == ""
    assert why(ended(0.8), metric="roc_auc", target=0.8) == "roc_auc reaching 0.8"


def test_progress_is_counted_from_the_trial_that_was_best_first() -> None:
    assert why(ended(0.5, 0.4, 0.4, 0.45), no_progress_trials=3) == ""
    assert why(ended(0.5, 0.4, 0.4, 0.45, None), no_progress_trials=3) == "3 trials without progress"


def test_time_without_progress_is_counted_from_the_end_of_the_best_trial() -> None:
    trials = ended(0.5, 0.4, 0.6)  # the best one ended after 2 seconds
    assert why(trials, elapsed=61.0, no_progress_minutes=1) == ""
    assert why(trials, elapsed=62.0, no_progress_minutes=1) == "1 min without progress"


def test_a_search_has_converged_when_its_ten_best_are_alike() -> None:
    alike = [0.4 + 0.0001 * k for k in range(10)]
    assert why(ended(*alike[:9], 0.9), convergence=0.01) == ""
    assert why(ended(*alike, 0.9), convergence=0.01) == "the 10 best trials lying within 1.00% of each other"
    assert why(ended(*alike), convergence=0.002) == ""


def test_nothing_but_a_limit_stops_a_search_before_its_fewest_trials() -> None:
    assert why(ended(0.5, 0.05), target=0.1, min_trials=3) == ""
    assert why(ended(0.5, 0.05, 0.6), target=0.1, min_trials=3) == "log_loss reaching 0.1"


def test_a_search_whose_first_trials_all_fail_is_given_up() -> None:
    assert why(ended(*[None] * 9)) == ""
    assert why(ended(*[None] * 10)) == "each of the first 10 trials failing"
    assert why(ended(0.5, *[None] * 10)) == ""
