"""What a search may choose from: one parameter each, as written in the YAML under `model.space`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.settings import Scalar, Settings


class _Range(Settings):
    low: float
    high: float
    log: bool = False
    """Search on a logarithmic scale."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low {self.low:g} and high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs low above 0, got {self.low:g}")
        return self


class Float(_Range):
    """A real number between low and high, both included."""

    type: Literal["float"] = "float"


class Int(_Range):
    """A whole number between low and high, both included."""

    type: Literal["int"] = "int"
    low: int
    high: int


class Categorical(Settings):
    """One of the choices."""

    type: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]


Parameter = Annotated[Float | Int | Categorical, Field(discriminator="type")]
Space = dict[str, Parameter]


def describe(parameter: Parameter) -> str:
    """`int 8..256, log` for people."""
    if isinstance(parameter, Categorical):
        return "one of " + ", ".join(map(str, parameter.choices))
    return f"{parameter.type} {parameter.low:g}..{parameter.high:g}" + (", log" if parameter.log else "")
