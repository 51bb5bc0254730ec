"""Blending: which of the finished trials answer better together than the chosen one does alone.

Greedy selection without replacement on out-of-fold predictions, after Caruana et al., Ensemble Selection from Libraries
of Models, ICML 2004.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.records import Floats, Trial

Loss = Callable[[Sequence[Floats]], float]
"""Out-of-fold predictions, one array a fold -> the mean loss over folds."""


@dataclass(frozen=True)
class Mixture:
    """The trials to average, the chosen one first, and their loss together."""

    trials: tuple[Trial, ...]
    loss: float


def mix(chosen: Trial, others: Sequence[Trial], loss: Loss, most: int) -> Mixture:
    """Add the trial that lowers the loss of the mean most, until none does or there are `most`.

    Trials whose predictions were not kept (those of an earlier process) are no candidates. Ties go to the earlier trial.
    """
    total = _predictions(chosen)
    best = Mixture((chosen,), loss(total) if total else float("nan"))
    pool = [trial for trial in sorted(others, key=lambda trial: trial.number) if trial.number != chosen.number and _predictions(trial)]
    while total and pool and len(best.trials) < most:
        count = len(best.trials) + 1
        losses = [loss([(own + more) / count for own, more in zip(total, _predictions(trial), strict=True)]) for trial in pool]
        place = int(np.argmin(losses))
        if losses[place] >= best.loss:
            break
        added = pool.pop(place)
        total = [own + more for own, more in zip(total, _predictions(added), strict=True)]
        best = Mixture((*best.trials, added), losses[place])
    return best


def _predictions(trial: Trial) -> list[Floats]:
    """A trial's out-of-fold predictions in the order of the folds; empty when one is missing."""
    kept = [score.prediction for score in sorted(trial.scores, key=lambda score: score.fold)]
    return (
        [np.asarray(prediction, dtype=np.float64) for prediction in kept if prediction is not None]
        if all(prediction is not None for prediction in kept)
        else []
    )
