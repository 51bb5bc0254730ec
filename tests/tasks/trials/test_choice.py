from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tasks.errors import TrainingFailed
from tasks.metrics import METRICS
from tasks.records import FoldScore, Trial
from tasks.trials.choice import Choice, choose
from tasks.trials.noise import paired_difference

LOSS, AUC = METRICS["log_loss"], METRICS["roc_auc"]
ROWS = [np.full(20, 40)] * 3
DAY = np.random.default_rng(0).normal(0.45, 0.1, (3, 20))


def trial(number: int, value: float, noise: float = 0.0, size: float | None = None, rounds: int | None = None, **fields: Any) -> Trial:
    """Finished with exactly this value; `noise` is how much its days differ from everybody's, apart from that."""
    random = np.random.default_rng(number)
    own = random.normal(0, 1, (3, 20)) * noise
    blocks = DAY - DAY.mean() + own - own.mean() + value
    scores = tuple(FoldScore(fold, 1.0, float(days.mean()), tuple(days), 1000, rounds, size) for fold, days in enumerate(blocks))
    values = tuple(score.value for score in scores)
    given = {"family": "lightgbm", "choices": {"num_leaves": number}} | fields
    return Trial(number, "finished", {}, float(np.mean(values)), values, 1.0, scores=scores, **given)


def chosen(*trials: Trial, rule: Any = "one_se", finalists: int = 3, metric: Any = LOSS) -> Choice:
    return choose(trials, ROWS, metric, rule, finalists)


def test_of_trials_that_cannot_be_told_apart_the_smallest_is_chosen() -> None:
    best, equal, worse = trial(1, 0.4445, 0.01, 200), trial(2, 0.4447, 0.01, 90), trial(3, 0.4600, 0.01, 10)
    found = chosen(worse, best, equal)
    assert (found.best, found.chosen) == (best, equal)
    error = paired_difference(equal.scores, best.scores, ROWS, LOSS).standard_error
    assert found.why == (
        f"trial 2: cannot be told from trial 1 (0.4447 against 0.4445, standard error {error:.4f}) "
        "and is the smaller model (size 90 against 200)"
    )


def test_a_difference_that_is_the_same_every_day_is_no_noise_however_small() -> None:
    best, worse = trial(1, 0.4445, 0.0, 200), trial(2, 0.4447, 0.0, 90)
    found = chosen(best, worse)
    assert found.chosen == best
    assert found.why == "trial 1: the best mean over folds (0.4445), ahead of every other by more than one standard error"


def test_the_best_one_stays_when_nothing_like_it_is_cheaper() -> None:
    found = chosen(trial(1, 0.4445, 0.01, 50), trial(2, 0.4447, 0.01, 90), trial(3, 0.4446, 0.01, 50))
    assert found.chosen.number == 1
    assert found.why == "trial 1: the best mean over folds (0.4445); 2 others that cannot be told from it are no cheaper"


def test_among_equally_cheap_ones_the_first_is_chosen() -> None:
    assert chosen(trial(1, 0.4445, 0.01, 200), trial(5, 0.4446, 0.01, 90), trial(4, 0.4447, 0.01, 90)).chosen.number == 4


def test_rounds_tell_what_is_cheap_where_sizes_are_not_known() -> None:
    best, equal = trial(1, 0.4445, 0.01, rounds=300), trial(2, 0.4447, 0.01, rounds=120)
    found = chosen(best, equal)
    assert found.chosen == equal
    assert found.why.endswith("and takes fewer rounds (120 against 300)")
    other = trial(2, 0.4447, 0.01, rounds=120, family="xgboost")
    assert chosen(best, other).chosen == best, "another family's rounds are other rounds"


def test_without_any_measure_of_cost_the_best_one_stays() -> None:
    assert chosen(trial(1, 0.4445, 0.01), trial(2, 0.4447, 0.01)).chosen.number == 1


def test_the_rule_best_looks_at_nothing_else() -> None:
    found = chosen(trial(1, 0.4445, 0.01, 200), trial(2, 0.4447, 0.01, 90), rule="best")
    assert found.chosen == found.best
    assert found.why == "trial 1: the best mean over folds (0.4445)"


@pytest.mark.parametrize(("metric", "number"), [(LOSS, 1), (AUC, 2)])
def test_the_best_one_is_by_the_metrics_own_direction(metric: Any, number: int) -> None:
    found = chosen(trial(1, 0.70), trial(2, 0.80), rule="best", metric=metric)
    assert found.best.number == number
    assert [finalist.number for finalist in found.finalists] == [number, 3 - number]


def test_what_was_pruned_or_failed_is_never_chosen() -> None:
    lucky = replace(trial(1, 0.1, size=1), state="pruned", value=None)
    found = chosen(lucky, trial(2, 0.45, size=90), replace(lucky, number=3, state="failed"))
    assert found.chosen.number == 2
    assert [finalist.number for finalist in found.finalists] == [2]
    assert found.why == "trial 2: the best mean over folds (0.4500), and the only one that finished"


def test_finalists_are_the_best_of_different_settings() -> None:
    twice = {"choices": {"num_leaves": 31}}
    found = chosen(trial(4, 0.447, **twice), trial(1, 0.445, **twice), trial(2, 0.446), trial(3, 0.448), trial(5, 0.449), finalists=3)
    assert [finalist.number for finalist in found.finalists] == [1, 2, 3]


def test_ties_in_the_mean_go_to_the_earlier_trial() -> None:
    twin = trial(1, 0.45)
    assert chosen(replace(twin, number=7), replace(twin, number=3)).best.number == 3


def test_too_few_blocks_to_judge_noise_leave_the_best_one() -> None:
    one = [
        replace(t, scores=tuple(replace(s, blocks=(s.value,)) for s in t.scores)) for t in (trial(1, 0.44, 0, 200), trial(2, 0.45, 0, 9))
    ]
    found = choose(one, [np.ones(1, dtype=np.int64)] * 3, LOSS, "one_se", 3)
    assert found.chosen.number == 1
    assert found.why == "trial 1: the best mean over folds (0.4400); the scored rows are too few to say how sure that is"


def test_a_search_without_a_finished_trial_has_no_choice() -> None:
    failed = replace(trial(1, 0.4), state="failed", value=None, error="ValueError: no")
    with pytest.raises(TrainingFailed, match=r"tuning: none of 1 trials finished; the last one: ValueError: no"):
        chosen(failed)
