"""Conditional parameters: which hang on which, and whether they can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasks.records import Hyperparameters
from tasks.settings import Scalar
from tasks.spaces.parameters import Categorical, Parameter, Space, plain, say_value
from tasks.wording import did_you_mean


def ordered(space: Space) -> Space:
    """The same space, parameters after those they hang on, else in the order given. Raises ValueError that names a cycle."""
    sorted_space: Space = {}
    left = dict(space)
    while left:
        ready = [name for name, parameter in left.items() if not any(other in left for other in parameter.when)]
        if not ready:
            raise ValueError(f"{' and '.join(_cycle(left))} hang on each other; leave one when out")
        sorted_space |= {name: left.pop(name) for name in ready}
    return sorted_space


def settle(space: Space, fixed: Hyperparameters) -> Space:
    """The space without what is fixed: conditions that a fixed value meets are left out, and so is what can never be active."""
    settled: Space = {}
    never: set[str] = set()
    for name, parameter in ordered(space).items():
        if name in fixed:
            continue
        open_conditions = {other: values for other, values in parameter.when.items() if other not in fixed}
        met = all(fixed[other] in values for other, values in parameter.when.items() if other in fixed)
        possible = all(other not in never and _can_be(settled.get(other), values) for other, values in open_conditions.items())
        if met and possible:
            settled[name] = parameter.changed(when=open_conditions)
        else:
            never.add(name)
    return {name: settled[name] for name in space if name in settled}


def check_conditions(space: Space, fixed: Hyperparameters, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(parameter, fault) for each of the parameters called `names` whose `when` can never be met, or names what is not there."""
    known = {**space, **{name: Categorical(choices=(value,)) for name, value in fixed.items()}}
    for name in names:
        for other, values in space[name].when.items():
            if other not in known:
                hint = did_you_mean(other, known)
                yield name, f"when: there is no parameter {other!r} here" + (f"; {hint}" if hint else "")
            else:
                yield from ((name, fault) for value in values if (fault := _impossible(other, known[other], value)))
            if not values:
                yield name, f"when.{other}: must have at least one value"
    if cycle := _cycle(space):
        yield cycle[0], f"when: {' and '.join(cycle)} hang on each other; leave one when out"


def _impossible(name: str, parameter: Parameter, value: Scalar) -> str:
    """Why a condition on that value makes no sense; empty when it does."""
    if isinstance(parameter, Categorical):
        return "" if value in parameter.choices else f"when.{name}: {name} is never {say_value(value)}; it is {_choices(parameter)}"
    if parameter.size is None:
        return f"when.{name}: {name} may be any real number between two; only choices, whole numbers and steps can be waited for"
    if _can_be(parameter, (value,)):
        return ""
    return f"when.{name}: {name} is never {say_value(value)}; it lies between {plain(parameter.low)} and {plain(parameter.high)}"


def _can_be(parameter: Parameter | None, values: tuple[Scalar, ...]) -> bool:
    if parameter is None:
        return True  # it belongs to another part of the space
    if isinstance(parameter, Categorical):
        return any(value in parameter.choices for value in values)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return any(parameter.low <= value <= parameter.high and abs(parameter.on_step(value) - value) < 1e-9 for value in numbers)


def _choices(parameter: Categorical) -> str:
    return (
        f"one of {', '.join(map(say_value, parameter.choices))}"
        if len(parameter.choices) > 1
        else f"always {say_value(parameter.choices[0])}"
    )


def _cycle(space: Space) -> list[str]:
    """The parameters of one cycle, in order of name; empty when there is none."""
    for start in space:
        path = [start]
        seen = {start}
        waiting = [(start, path)]
        while waiting:
            name, path = waiting.pop()
            for other in space[name].when:
                if other == start:
                    return sorted(path)
                if other in space and other not in seen:
                    seen.add(other)
                    waiting.append((other, [*path, other]))
    return []
