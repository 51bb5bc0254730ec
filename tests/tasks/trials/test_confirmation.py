from __future__ import annotations

import numpy as np

from tasks.metrics import METRICS
from tasks.records import Floats, FoldScore, Trial
from tasks.trials.confirmation import confirm

LOSS, AUC = METRICS["log_loss"], METRICS["roc_auc"]
ROWS = [np.full(25, 40)] * 3


def trial(number: int, blocks: Floats) -> Trial:
    scores = tuple(FoldScore(fold, 1.0, float(days.mean()), tuple(days), 1000) for fold, days in enumerate(blocks))
    return Trial(number, "finished", {}, float(blocks.mean()), tuple(score.value for score in scores), 1.0, scores=scores)


def test_a_probe_that_has_nothing_to_find_is_sure_as_rarely_as_its_confidence_says() -> None:
    """Of eight trials without a true gain the best looks better on the folds that chose it, and on the newest one only by chance."""
    random = np.random.default_rng(0)
    looks_better, sure = [], []
    for _ in range(400):
        days = random.normal(0.45, 0.1, (3, 25))
        incumbent, *rivals = [trial(number, days + random.normal(0, 0.02, (3, 25))) for number in range(9)]
        found = confirm(rivals, incumbent, ROWS, LOSS)
        assert found is not None
        looks_better.append(found.gain_older > 0)
        sure.append(found.holds(0.9))
    assert np.mean(looks_better) > 0.8
    assert 0.05 < np.mean(sure) < 0.14


def test_a_true_gain_is_mostly_found() -> None:
    random = np.random.default_rng(1)
    sure = []
    for _ in range(200):
        days = random.normal(0.45, 0.1, (3, 25))
        incumbent, *rivals = [trial(number, days + random.normal(-0.02 * (number == 5), 0.02, (3, 25))) for number in range(9)]
        found = confirm(rivals, incumbent, ROWS, LOSS)
        assert found is not None
        sure.append(found.holds(0.9) and found.winner.number == 5)
    assert np.mean(sure) > 0.9


def test_more_is_better_where_the_metric_says_so() -> None:
    random = np.random.default_rng(2)
    days = random.normal(0.7, 0.02, (3, 25))
    found = confirm([trial(1, days - 0.05), trial(2, days + 0.05 + random.normal(0, 0.01, (3, 25)))], trial(0, days), ROWS, AUC)
    assert found is not None
    assert (found.winner.number, found.rivals) == (2, 2)
    assert found.gain_older > 0 > found.newest.mean
    assert found.holds(0.9)


def test_an_incumbent_alone_has_nothing_to_lose_to() -> None:
    only = trial(0, np.zeros((3, 25)))
    assert confirm([only], only, ROWS, LOSS) is None
