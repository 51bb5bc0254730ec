"""Between a space and an Optuna study: what is asked of a trial, and how values look inside the study.

Optuna has no scale that is dense near `high`: such a parameter is searched as low + high - value on a logarithmic scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.records import Hyperparameters
from tasks.settings import Scalar
from tasks.spaces.conditions import ordered
from tasks.spaces.parameters import Categorical, Int, Parameter, Space, is_active

if TYPE_CHECKING:
    from random import Random

    from optuna.distributions import BaseDistribution

DIGITS = 12
"""Significant digits of a reflected value, so that a value that goes in comes out as it was."""


def suggest(trial: Any, space: Space) -> Hyperparameters:
    """Ask an Optuna trial for a value of every parameter that is active, parents before those that hang on them."""
    chosen: Hyperparameters = {}
    for name, parameter in ordered(space).items():
        if is_active(parameter, chosen):
            chosen[name] = external_value(parameter, _ask(trial, name, parameter))
    return chosen


def internal(space: Space, values: Hyperparameters) -> Hyperparameters:
    """Values as a study holds them, for Optuna's enqueue_trial; what the space does not have is left out."""
    return {name: internal_value(space[name], value) for name, value in values.items() if name in space}


def external(space: Space, values: Hyperparameters) -> Hyperparameters:
    """A study's values, such as `trial.params`, as the library reads them; what the space does not have is left out."""
    return {name: external_value(space[name], value) for name, value in values.items() if name in space}


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Every parameter, active or not, as Optuna has it."""
    return {name: distribution(parameter) for name, parameter in ordered(space).items()}


def distribution(parameter: Parameter) -> BaseDistribution:
    """One parameter as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    log = parameter.log or parameter.reverse_log
    if isinstance(parameter, Int):
        return IntDistribution(parameter.low, parameter.high, log=log, step=parameter.step or 1)
    return FloatDistribution(parameter.low, parameter.high, log=log, step=parameter.step)


def internal_value(parameter: Parameter, value: Scalar) -> Scalar:
    """A value as a study holds it."""
    if isinstance(parameter, Categorical) or not parameter.reverse_log:
        return value
    return _within(parameter, parameter.low + parameter.high - float(value))


def external_value(parameter: Parameter, value: Scalar) -> Scalar:
    """A study's value as the library reads it."""
    if isinstance(parameter, Categorical) or not (parameter.reverse_log or parameter.step):
        return value
    if isinstance(parameter, Int):
        return _within(parameter, parameter.low + parameter.high - float(value)) if parameter.reverse_log else value
    reflected = parameter.low + parameter.high - float(value) if parameter.reverse_log else float(value)
    return _within(parameter, float(f"{reflected:.{DIGITS}g}"))


def draw(space: Space, random: Random) -> Hyperparameters:
    """Values drawn at random, each parameter evenly over its range: quick, for trying a space out."""
    chosen: Hyperparameters = {}
    for name, parameter in ordered(space).items():
        if is_active(parameter, chosen):
            chosen[name] = _drawn(parameter, random)
    return chosen


def _ask(trial: Any, name: str, parameter: Parameter) -> Any:
    if isinstance(parameter, Categorical):
        return trial.suggest_categorical(name, parameter.choices)
    log = parameter.log or parameter.reverse_log
    if isinstance(parameter, Int):
        return trial.suggest_int(name, parameter.low, parameter.high, step=parameter.step or 1, log=log)
    return trial.suggest_float(name, parameter.low, parameter.high, step=parameter.step, log=log)


def _drawn(parameter: Parameter, random: Random) -> Scalar:
    if isinstance(parameter, Categorical):
        return random.choice(parameter.choices)
    if isinstance(parameter, Int):
        if parameter.step is None and (parameter.log or parameter.reverse_log):
            return external_value(parameter, min(parameter.high, int(_log_drawn(parameter, random))))
        return random.randrange(parameter.low, parameter.high + 1, parameter.step or 1)
    if parameter.log or parameter.reverse_log:
        return external_value(parameter, _log_drawn(parameter, random))
    return external_value(parameter, parameter.on_step(random.uniform(parameter.low, parameter.high)))


def _log_drawn(parameter: Any, random: Random) -> float:
    return float(parameter.low * (parameter.high / parameter.low) ** random.random())


def _within(parameter: Any, value: float) -> Scalar:
    """Not a hair beyond the range, whole where it has to be."""
    value = min(max(value, parameter.low), parameter.high)
    return round(value) if isinstance(parameter, Int) else value
