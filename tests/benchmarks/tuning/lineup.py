"""The line-up: which systems run, in which order, and what each needs of the cells before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from tests.benchmarks.tuning.cells import Cell, Run

COLD, MEMORY, FIFTH = "evertune", "evertune-memory", "evertune-memory-fifth"
OPTUNA, HYPEROPT, FLAML, DEFAULTS = "optuna", "hyperopt", "flaml", "defaults"
YARDSTICK = "yardstick"
EVERTUNE, PEERS = (COLD, MEMORY, FIFTH), (OPTUNA, FLAML, HYPEROPT, DEFAULTS)
NAMES = {
    COLD: "Evertune, cold",
    MEMORY: "Evertune, with memory",
    FIFTH: "Evertune, with memory, a fifth of the budget",
    OPTUNA: "Optuna + LGBMClassifier",
    FLAML: "FLAML",
    HYPEROPT: "Hyperopt + LGBMClassifier",
    DEFAULTS: "LightGBM's defaults",
}
SHARE = {FIFTH: 0.2}
"""The share of the cell's budget that a system is given."""
SCORED_ALIKE = (OPTUNA, FLAML, HYPEROPT)
"""Peers whose own validation losses can be compared: the last month's rows, nothing else."""


def plan(months: list[str], seeds: list[int], budgets: list[float], memory_from: str | None) -> Iterator[Cell]:
    """Every cell in the order it is run. Memory starts a month before the first one reported, unless said otherwise.

    Systems take turns within a month, so that a machine that slows down slows all of them.
    """
    first = memory_from or f"{pd.Period(min(months), 'M') - 1}"
    earlier = [f"{month}" for month in pd.period_range(first, max(months), freq="M")]
    for seed in seeds:
        for month in earlier:
            if month in months:
                yield Cell(month, seed, 0.0, DEFAULTS)
            for budget in budgets:
                cold = (COLD, OPTUNA, FLAML, HYPEROPT) if month in months else ()
                for system in (*cold, MEMORY, FIFTH):
                    yield Cell(month, seed, budget, system)
                if month in months:
                    yield Cell(month, seed, budget, YARDSTICK)


def memory_of(cell: Cell, runs: Mapping[Cell, Run]) -> list[dict[str, object]]:
    """What this system's own earlier cells of the same seed and budget left, the newest month first."""
    if cell.system not in (MEMORY, FIFTH):
        return []
    alike = [run for other, run in runs.items() if (other.system, other.seed, other.budget) == (cell.system, cell.seed, cell.budget)]
    before = sorted((run for run in alike if run.cell.month < cell.month), key=lambda run: run.cell.month, reverse=True)
    return [known for run in before for known in run.memory]


def best_peer(cell: Cell, runs: Mapping[Cell, Run]) -> Run | None:
    """The peer with the best validation loss of its own, among those that validate on the same rows."""
    found = [runs.get(Cell(cell.month, cell.seed, cell.budget, system)) for system in SCORED_ALIKE]
    known = [(run.validation, run.cell.system, run) for run in found if run is not None and run.validation is not None]
    return min(known)[2] if known else None
