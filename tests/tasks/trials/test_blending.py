from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tasks.records import Floats, FoldScore, Trial
from tasks.trials.blending import mix

RANDOM = np.random.default_rng(0)
TRUTH = [RANDOM.normal(size=200) for _ in range(2)]


def trial(number: int, predictions: Sequence[Floats | None]) -> Trial:
    scores = tuple(FoldScore(fold, 1.0, 0.0, (), 100, prediction=prediction) for fold, prediction in enumerate(predictions))
    return Trial(number, "finished", {}, 0.5, (), 1.0, scores=scores)


def loss(predictions: Sequence[Floats]) -> float:
    """Mean squared error over the folds."""
    return float(np.mean([np.mean((truth - each) ** 2) for truth, each in zip(TRUTH, predictions, strict=True)]))


def noisy(number: int, noise: float) -> Trial:
    random = np.random.default_rng(number)
    return trial(number, [truth + noise * random.normal(size=200) for truth in TRUTH])


def test_trials_whose_errors_differ_are_better_together_and_the_loss_is_that_of_their_mean() -> None:
    trials = [noisy(number, 1.0) for number in range(4)]
    found = mix(trials[0], trials, loss, most=3)
    assert found.trials[0] is trials[0]
    assert len(found.trials) == 3
    means = [np.mean([each.scores[fold].prediction for each in found.trials], axis=0) for fold in range(2)]
    assert found.loss == pytest.approx(loss(means))
    assert found.loss < loss([score.prediction for score in trials[0].scores if score.prediction is not None]) / 2


def test_the_first_to_be_added_is_the_one_that_helps_most() -> None:
    chosen, others = noisy(0, 1.0), [noisy(1, 3.0), noisy(2, 0.5), noisy(3, 1.0)]
    assert mix(chosen, others, loss, most=2).trials == (chosen, others[1])


def test_a_trial_that_makes_the_mean_worse_is_left_out() -> None:
    chosen = noisy(0, 0.1)
    assert mix(chosen, [noisy(1, 50.0)], loss, most=5).trials == (chosen,)


def test_the_same_answers_twice_help_nobody() -> None:
    chosen = noisy(0, 1.0)
    twin = trial(1, [score.prediction for score in chosen.scores])
    assert mix(chosen, [twin], loss, most=5).trials == (chosen,)


def test_trials_whose_predictions_were_not_kept_are_no_candidates() -> None:
    chosen = noisy(0, 1.0)
    assert mix(chosen, [trial(1, [None, None]), trial(2, [TRUTH[0], None])], loss, most=5).trials == (chosen,)
    forgotten = trial(3, [None, None])
    assert mix(forgotten, [noisy(4, 0.1)], loss, most=5).trials == (forgotten,)
