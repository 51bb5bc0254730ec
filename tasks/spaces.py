"""What a search may choose from: one parameter each, as written in the YAML under `model.space`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tasks.records import Hyperparameters
from tasks.settings import Scalar, Settings


class _Range(Settings):
    low: float
    high: float
    log: bool = False
    """Search on a logarithmic scale."""
    default: float | None = None
    """Where the first trial starts."""
    when: dict[str, tuple[Scalar, ...]] = {}
    """Searched only while each of these other parameters has one of these values: {booster: [dart]}."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low {self.low:g} and high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs low above 0, got {self.low:g}")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise ValueError(f"default must lie between low {self.low:g} and high {self.high:g}, got {self.default:g}")
        return self


class Float(_Range):
    """A real number between low and high, both included."""

    type: Literal["float"] = "float"


class Int(_Range):
    """A whole number between low and high, both included."""

    type: Literal["int"] = "int"
    low: int
    high: int
    default: int | None = None


class Categorical(Settings):
    """One of the choices."""

    type: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    default: Scalar | None = None
    """Where the first trial starts."""
    when: dict[str, tuple[Scalar, ...]] = {}
    """Searched only while each of these other parameters has one of these values: {booster: [dart]}."""

    @model_validator(mode="after")
    def _among_choices(self) -> Self:
        if self.default is not None and self.default not in self.choices:
            raise ValueError(f"default must be one of the choices, got {self.default!r}")
        return self


Parameter = Annotated[Float | Int | Categorical, Field(discriminator="type")]
Space = dict[str, Parameter]


def defaults(space: Space) -> Hyperparameters:
    """The values the first trial starts from; parameters without a default are left to the sampler."""
    return {name: parameter.default for name, parameter in space.items() if parameter.default is not None}


def describe(parameter: Parameter) -> str:
    """`int 8..256, log` for people."""
    if isinstance(parameter, Categorical):
        return "one of " + ", ".join(map(str, parameter.choices))
    return f"{parameter.type} {parameter.low:g}..{parameter.high:g}" + (", log" if parameter.log else "")


def suggest(trial: Any, space: Space) -> Hyperparameters:
    """Ask an Optuna trial for a value of every parameter that is active, in the space's order."""
    chosen: Hyperparameters = {}
    for name, parameter in space.items():
        if not all(chosen.get(other) in values for other, values in parameter.when.items()):
            continue
        if isinstance(parameter, Categorical):
            chosen[name] = trial.suggest_categorical(name, parameter.choices)
        elif parameter.type == "int":
            chosen[name] = trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        else:
            chosen[name] = trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return chosen


def internal(space: Space, values: Hyperparameters) -> Hyperparameters:
    """Values as a study holds them, for Optuna's enqueue_trial; what the space does not have is left out."""
    return {name: value for name, value in values.items() if name in space}


def combinations(space: Space, points: int) -> int:
    """How many settings a grid over the space has, `points` values to a range without steps."""
    raise NotImplementedError


def grid(space: Space, points: int) -> dict[str, list[Scalar]]:
    """Every parameter's values on the grid."""
    raise NotImplementedError


def broken(constraints: tuple[str, ...], values: Hyperparameters) -> str | None:
    """The first constraint that does not hold for these values; None when all do."""
    raise NotImplementedError


def fit_value(parameter: Parameter, value: Scalar) -> tuple[Scalar | None, str]:
    """An earlier retrain's value as one of today's parameter, and what had to be done to it: "", clipped, rounded, defaulted."""
    raise NotImplementedError
