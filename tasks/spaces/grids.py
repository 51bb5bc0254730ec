"""Grids: every combination of a few values of each parameter. Parameters that are not active do not multiply."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from tasks.records import Hyperparameters
from tasks.settings import Scalar
from tasks.spaces.conditions import ordered
from tasks.spaces.parameters import Categorical, Float, Int, Parameter, Space, is_active
from tasks.spaces.proposals import external_value


def combinations(space: Space, points: int) -> int:
    """How many settings a grid over the space has, `points` values to a range without steps."""
    mentioned: dict[str, set[Scalar]] = {}
    for parameter in space.values():
        for other, values in parameter.when.items():
            mentioned.setdefault(other, set()).update(values)
    return _count(list(ordered(space).items()), mentioned, {}, points)


def grid(space: Space, points: int) -> dict[str, list[Scalar]]:
    """Every parameter's values on the grid."""
    return {name: grid_values(parameter, points) for name, parameter in space.items()}


def walk(space: Space, points: int, seed: int) -> Iterator[Hyperparameters]:
    """Every setting of the grid once, in an order that the seed shuffles: a search cut short has still been everywhere."""
    settings = list(_settings(list(ordered(space).items()), grid(space, points), {}))
    Random(seed).shuffle(settings)  # noqa: S311 - an order, not a secret
    yield from settings


def grid_values(parameter: Parameter, points: int) -> list[Scalar]:
    """All values of choices, steps and short ranges of whole numbers; else `points` values, evenly spread on the parameter's scale."""
    if isinstance(parameter, Categorical):
        return list(parameter.choices)
    size = grid_size(parameter, points)
    if takes_every_value(parameter, points):
        return [_stepped(parameter, place) for place in range(size)]
    shares = [place / (points - 1) for place in range(points)]
    spread = {external_value(parameter, _rounded(parameter, _at(parameter, share))) for share in shares}
    return sorted(spread, key=float)


def grid_size(parameter: Parameter, points: int) -> int:
    """How many values a parameter has on the grid."""
    if isinstance(parameter, Categorical) or parameter.step is not None:
        return parameter.size or 1
    if parameter.size is not None and parameter.size <= points:
        return parameter.size
    if isinstance(parameter, Int):  # on a logarithmic scale the small ones may round to the same number
        return len({_rounded(parameter, _at(parameter, place / (points - 1))) for place in range(points)})
    return points


def takes_every_value(parameter: Parameter, points: int) -> bool:
    """Whether the grid leaves none of the parameter's values out."""
    return parameter.size == grid_size(parameter, points)


def _count(parameters: list[tuple[str, Parameter]], mentioned: dict[str, set[Scalar]], chosen: Hyperparameters, points: int) -> int:
    """Branches only where another parameter looks at the value, and there once for all values that nobody names."""
    for place, (name, parameter) in enumerate(parameters):
        if not is_active(parameter, chosen):
            continue
        below = parameters[place + 1 :]
        size = grid_size(parameter, points)
        if name not in mentioned:
            return size * _count(below, mentioned, chosen, points)
        named = [value for value in mentioned[name] if _on_grid(parameter, value, points)]
        others = (size - len(named)) * _count(below, mentioned, chosen, points) if size > len(named) else 0
        return others + sum(_count(below, mentioned, {**chosen, name: value}, points) for value in named)
    return 1


def _settings(
    parameters: list[tuple[str, Parameter]], values: dict[str, list[Scalar]], chosen: Hyperparameters
) -> Iterator[Hyperparameters]:
    for place, (name, parameter) in enumerate(parameters):
        if is_active(parameter, chosen):
            for value in values[name]:
                yield from _settings(parameters[place + 1 :], values, {**chosen, name: value})
            return
    yield chosen


def _on_grid(parameter: Parameter, value: Scalar, points: int) -> bool:
    if not isinstance(parameter, Categorical) and takes_every_value(parameter, points):
        number = float(value)
        return parameter.low <= number <= parameter.high and math.isclose(parameter.on_step(number), number, abs_tol=1e-9)
    return value in grid_values(parameter, points)


def _stepped(parameter: Int | Float, place: int) -> Scalar:
    if isinstance(parameter, Int):
        return parameter.low + place * (parameter.step or 1)
    value = parameter.low + place * (parameter.step or 0.0)
    return min(float(f"{value:.12g}"), parameter.high)


def _at(parameter: Int | Float, share: float) -> float:
    """The value at a share of the way from low to high, as a study holds it."""
    if parameter.log or parameter.reverse_log:
        return float(parameter.low * (parameter.high / parameter.low) ** share)
    return float(parameter.low + (parameter.high - parameter.low) * share)


def _rounded(parameter: Int | Float, value: float) -> Scalar:
    value = min(max(float(f"{value:.6g}"), parameter.low), parameter.high)
    return round(value) if isinstance(parameter, Int) else value
