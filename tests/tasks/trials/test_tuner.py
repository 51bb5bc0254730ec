"""A search that is interrupted, gone on with, remembered, and blended."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tasks.models.blend import Blend
from tasks.models.lightgbm import LightGBM
from tasks.records import Remembered, Trial
from tasks.spaces import Float, Int, Space
from tasks.training import train_model
from tests.engine import QUICK, Searching

SPACE: Space = {"num_leaves": Int(low=4, high=60, default=31), "learning_rate": Float(low=0.02, high=0.3, default=0.1)}
THEN = datetime(2024, 3, 1, tzinfo=UTC)
NARROW = QUICK.changed(
    hyperparameters={name: parameter.default for name, parameter in QUICK.default_space("binary").items() if name not in SPACE}, space=SPACE
)


def test_what_ran_when_a_search_was_killed_is_run_again_and_no_number_is_given_twice(search: Searching) -> None:
    """The store knows trials 0, 2 and 4; 1 and 3 were under way."""
    tuner = search.tuner(NARROW, trials=5, prune="none")
    add = tuner._writer._sinks["the study store"]
    tuner._writer._sinks["the study store"] = lambda told: None if told.trial.number in (1, 3) else add(told)
    tuner.search()
    tuner.close()
    _, found = search(NARROW, trials=8, prune="none")
    assert sorted(trial.number for trial in found.trials) == [0, 2, 4, 5, 6, 7, 8, 9]
    assert found.resumed == 3
    origins = {trial.origin for trial in search.recorded}
    assert "portfolio" in origins  # the starts that were lost are tried again


def test_what_an_earlier_process_found_counts_towards_the_best_and_is_not_timed_again(search: Searching) -> None:
    _, first = search(NARROW, trials=6, prune="none")
    _, found = search(NARROW, trials=7, prune="none")
    assert found.best is not None
    assert found.best.value == min(trial.value for trial in (*first.trials, *search.recorded) if trial.value is not None)
    (new,) = search.recorded
    assert found.fit_seconds == pytest.approx(sum(score.fit_seconds for score in new.scores))


def test_what_failed_may_work_now(search: Searching) -> None:
    def keep(trial: Trial) -> None:
        search.recorded.append(trial)

    wrong = NARROW.changed(hyperparameters={**NARROW.hyperparameters, "objective": "no_such_objective"})
    with pytest.raises(Exception, match="none of 2 trials finished"):
        search(wrong, trials=2, record=keep)
    _, found = search(NARROW, trials=2, prune="none")
    assert found.counts == {"finished": 2, "pruned": 0, "failed": 0}
    assert found.resumed == 0


def test_remembered_settings_come_first_in_todays_space_and_with_their_origin(search: Searching) -> None:
    known = [
        Remembered("lightgbm", {"num_leaves": 17, "learning_rate": 0.2}, "champion v3", THEN),
        Remembered("lightgbm", {"num_leaves": 500, "learning_rate": 0.05}, "retrain of 2024-03-01", THEN),
    ]
    _, found = search(NARROW, trials=4, prune="none", remembered=known)
    by_number = {trial.number: trial for trial in found.trials}
    assert [by_number[k].origin for k in range(3)] == ["champion v3", "retrain of 2024-03-01", "defaults"]
    assert by_number[0].choices == {"num_leaves": 17, "learning_rate": 0.2}
    assert by_number[1].choices == {"num_leaves": 60, "learning_rate": 0.05}
    assert any("num_leaves 500 clipped to 60" in note for note in found.memory)


def test_a_search_may_be_called_twice_and_is_one_search(search: Searching) -> None:
    tuner = search.tuner(NARROW, trials=9, prune="none")
    tuner.search(most=4)
    assert len(tuner.trials) == 4
    tuner.search()
    tuner.close()
    recipe, found = tuner.finish(lambda: tuner.candidates.base)
    assert sorted(trial.number for trial in found.trials) == list(range(9))
    assert found.stopped_by == "9 trials"
    assert recipe != tuner.candidates.base


def test_trials_that_answer_better_together_become_a_blend(search: Searching) -> None:
    whole = LightGBM(max_rounds=300, early_stopping_rounds=10)
    recipe, found = search(whole, trials=12, prune="none", average=3)
    blend = recipe.model
    assert isinstance(blend, Blend)
    assert found.chosen is not None
    assert blend.members[0].hyperparameters == found.chosen.hyperparameters
    assert "since together they answer better" in found.choice
    assert all(score.prediction is None for trial in found.trials for score in trial.scores)
    table, split = search.table, search.split
    from tasks.features import build_features
    from tasks.metrics import METRICS
    from tasks.models.model import Fitting

    fitting = Fitting(table.columns.target, METRICS["log_loss"], 0, 1)
    features = build_features.plain(table.columns, recipe.features, blend.reads)
    together = train_model(table, split.train, features, blend, fitting).predict(table.frame.iloc[split.test])
    alone = [train_model(table, split.train, features, member, fitting).predict(table.frame.iloc[split.test]) for member in blend.members]
    np.testing.assert_allclose(together, np.mean(alone, axis=0))


def test_one_alone_is_trained_unless_an_average_is_asked_for(search: Searching) -> None:
    recipe, found = search(NARROW, trials=6, prune="none")
    assert recipe.model.identity == "lightgbm"
    assert "together" not in found.choice
