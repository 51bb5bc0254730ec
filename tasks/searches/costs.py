"""What a search costs, as far as it can be told beforehand, and whether it is allowed to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tasks.errors import ConfigError
from tasks.searches.methods import AUTO, METHODS, find_search
from tasks.settings import TuningSettings
from tasks.spaces import Space, combinations, grid_size, is_fixed
from tasks.wording import say_count

MOST = 10_000
"""Combinations of a grid without a limit of trials."""


def describe_grid(space: Space, points: int, folds: int) -> str:
    """`6 x 6 x 6 = 216 combinations, 648 fits on 3 folds`."""
    count = combinations(space, points)
    sizes = [grid_size(parameter, points) for parameter in space.values() if not is_fixed(parameter)]
    conditional = any(parameter.when for parameter in space.values())
    product = f"{' x '.join(map(str, sizes))} = " if len(sizes) > 1 and not conditional else ""
    return f"{product}{say_count(count, 'combination')}, {say_count(count * folds, 'fit')} on {say_count(folds, 'fold')}"


def say_limits(settings: TuningSettings, metric: str = "the metric") -> tuple[str, ...]:
    """Every limit that is set, in words, such as `50 trials` and `10 minutes`: what ends a search, then what ends one trial."""
    words: dict[str, Callable[[Any], str]] = {
        "trials": lambda count: say_count(count, "trial"),
        "minutes": _minutes,
        "failed_trials": lambda count: say_count(count, "failed trial"),
        "no_progress_trials": lambda count: f"{say_count(count, 'trial')} without progress",
        "no_progress_minutes": lambda minutes: f"{_minutes(minutes)} without progress",
        "target": lambda value: f"{metric} reaching {value:g}",
        "convergence": lambda share: f"the best trials lying within {share:.2%} of each other",
        "trial_minutes": lambda minutes: f"{_minutes(minutes)} for one trial",
        "trial_memory": lambda size: f"{size:g} GB for one trial",
    }
    return tuple(say(getattr(settings, name)) for name, say in words.items() if getattr(settings, name) is not None)


def search_faults(settings: TuningSettings, space: Space, folds: int) -> Iterator[str]:
    """What cannot be searched so, each fault beginning with its key."""
    try:
        method = find_search(settings, space, folds)
    except ConfigError as error:
        yield str(error)
        return
    if settings.search != AUTO and all(map(is_fixed, space.values())):
        advice = "leave search out, or say tuning.when: never"
        yield f"tuning.search: {settings.search} has nothing to search, every parameter is fixed; {advice}"
    if METHODS[method.name].pruner and settings.reproducible:
        yield f"tuning.search: {method.name} has trials compete as they run, which nobody can repeat; leave reproducible out"
    if METHODS[method.name].pruner and settings.prune != AUTO:
        yield f"tuning.prune: {method.name} prunes by its own rule; leave prune out"
    if method.points is None:
        yield from _endless(settings, space)
    elif combinations(space, method.points) > (most := settings.trials or MOST):
        limit = f"tuning.trials is {most:,}" if settings.trials else f"without tuning.trials the limit is {most:,}"
        cost = describe_grid(space, method.points, folds)
        yield f"tuning.search: a grid of {cost}, is too large: {limit}; lower tuning.grid_points, give steps or choices, or search with tpe"


def _endless(settings: TuningSettings, space: Space) -> Iterator[str]:
    limits = (settings.trials, settings.minutes, settings.no_progress_trials, settings.no_progress_minutes)
    if all(limit is None for limit in limits) and not all(map(is_fixed, space.values())):
        yield "tuning: give trials, minutes or both; a search without a limit never ends"


def _minutes(minutes: float) -> str:
    return f"{minutes:g} minute" + ("" if minutes == 1 else "s")
