"""Which parameters mattered: Optuna's conditional PED-ANOVA over a study rebuilt in memory from the trials.

It asks how far the values of the best fifth of the trials differ from the values of all of them. It draws nothing at
random, knows conditional parameters, and takes hundredths of a second where functional ANOVA takes ten for 500 trials.
"""

from __future__ import annotations

import math
from typing import Any

from tasks.records import Search, Trial
from tasks.reports.dimensions import Dimension, find_dimensions, loss, ranked, settings_of, shown

FEWEST = 8
"""Fewer finished trials than this say nothing."""
TOP, TOP_TRIALS = 0.2, 5
"""The best fifth of the trials, but at least five: fewer make the answer jump (Optuna's own advice)."""


def parameter_importance(search: Search, family: str | None = None) -> dict[str, float]:
    """Parameter -> share of the whole importance, the largest first, over the trials of one family (the chosen trial's).

    Empty with fewer than 8 finished trials, or when nothing varied.
    """
    trial = shown(search)
    family = family if family is not None else trial.family if trial else ""
    trials = [trial for trial in ranked(search) if trial.family == family]
    dimensions = find_dimensions(search, trials)
    share = min(0.5, max(TOP, TOP_TRIALS / max(len(trials), 1)))
    if len(trials) < FEWEST or not dimensions or loss(search, trials[math.ceil(share * len(trials))]) >= loss(search, trials[-1]):
        return {}  # too few, or too many of them as good as the best
    found = _evaluate(search, trials, dimensions, share)
    total = sum(found.values())
    if not total > 0:
        return {}
    return {name: share / total for name, share in sorted(found.items(), key=lambda item: -item[1])}


def _evaluate(search: Search, trials: list[Trial], dimensions: dict[str, Dimension], share: float) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    study.add_trials([_frozen(search, trial, dimensions) for trial in sorted(trials, key=lambda trial: trial.number)])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    return {name: float(share) for name, share in evaluator.evaluate(study).items()}


def _frozen(search: Search, trial: Trial, dimensions: dict[str, Dimension]) -> Any:
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    values: dict[str, Any] = {}
    for name, value in settings_of(trial).items():
        dimension = dimensions.get(name)
        if dimension is not None and math.isfinite(place := dimension.place(value)):
            values[name] = value if dimension.choices else min(max(place, 0.0), 1.0)
    scale = FloatDistribution(0.0, 1.0)  # places on the search's own scale, whatever that is
    choices = {name: dimensions[name].choices for name in values}
    distributions: dict[str, Any] = {name: CategoricalDistribution(given) if given else scale for name, given in choices.items()}
    return optuna.trial.create_trial(params=values, distributions=distributions, value=loss(search, trial))
