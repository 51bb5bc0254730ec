"""Search methods by name: one line each in METHODS. `auto` chooses among them from the space and the limits, and says why."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tasks.errors import ConfigError
from tasks.searches import samplers
from tasks.searches.pruners import PRUNERS
from tasks.settings import TuningSettings
from tasks.spaces import Float, Space, combinations, is_fixed
from tasks.spaces.grids import takes_every_value
from tasks.wording import did_you_mean, say_count

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

FEW = 12
"""With so few trials nothing can be learned from the first ones: an even spread is best."""
GAUSSIAN = 60
"""A Gaussian process finds more in so many trials; its own time, about a second a proposal, grows with every trial."""
SMALL = 100
"""A finite space of so many settings is walked through even without a limit of trials."""
AUTO = "auto"
GP_INSTALL = 'pip install "scikit-optimize>=0.10.2,<0.11"'


@dataclass(frozen=True)
class Kind:
    """What a name stands for. `rungs` are shares of the newest training rows that the first fold is fitted on before all of it."""

    words: str
    sampler: Callable[[int, Space], BaseSampler]
    pruner: str = ""
    """The pruner that is part of the method; empty where tuning.prune says which."""
    rungs: tuple[float, ...] = ()
    walks: bool = False
    """Whether it goes through the points of a grid."""


METHODS: dict[str, Kind] = {
    "tpe": Kind("tree-structured Parzen estimators", samplers.tpe),
    "gp": Kind("a Gaussian process", samplers.gaussian_process),
    "cma_es": Kind("CMA-ES", samplers.cma_es),
    "random": Kind("random draws", samplers.random),
    "quasi_random": Kind("an even spread (scrambled Sobol numbers)", samplers.quasi_random),
    "grid": Kind("every combination of a grid", samplers.random, walks=True),
    "hyperband": Kind("tree-structured Parzen estimators with Hyperband", samplers.tpe, "hyperband", (1 / 9, 1 / 3)),
    "halving": Kind("tree-structured Parzen estimators with successive halving", samplers.tpe, "halving", (1 / 9, 1 / 3)),
}


@dataclass(frozen=True)
class Method:
    """A search method made ready for one space. `words` say what it is and, where `auto` chose it, why."""

    name: str
    words: str
    sampler: Callable[[int], BaseSampler] = field(repr=False)
    """From a seed."""
    pruner: Callable[[], BasePruner] = field(repr=False)
    rungs: tuple[float, ...] = ()
    """Shares of the newest training rows that the first fold is fitted on before all folds are, each in full."""
    resources: tuple[int, ...] = ()
    """What the pruner counts, one for each score of a trial (rungs, then folds), in ninths of a fold; empty where it counts scores."""
    by_block: bool = False
    """Whether the pruner is told every block of a fold rather than the fold's mean."""
    points: int | None = None
    """Of a grid: values of a range without steps. The search then goes through `spaces.walk` and ends with it."""


def find_search(settings: TuningSettings, space: Space, folds: int) -> Method:
    """The method that the settings name, or that `auto` chooses for this space; `folds` is how many a whole trial is scored on.

    Raises ConfigError for a name nobody knows (it tells the nearest), and where an extra is not installed.
    """
    name, why = (settings.search, "") if settings.search != AUTO else choose_method(settings, space)
    kind = _find_kind(name)
    pruner = kind.pruner or ("racing" if settings.prune == AUTO else settings.prune)
    return Method(
        name,
        kind.words + (f", chosen because {why}" if why else ""),
        partial(_sample, kind, space),
        PRUNERS[pruner].make if kind.pruner != "hyperband" else partial(PRUNERS[pruner].make, 9 * folds),
        kind.rungs,
        (1, 3, *(9 * fold for fold in range(1, folds + 1))) if kind.rungs else (),
        PRUNERS[pruner].by_block,
        settings.grid_points if kind.walks else None,
    )


def choose_method(settings: TuningSettings, space: Space) -> tuple[str, str]:
    """What `auto` comes to: a name, and why, as the rest of a sentence that begins with `because`."""
    searched = [parameter for parameter in space.values() if not is_fixed(parameter)]
    trials = settings.trials
    if not searched:
        return "random", "there is nothing to choose"
    if all(takes_every_value(parameter, settings.grid_points) for parameter in searched):
        count = combinations(space, settings.grid_points)
        if count <= (SMALL if trials is None else trials):
            return "grid", f"the space has no more than {say_count(count, 'setting')}"
    if trials is not None and trials <= FEW:
        return "quasi_random", f"{say_count(trials, 'trial')} are too few to learn from"
    if trials is not None and trials <= GAUSSIAN and all(isinstance(each, Float) for each in searched) and gaussian_is_installed():
        return "gp", f"{trials} trials are few, and all parameters are real numbers"
    return "tpe", "it learns from every trial, of any kind of parameter, at no cost"


def gaussian_is_installed() -> bool:
    return importlib.util.find_spec("skopt") is not None


def _find_kind(name: str) -> Kind:
    if name not in METHODS:
        hint = did_you_mean(name, [AUTO, *METHODS]) or f"there are {', '.join([AUTO, *METHODS])}"
        raise ConfigError(f"tuning.search: no search is called {name!r}; {hint}")
    if name == "gp" and not gaussian_is_installed():
        raise ConfigError(f"tuning.search: gp needs scikit-optimize, which is not installed: {GP_INSTALL}")
    return METHODS[name]


def _sample(kind: Kind, space: Space, seed: int) -> BaseSampler:
    return kind.sampler(seed, space)
