"""What one parameter of a search may be: a range of numbers or a list of choices, as written in the YAML."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tasks.records import Hyperparameters
from tasks.settings import Scalar, Settings
from tasks.spaces.short_forms import EXAMPLES, widen

Values = Annotated[tuple[Scalar, ...], BeforeValidator(lambda given: (given,) if isinstance(given, Scalar) else given)]


class _WhenSchema:
    """One value may stand without its list."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [*several["items"]["anyOf"], several]}


When = dict[str, Annotated[Values, _WhenSchema()]]


class _Range(Settings):
    low: float
    high: float
    log: bool = False
    """Search on a logarithmic scale: as often between 0.01 and 0.1 as between 0.1 and 1."""
    reverse_log: bool = False
    """Search low + high - value on a logarithmic scale: densest near high."""
    step: float | None = None
    """Search low, low + step, ... up to high only."""
    default: float | None = None
    """Where the first trial starts."""
    when: When = {}
    """Searched only while each of these other parameters has one of these values: {booster: [dart]}."""

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low {plain(self.low)} and high {plain(self.high)}")
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"the range must not be wider than numbers reach, got {plain(self.low)} to {plain(self.high)}")
        self._has_one_scale()
        if self.default is not None and not self.low <= self.default <= self.high:
            raise ValueError(f"default must lie between low {plain(self.low)} and high {plain(self.high)}, got {plain(self.default)}")
        if self.step is not None:
            self._has_whole_steps(self.step)
        return self

    def _has_one_scale(self) -> None:
        if self.log and self.reverse_log:
            raise ValueError("log and reverse_log exclude each other")
        if (self.log or self.reverse_log) and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs low above 0, got {plain(self.low)}")
        if (self.log or self.reverse_log) and self.step is not None:
            raise ValueError(f"steps need a linear scale; leave out log, or step {plain(self.step)}")

    def _has_whole_steps(self, step: float) -> None:
        if step <= 0:
            raise ValueError(f"step must be more than 0, got {plain(step)}")
        low, high, width = (Decimal(str(number)) for number in (self.low, self.high, step))  # as they were written: 0.3 is 3 x 0.1
        if over := (high - low) % width:
            hint = f"; the last one it reaches is {plain(float(high - over))}" if high - over > low else ""
            raise ValueError(f"step {plain(step)} must lead from low {plain(self.low)} to high {plain(self.high)}{hint}")
        if self.default is not None and not math.isclose(self.on_step(self.default), self.default, rel_tol=1e-9, abs_tol=1e-9 * step):
            raise ValueError(f"default must be low {plain(self.low)} and a number of steps of {plain(step)}, got {plain(self.default)}")

    def on_step(self, value: float) -> float:
        """The nearest value that the steps lead to; the value itself without steps."""
        return value if self.step is None else self.low + round((value - self.low) / self.step) * self.step

    @property
    def size(self) -> int | None:
        """How many values there are; None for a range of real numbers without steps."""
        return None if self.step is None else 1 + round((self.high - self.low) / self.step)


class Float(_Range):
    """A real number between low and high, both included."""

    type: Literal["float"] = "float"


class Int(_Range):
    """A whole number between low and high, both included."""

    type: Literal["int"] = "int"
    low: Annotated[int, Field(ge=-(2**53), le=2**53)]
    high: Annotated[int, Field(ge=-(2**53), le=2**53)]
    step: int | None = None
    """Search low, low + step, ... up to high only."""
    default: int | None = None
    """Where the first trial starts."""

    @property
    def size(self) -> int:
        return 1 + (self.high - self.low) // (self.step or 1)


class Categorical(Settings):
    """One of the choices; a single one is a fixed value."""

    type: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    default: Scalar | None = None
    """Where the first trial starts."""
    when: When = {}
    """Searched only while each of these other parameters has one of these values: {booster: [dart]}."""

    @model_validator(mode="after")
    def _choices_differ(self) -> Self:
        for place, choice in enumerate(self.choices):
            if choice in self.choices[:place]:
                other = self.choices[self.choices.index(choice)]
                raise ValueError(f"choices must differ, got {other!r} and {choice!r}")
        if self.default is not None and self.default not in self.choices:
            raise ValueError(f"default must be one of the choices, got {self.default!r}")
        return self

    @property
    def size(self) -> int:
        return len(self.choices)


class _ShortForms:
    """What editors are told: a mapping whose type may be left out, a list, a text or one value."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        members = handler(schema)["oneOf"]
        scalar = {"type": ["boolean", "number", "string"]}
        choices = {"type": "array", "items": scalar, "minItems": 1, "description": "Choices."}
        short = {**scalar, "description": "A range such as `7..255 log`, or one fixed value.", "examples": list(EXAMPLES)}
        return {"anyOf": [*members, choices, short]}


Parameter = Annotated[Float | Int | Categorical, Field(discriminator="type"), BeforeValidator(widen), _ShortForms()]
Space = dict[str, Parameter]


def defaults(space: Space) -> Hyperparameters:
    """The values the first trial starts from; parameters without a default are left to the sampler."""
    return {name: parameter.default for name, parameter in space.items() if parameter.default is not None}


def is_active(parameter: Parameter, chosen: Hyperparameters) -> bool:
    """Whether the parameters it hangs on were given values that call for it."""
    return all(other in chosen and chosen[other] in values for other, values in parameter.when.items())


def is_fixed(parameter: Parameter) -> bool:
    """Whether there is nothing to choose."""
    return isinstance(parameter, Categorical) and len(parameter.choices) == 1


def describe(parameter: Parameter) -> str:
    """`int 8..256, log, default 31, while booster is dart or goss` for people; up to `while` it can be pasted into a config."""
    if is_fixed(parameter):
        text = f"always {say_value(parameter.choices[0])}" if isinstance(parameter, Categorical) else ""
    elif isinstance(parameter, Categorical):
        text = "one of " + ", ".join(map(say_value, parameter.choices))
    else:
        text = f"{parameter.type} {plain(parameter.low)}..{plain(parameter.high)}" + _scale(parameter)
    if parameter.default is not None and not is_fixed(parameter):
        text += f", default {say_value(parameter.default)}"
    return text + (f", while {' and '.join(_conditions(parameter.when))}" if parameter.when else "")


def plain(number: float) -> str:
    """A number with all its digits and no more: `0.001`, `1e-07`, `1000000`."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(float(number))


def say_value(value: Scalar) -> str:
    """A value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else plain(value)


def _scale(parameter: Float | Int) -> str:
    if (parameter.step is not None and parameter.step != 1) or (parameter.step == 1 and parameter.type == "float"):
        return f", step {plain(parameter.step)}"
    return ", log" if parameter.log else ", reverse_log" if parameter.reverse_log else ""


def _conditions(when: dict[str, tuple[Scalar, ...]]) -> Iterable[str]:
    return (f"{other} is {' or '.join(map(say_value, values))}" for other, values in when.items())


def read_parameter(content: Any) -> Parameter:
    """A parameter in any form that a config may have it in. Raises pydantic's ValidationError."""
    return _Searched.model_validate({"parameter": content}).parameter


class _Searched(Settings):
    parameter: Parameter
