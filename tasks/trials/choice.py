"""The choice: the best trial is not the luckiest one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.errors import TrainingFailed
from tasks.metrics import Metric
from tasks.records import Trial
from tasks.trials.noise import Difference, paired_difference


@dataclass(frozen=True)
class Choice:
    """`best` has the best mean, `chosen` is the one to train, `why` is the sentence for the report."""

    chosen: Trial
    best: Trial
    finalists: tuple[Trial, ...]
    why: str


def choose(
    trials: Sequence[Trial], rows: Sequence[NDArray[np.int64]], metric: Metric, rule: Literal["one_se", "best"], finalists: int
) -> Choice:
    """Choose among the finished trials; each fold counts the same, ties go to the earlier trial.

    one_se: the cheapest of those whose loss is above the best one's by at most one standard error of the paired
    difference (after Breiman et al., Classification and Regression Trees, 1984, section 3.4.3, who took the unpaired one).
    Cheap is what answers with the smallest model, or the fewest rounds where sizes are not known. `rows` as for
    `paired_difference`; `finalists` is how many of the best, of different settings, are kept.
    Raises TrainingFailed when no trial finished.
    """
    finished = sorted((trial for trial in trials if trial.state == "finished"), key=lambda trial: (_loss(trial, metric), trial.number))
    if not finished:
        last = f"; the last one: {trials[-1].error or trials[-1].state}" if trials else ""
        raise TrainingFailed(f"tuning: none of {len(trials)} trials finished{last}")
    best = finished[0]
    kept = _distinct(finished)[:finalists]
    if rule == "best":
        return Choice(best, best, kept, f"trial {best.number}: the best mean over folds ({_figure(best)})")
    differences = {trial.number: paired_difference(trial.scores, best.scores, rows, metric) for trial in finished[1:]}
    equals = [trial for trial in finished[1:] if differences[trial.number].mean <= differences[trial.number].standard_error]
    chosen = _cheapest(best, equals)
    why = _praise(best, equals, list(differences.values())) if chosen is best else _compare(chosen, best, differences[chosen.number])
    return Choice(chosen, best, kept, why)


def _loss(trial: Trial, metric: Metric) -> float:
    assert trial.value is not None  # a finished trial's
    return metric.loss(trial.value)


def _distinct(finished: Sequence[Trial]) -> tuple[Trial, ...]:
    """The first trial of each setting."""
    first: dict[tuple[object, ...], Trial] = {}
    for trial in finished:
        first.setdefault((trial.family, *sorted((trial.choices or trial.hyperparameters).items())), trial)
    return tuple(first.values())


def _cheapest(best: Trial, equals: Sequence[Trial]) -> Trial:
    """By the measure that the best one has; a trial without it cannot be said to be cheaper."""
    price = _price(best)
    if price is None:
        return best
    priced = [(cost, trial.number, trial) for trial in (best, *equals) if (cost := price(trial)) is not None]
    cheapest = min(priced)
    return best if cheapest[0] == price(best) else cheapest[2]


def _price(best: Trial) -> Callable[[Trial], float | None] | None:
    if best.size is not None:
        return lambda trial: trial.size
    if _rounds(best) is not None:
        return lambda trial: _rounds(trial) if trial.family == best.family else None
    return None


def _rounds(trial: Trial) -> float | None:
    """Mean rounds over its folds; None where a fold has none."""
    rounds = [score.rounds for score in trial.scores]
    return statistics.fmean(known) if (known := [count for count in rounds if count is not None]) and len(known) == len(rounds) else None


def _praise(best: Trial, equals: Sequence[Trial], differences: Sequence[Difference]) -> str:
    text = f"trial {best.number}: the best mean over folds ({_figure(best)})"
    if not differences:
        return f"{text}, and the only one that finished"
    if any(math.isnan(difference.standard_error) for difference in differences):
        return f"{text}; the scored rows are too few to say how sure that is"
    if not equals:
        return f"{text}, ahead of every other by more than one standard error"
    others = "one other that cannot be told from it is" if len(equals) == 1 else f"{len(equals)} others that cannot be told from it are"
    return f"{text}; {others} no cheaper"


def _compare(chosen: Trial, best: Trial, difference: Difference) -> str:
    digits = _digits(difference.standard_error)
    figures = f"{chosen.value:.{digits}f} against {best.value:.{digits}f}, standard error {difference.standard_error:.{digits}f}"
    return f"trial {chosen.number}: cannot be told from trial {best.number} ({figures}) and {_cheaper(chosen, best)}"


def _cheaper(chosen: Trial, best: Trial) -> str:
    if chosen.size is not None and best.size is not None:
        return f"is the smaller model (size {chosen.size:,.0f} against {best.size:,.0f})"
    return f"takes fewer rounds ({_rounds(chosen):,.0f} against {_rounds(best):,.0f})"


def _figure(trial: Trial) -> str:
    return f"{trial.value:.4f}"


def _digits(standard_error: float) -> int:
    """Decimals that show the standard error's first digit; four at least, as everywhere a score is told."""
    return 4 if not standard_error > 0 else min(12, max(4, math.ceil(-math.log10(standard_error))))
