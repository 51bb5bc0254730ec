"""Optuna's pruners by name: which trials are not worth going on with."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

LIKELY_WORSE = 0.1
"""racing ends a trial whose blocks would look so bad against the best trial's with at most this probability, were it as good."""
BLOCKS = 14
"""racing looks at a trial once it has so many blocks. Of fewer with ties among them, as accuracies of days have, SciPy tries all
signs: a second in which the search stands still."""
STARTUP = 5
"""median looks at trials once so many have finished."""


def racing() -> BasePruner:
    """Against the best trial, block by block (paired): Wilcoxon's signed-rank test."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.pruners import WilcoxonPruner

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # "the interface can change": this is the one place that uses it
        return WilcoxonPruner(p_threshold=LIKELY_WORSE, n_startup_steps=BLOCKS)


def median() -> BasePruner:
    """Against the median of all others at the same fold."""
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=STARTUP)


def none() -> BasePruner:
    from optuna.pruners import NopPruner

    return NopPruner()


def halving() -> BasePruner:
    """The best third goes on at 1, 3, 9, 27, ... ninths of a fold."""
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)


def hyperband(most: int) -> BasePruner:
    """Halving in brackets that begin to prune later and later; `most` is what a whole trial takes, in ninths of a fold."""
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(min_resource=1, max_resource=most, reduction_factor=3)


@dataclass(frozen=True)
class Pruning:
    """How a pruner is made, and whether it is told every block of a fold rather than the fold's mean."""

    make: Callable[..., BasePruner]
    by_block: bool = False


PRUNERS: dict[str, Pruning] = {
    "racing": Pruning(racing, by_block=True),
    "median": Pruning(median),
    "none": Pruning(none),
    "halving": Pruning(halving),
    "hyperband": Pruning(hyperband),
}
