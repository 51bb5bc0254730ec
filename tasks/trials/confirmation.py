"""Confirmation: is the best of a few trials better than the incumbent, on rows that did not choose it?

The best of several is always partly luck, and the folds that chose it cannot tell how much. So all folds but the newest
choose, and the newest one, which is the most like what comes next, confirms.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.metrics import Metric
from tasks.records import FoldScore, Trial
from tasks.trials.noise import Difference, paired_difference


@dataclass(frozen=True)
class Confirmation:
    """The winner among the rivals, its mean gain on the folds that chose it, and its loss less the incumbent's on the newest one."""

    winner: Trial
    rivals: int
    gain_older: float
    newest: Difference

    def holds(self, confidence: float) -> bool:
        """Whether it is better on both, on the newest fold with at least this probability; never where noise is not known."""
        return self.gain_older > 0 and self.newest.probability_better >= confidence


def confirm(probe: Sequence[Trial], incumbent: Trial, rows: Sequence[NDArray[np.int64]], metric: Metric) -> Confirmation | None:
    """Compare the best finished trial of the probe with the incumbent, which has finished; None when it has no rival.

    At least two folds; `rows` as for `paired_difference`. Gains are in the metric's units, above 0 where the winner is better.
    """
    newest = max(score.fold for score in incumbent.scores)
    rivals = [trial for trial in probe if trial.state == "finished" and trial.number != incumbent.number]
    if not rivals:
        return None
    winner = min(rivals, key=lambda trial: (_older_loss(trial, newest, metric), trial.number))
    gain = _older_loss(incumbent, newest, metric) - _older_loss(winner, newest, metric)
    return Confirmation(winner, len(rivals), gain, paired_difference(_on(winner, newest), _on(incumbent, newest), rows, metric))


def _older_loss(trial: Trial, newest: int, metric: Metric) -> float:
    return statistics.fmean(metric.loss(score.value) for score in trial.scores if score.fold != newest)


def _on(trial: Trial, fold: int) -> tuple[FoldScore, ...]:
    return tuple(score for score in trial.scores if score.fold == fold)
