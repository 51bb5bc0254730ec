"""Importance finds what the scores really depend on, the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.records import Search, Trial
from tasks.reports.importance import FEWEST, parameter_importance
from tests.searches import SPACE, make_search


def test_the_parameters_that_the_score_depends_on_come_first() -> None:
    found = parameter_importance(make_search(300))
    assert set(list(found)[:2]) == {"learning_rate", "num_leaves"}
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["learning_rate"] + found["num_leaves"] > 0.6


def test_it_is_the_same_every_time_and_whatever_the_order_of_trials() -> None:
    search = make_search(80)
    assert parameter_importance(search) == parameter_importance(replace(search, trials=search.trials[::-1]))


def test_it_is_of_the_chosen_trials_family_or_of_the_one_that_is_asked_for() -> None:
    search = make_search(400, families=2)
    assert set(parameter_importance(search)) == set(SPACE)
    assert set(parameter_importance(search, "xgboost")) == {"eta", "max_depth"}


def test_the_metrics_direction_does_not_matter() -> None:
    less, more = (parameter_importance(make_search(120, greater=greater)) for greater in (False, True))
    assert less == pytest.approx(more)


def test_few_trials_say_nothing() -> None:
    search = make_search(60)
    finished = [trial for trial in search.trials if trial.state == "finished"]
    assert parameter_importance(replace(search, trials=tuple(finished[: FEWEST - 1]))) == {}
    assert parameter_importance(replace(search, trials=tuple(finished[:FEWEST]))) != {}


def test_a_search_in_which_nothing_varied_or_nothing_finished_says_nothing() -> None:
    same = tuple(Trial(n, "finished", {"a": 1}, 0.5 + n, (), 1.0) for n in range(20))
    assert parameter_importance(Search("log_loss", same, same[0], "", 1.0)) == {}
    assert parameter_importance(Search("log_loss", (), None, "", 1.0)) == {}


def test_equal_scores_say_nothing() -> None:
    random = np.random.default_rng(0)
    trials = tuple(Trial(n, "finished", {"a": float(random.random()), "b": "xyz"[n % 3]}, 0.5, (), 1.0) for n in range(20))
    assert parameter_importance(Search("log_loss", trials, trials[0], "", 1.0)) == {}
