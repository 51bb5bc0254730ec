"""The dimensions of a search as its report shows them: each parameter's range, its scale, and where on it a value lies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tasks.metrics import METRICS, Metric
from tasks.records import Floats, Search, Trial
from tasks.settings import Scalar

FAMILY = "family"
EDGE = 0.02
"""A value is at the edge of its range when it lies within this share of it, on the range's own scale."""
WIDE = 50.0
"""Without a declared range, values this many times apart are shown on a logarithmic scale."""
Edge = Literal["lower", "upper", ""]
Scale = Literal["linear", "log", "reverse_log"]
"""reverse_log: densest near the high end."""


@dataclass(frozen=True)
class Dimension:
    """One parameter. A range has `low` and `high`; a categorical has `choices`. `declared`: the range is the space's, not merely seen."""

    name: str
    low: float = 0.0
    high: float = 1.0
    scale: Scale = "linear"
    whole: bool = False
    choices: tuple[Scalar, ...] = ()
    declared: bool = True

    def place(self, value: Scalar) -> float:
        """Where the value lies: 0 at the low end, 1 at the high end, not clipped; NaN for a value that has no place."""
        if self.choices:
            return self.choices.index(value) / max(len(self.choices) - 1, 1) if value in self.choices else math.nan
        number = as_number(value)
        if self.scale == "linear":
            return (number - self.low) / (self.high - self.low)
        inner = number if self.scale == "log" else self.low + self.high - number
        where = math.log(inner / self.low) / math.log(self.high / self.low) if inner > 0 else math.nan
        return where if self.scale == "log" else 1 - where

    def at(self, place: float) -> float:
        """The number at that place of a range."""
        if self.scale == "linear":
            return self.low + place * (self.high - self.low)
        inner = self.low * math.pow(self.high / self.low, place if self.scale == "log" else 1 - place)
        return inner if self.scale == "log" else self.low + self.high - inner

    def edge(self, value: Scalar) -> Edge:
        """Which end of its range the value lies at; a choice among several has none, nor has a range nobody declared."""
        where = math.nan if self.choices or not self.declared else self.place(value)
        return "lower" if where <= EDGE else "upper" if where >= 1 - EDGE else ""


def as_number(value: object) -> float:
    """A value as a number; NaN for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def known_metric(name: str) -> Metric | None:
    """The metric of that name, `ndcg_at_3` and the like too; None for one that is not known, which then has no direction."""
    try:
        return METRICS[name]
    except KeyError:
        return None


def loss(search: Search, trial: Trial) -> float:
    """A trial's value turned so that less is better; infinite for one without a value."""
    metric = known_metric(search.metric)
    known = trial.value is not None and math.isfinite(trial.value)
    value = trial.value if known and trial.value is not None else math.inf
    return metric.loss(value) if metric is not None and known else value


def ranked(search: Search) -> list[Trial]:
    """Finished trials with a finite value, the best first, earlier ones first among equals."""
    finished = [trial for trial in search.trials if trial.state == "finished" and math.isfinite(loss(search, trial))]
    return sorted(finished, key=lambda trial: (loss(search, trial), trial.number))


def shown(search: Search) -> Trial | None:
    """The trial that is trained: the chosen one, else the best."""
    return search.chosen or search.best


def settings_of(trial: Trial) -> dict[str, Scalar]:
    """What the search chose; the hyperparameters of a trial that does not say."""
    return dict(trial.choices or trial.hyperparameters)


def find_dimensions(search: Search, trials: Iterable[Trial]) -> dict[str, Dimension]:
    """The parameters these trials chose, in the space's order where it is known; one that never varied and has no range is left out."""
    seen: dict[str, list[Scalar]] = {}
    families: dict[str, str] = {}
    for trial in trials:
        for name, value in settings_of(trial).items():
            seen.setdefault(name, []).append(value)
            families.setdefault(name, trial.family)
    found = {name: _declared(search, families[name], name) or _observed(name, values) for name, values in seen.items()}
    order = {name.removeprefix(f"{family}."): place for place, name in enumerate(search.space) for family in {"", *families.values()}}
    names = sorted(found, key=lambda name: order.get(name, len(order)))
    return {name: dimension for name in names if (dimension := found[name]) is not None}


def places(dimension: Dimension, values: Iterable[Scalar | None]) -> Floats:
    """Where these values lie, clipped to the range; NaN for those that are missing."""
    found = np.array([math.nan if value is None else dimension.place(value) for value in values], dtype=np.float64)
    clipped: Floats = np.clip(found, 0.0, 1.0)
    return clipped


def _declared(search: Search, family: str, name: str) -> Dimension | None:
    """The parameter as the space has it; None for one that the space does not know, or that says nothing usable."""
    settings: Any = search.space.get(f"{family}.{name}", search.space.get(name))
    if not isinstance(settings, dict):
        return None
    if settings.get("choices"):
        return Dimension(name, choices=tuple(settings["choices"]))
    low, high = as_number(settings.get("low")), as_number(settings.get("high"))
    if not low < high:
        return None
    scale: Scale = "linear" if low <= 0 else "log" if settings.get("log") else "reverse_log" if settings.get("reverse_log") else "linear"
    return Dimension(name, low, high, scale, settings.get("type") == "int")


def _observed(name: str, values: list[Scalar]) -> Dimension | None:
    """The range that the values themselves span; None where they are all the same."""
    if len(set(values)) < 2:
        return None
    numbers = [as_number(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        return Dimension(name, choices=tuple(dict.fromkeys(values)), declared=False)
    low, high = min(numbers), max(numbers)
    whole = all(isinstance(value, int) for value in values)
    return Dimension(name, low, high, "log" if low > 0 and high / low >= WIDE else "linear", whole, declared=False)
