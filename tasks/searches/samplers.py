"""Optuna's samplers, each made from a seed and the space."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from tasks.spaces import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

STARTUP = 8
"""Trials that count as known before a sampler begins to learn."""


def tpe(seed: int, space: Space) -> BaseSampler:
    """Multivariate, running trials counted as bad; by groups where not all parameters are always there."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # "the interface can change": this is the one place that uses it
        return TPESampler(
            seed=seed,
            n_startup_trials=STARTUP,
            multivariate=True,
            constant_liar=True,
            group=any(parameter.when for parameter in space.values()),
        )


def random(seed: int, space: Space) -> BaseSampler:
    """Each parameter by itself."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def quasi_random(seed: int, space: Space) -> BaseSampler:
    """Sobol numbers where all parameters are always there and numbers; at random what is not."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import QMCSampler, RandomSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(
            seed=seed,
            scramble=True,
            independent_sampler=RandomSampler(seed=seed),
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )


def cma_es(seed: int, space: Space) -> BaseSampler:
    """Over the numbers that are always there; choices and conditional parameters are drawn at random."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import CmaEsSampler, RandomSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return CmaEsSampler(
            seed=seed, n_startup_trials=STARTUP, independent_sampler=RandomSampler(seed=seed), warn_independent_sampling=False
        )


def gaussian_process(seed: int, space: Space) -> BaseSampler:
    """scikit-optimize's, which needs no torch."""
    from tasks.searches.gaussian import gaussian_sampler

    return gaussian_sampler(seed, space, STARTUP)
