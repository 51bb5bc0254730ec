"""What settings are made of: their base class, durations, and the words that several of them share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def parse_duration(value: object) -> object:
    """`"90m"` -> timedelta; a timedelta goes through unchanged, a bare number has no unit and is refused."""
    if isinstance(value, timedelta):
        return value
    match = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a duration is a number and one of s, m, h, d, w, such as 12h or 30d; got {value!r}")
    try:
        return timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise ValueError(f"a duration may be at most {timedelta.max.days:,} days; got {value!r}") from None


def format_duration(value: timedelta) -> str:
    """The shortest whole-number text that `parse_duration` reads back as the same length."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def refuse_bool(value: object) -> object:
    """`trials: true` is a slip, not the number 1."""
    if isinstance(value, bool):
        raise ValueError(f"a number is wanted, got {value}")
    return value


def split_words(value: object) -> object:
    """`"weekday hour"` -> ("weekday", "hour"): a list that one choice of a search can name."""
    return tuple(value.split()) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhdw]$", "examples": ["12h", "30d"]}),
]


Fraction = Annotated[float, Field(gt=0, lt=1)]


Task = Literal["binary", "multiclass", "regression", "ranking"]


ColumnKind = Literal["number", "category", "date", "ignore"]


Severity = Literal["critical", "warning", "info"]
Policy = Literal["stop", "drop", "forbid", "warn"]


Scalar = bool | int | float | str


class Settings(pydantic.BaseModel):
    """Base of all settings: frozen, unknown keys refused, a field's docstring is its description in the JSON Schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False)

    def changed(self, **fields: object) -> Any:
        """A copy with some fields replaced, validated again."""
        return type(self).model_validate({**dict(self), **fields})
