"""Search methods by name: one line each, an Optuna sampler."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.errors import ConfigError
from tasks.wording import did_you_mean

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def _tpe(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=8)


def _random(seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def _quasi_random(seed: int) -> BaseSampler:
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import QMCSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # "the interface can change": this is the one place that uses it
        return QMCSampler(seed=seed, scramble=True)


SEARCHES: dict[str, Callable[[int], BaseSampler]] = {"tpe": _tpe, "random": _random, "quasi_random": _quasi_random}


def find_search(name: str) -> Callable[[int], BaseSampler]:
    """What makes the sampler of that name from a seed; ConfigError that names the nearest one."""
    if name not in SEARCHES:
        hint = did_you_mean(name, SEARCHES) or f"there are {', '.join(SEARCHES)}"
        raise ConfigError(f"tuning.search: no search is called {name!r}; {hint}")
    return SEARCHES[name]
