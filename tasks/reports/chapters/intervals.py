"""Intervals in words and as drawings: how much better or worse the challenger is than its rival, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.records import Interval
from tasks.reports.chapters.page import Span, Tone
from tasks.wording import say_number, say_share

EDGE = 0.04
"""Room left at either end of a drawing, as a share of it."""


@dataclass(frozen=True)
class Axis:
    """A line from `left` to `right` in the metric's units, worse to the right; intervals drawn on the same one can be compared."""

    left: float
    right: float

    @classmethod
    def around(cls, values: Iterable[float]) -> Axis:
        """Wide enough for these values and for no difference at all; what is not a number is left out."""
        finite = [0.0, *(value for value in values if math.isfinite(value))]
        room = EDGE * ((max(finite) - min(finite)) or 1.0)
        return cls(min(finite) - room, max(finite) + room)

    def place(self, value: float) -> float:
        return (min(max(value, self.left), self.right) - self.left) / (self.right - self.left)

    def draw(self, interval: Interval, margin: float | None = None) -> Span | None:
        """None where the rows say nothing of noise."""
        if not is_sure(interval):
            return None
        low, middle, high, zero = (self.place(value) for value in (interval.low, interval.difference, interval.high, 0.0))
        allowed = None if margin is None else self.place(margin)
        return Span(low, middle, high, zero, say_interval(interval), allowed, judge(interval, margin or 0.0))


def is_sure(interval: Interval) -> bool:
    """Whether the interval has ends."""
    return math.isfinite(interval.low) and math.isfinite(interval.high) and math.isfinite(interval.difference)


def judge(interval: Interval, margin: float = 0.0) -> Tone:
    """good when it is shown to be worse by no more than the margin, bad when it is shown to be worse by more, else plain."""
    return "good" if interval.high <= margin else "bad" if interval.low > margin else "plain"


def say_interval(interval: Interval) -> str:
    """`better by 0.0657, between 0.0367 and 0.0946 better (90 % confidence)`; a gate asks at one end, both ends together are less sure."""
    whole = f"{_side(interval.difference)} by {_size(interval.difference)}" if interval.difference else "no difference"
    if not is_sure(interval):
        return f"{whole}; these rows do not tell how much of it is noise"
    return f"{whole}, {say_reach(interval)} ({say_share(2 * interval.confidence - 1)} confidence)"


def say_reach(interval: Interval) -> str:
    """`between 0.49 better and 3.1 worse`; the smaller figure first when both ends are on one side."""
    ends = sorted((interval.low, interval.high), key=abs) if interval.low * interval.high > 0 else [interval.low, interval.high]
    sides = [_side(end) for end in ends]
    first = _size(ends[0]) if sides[0] == sides[1] else f"{_size(ends[0])} {sides[0]}"
    return f"between {first} and {_size(ends[1])} {sides[1]}"


def _side(difference: float) -> str:
    return "better" if difference < 0 else "worse"


def _size(difference: float) -> str:
    return say_number(abs(difference), digits=3)
