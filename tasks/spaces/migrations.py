"""Values of an earlier retrain in today's space, which may have changed since."""

from __future__ import annotations

import math

from tasks.settings import Scalar
from tasks.spaces.parameters import Categorical, Int, Parameter


def fit_value(parameter: Parameter, value: Scalar) -> tuple[Scalar | None, str]:
    """An earlier retrain's value as one of today's parameter, and what had to be done to it: "", clipped, rounded, defaulted.

    None with `defaulted`: today's parameter has no such value, nor one near it.
    """
    if isinstance(parameter, Categorical):
        return _among(parameter.choices, value)
    number = _as_number(value)
    if number is None:
        return None, "defaulted"
    clipped = min(max(number, parameter.low), parameter.high)
    on_step = min(max(parameter.on_step(clipped), parameter.low), parameter.high)
    fitted = round(on_step) if isinstance(parameter, Int) else float(f"{on_step:.15g}")
    if clipped != number:
        return fitted, "clipped"
    return fitted, "" if math.isclose(fitted, number, rel_tol=1e-9) else "rounded"


def _among(choices: tuple[Scalar, ...], value: Scalar) -> tuple[Scalar | None, str]:
    """The choice itself, also where the value is the same number, or the same text, in another type."""
    same = [choice for choice in choices if choice == value and isinstance(choice, bool) == isinstance(value, bool)]
    alike = [choice for choice in choices if str(choice).lower() == str(value).lower()]
    number = _as_number(value)
    equal = [choice for choice in choices if number is not None and _as_number(choice) == number]
    found = [*same, *alike, *equal]
    return (found[0], "") if found else (None, "defaulted")


def _as_number(value: Scalar) -> float | None:
    """Numbers given as text count; true and false, and what is not finite, do not."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
