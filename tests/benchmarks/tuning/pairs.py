"""Paired differences: two systems on the same months with the same seeds, so that what makes a month hard cancels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.tuning.cells import Cell, Run

RESAMPLES = 10_000
SEED = 2013


@dataclass(frozen=True)
class Paired:
    """The log-loss of one system less that of another: below 0 where the first is better. `low`, `high`: 95 % interval.

    The interval is that of a bootstrap over cells (month and seed); the seeds of one month are alike, so it is a little narrow.
    """

    mean: float
    low: float
    high: float
    wins: int
    losses: int

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}], {self.wins}-{self.losses}"


def compare(runs: Mapping[Cell, Run], ours: tuple[str, float], theirs: tuple[str, float], months: Iterable[str]) -> Paired | None:
    """Of two systems, each with its budget; None where they have no cell in common."""
    first, second = by_pair(runs, *ours, months), by_pair(runs, *theirs, months)
    both = sorted(first.keys() & second.keys())
    if not both:
        return None
    differences = np.array([first[pair].log_loss - second[pair].log_loss for pair in both])
    drawn = np.random.default_rng(SEED).choice(differences, size=(RESAMPLES, len(both))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Paired(float(differences.mean()), float(low), float(high), int((differences < 0).sum()), int((differences > 0).sum()))


def by_pair(runs: Mapping[Cell, Run], system: str, budget: float, months: Iterable[str]) -> dict[tuple[str, int], Run]:
    """A system's runs of one budget by month and seed; a system without a budget has the same ones at every budget."""
    wanted = set(months)
    return {
        (cell.month, cell.seed): run
        for cell, run in runs.items()
        if cell.system == system and cell.budget in (budget, 0.0) and cell.month in wanted
    }
