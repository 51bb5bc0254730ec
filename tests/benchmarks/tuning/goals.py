"""The goals of the tuning engine, checked one by one against what was measured."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.tuning.cells import Cell, Run
from tests.benchmarks.tuning.lineup import COLD, EVERTUNE, FIFTH, MEMORY, NAMES, OPTUNA, PEERS
from tests.benchmarks.tuning.pairs import Paired, by_pair, compare

Runs = Mapping[Cell, Run]
WORK, TRIALS, SHARE, MARGIN, OVERRUN, OVERHEAD = 4.0, 8.0, 0.95, 0.002, 5.0, 0.05


@dataclass(frozen=True)
class Goal:
    """`short` is by how much it was missed, at most 0 where it was met, in the words of `missed`."""

    text: str
    figure: str
    short: float
    missed: str

    @property
    def row(self) -> str:
        return f"| {self.text} | {self.figure} | {'met' if self.short <= 0 else f'missed by {self.missed}'} |"


def check_goals(runs: Runs, budgets: Sequence[float], months: Sequence[str], overhead: dict[str, Any] | None) -> str:
    """A table: each goal, its figure, and whether it was met or by how much it was missed."""
    return "\n".join(["| goal | measured | |", "|---|---|---|", *(goal.row for goal in all_goals(runs, budgets, months, overhead))])


def all_goals(runs: Runs, budgets: Sequence[float], months: Sequence[str], overhead: dict[str, Any] | None) -> list[Goal]:
    """Those that what was measured can tell of."""
    goals = [goal for budget in budgets for goal in _at(runs, budget, months)]
    return [*goals, *_more_budget(runs, budgets, months), *_overhead(overhead)]


def _at(runs: Runs, budget: float, months: Sequence[str]) -> Iterator[Goal]:
    plain = list(by_pair(runs, OPTUNA, budget, months).values())
    for system in (COLD, MEMORY):
        ours = list(by_pair(runs, system, budget, months).values())
        where = f"{budget:g} s, {NAMES[system]}"
        if ours and plain:
            yield _ratio(f"{where}: useful boosting work against the Optuna loop's", ours, plain, lambda run: run.work("finished"), WORK)
            yield _ratio(f"{where}: trials against the Optuna loop's", ours, plain, lambda run: float(len(run.attempts)), TRIALS)
        if ours:
            yield _share(where, ours)
            yield _held(where, ours)
        yield from _better(runs, system, budget, months, where)
    yield from _fifth(runs, budget, months)


def _ratio(text: str, ours: list[Run], theirs: list[Run], of: Callable[[Run], float], wanted: float) -> Goal:
    found = statistics.fmean(of(run) / run.seconds for run in ours) / statistics.fmean(of(run) / run.seconds for run in theirs)
    return Goal(f"{text}: at least {wanted:g} x", f"{found:.1f} x", wanted - found, f"{wanted - found:.1f} x")


def _share(where: str, ours: list[Run]) -> Goal:
    found = statistics.fmean(run.search_share or 0.0 for run in ours)
    return Goal(f"{where}: tuning time inside boosting at least {SHARE:.0%}", f"{found:.1%}", SHARE - found, f"{SHARE - found:.1%}")


def _held(where: str, ours: list[Run]) -> Goal:
    worst = max(run.overrun for run in ours)
    return Goal(f"{where}: budget overrun at most {OVERRUN:g} s", f"{worst:+.1f} s at worst", worst - OVERRUN, f"{worst - OVERRUN:.1f} s")


def _better(runs: Runs, system: str, budget: float, months: Sequence[str], where: str) -> Iterator[Goal]:
    pairs = {peer: pair for peer in PEERS if (pair := compare(runs, (system, budget), (peer, budget), months)) is not None}
    if not pairs:
        return
    nearest = max(pairs, key=lambda peer: pairs[peer].mean)
    short = pairs[nearest].mean + MARGIN
    text = f"{where}: log-loss better than every peer's by {MARGIN:.3f}"
    yield Goal(text, f"{pairs[nearest]} against {NAMES[nearest]}, the nearest", short, f"{short:.4f}")
    fewest = min(pairs, key=lambda peer: _won(pairs[peer]))
    wins = pairs[fewest].wins
    total = len(by_pair(runs, system, budget, months))
    short = total // 2 + 1 - wins
    yield Goal(f"{where}: better on most retrains", f"{wins} of {total} against {NAMES[fewest]}, the hardest", short, f"{short:.0f}")


def _won(pair: Paired) -> int:
    return pair.wins


def _fifth(runs: Runs, budget: float, months: Sequence[str]) -> Iterator[Goal]:
    means = {
        peer: statistics.fmean(run.log_loss for run in found.values()) for peer in PEERS if (found := by_pair(runs, peer, budget, months))
    }
    best = min(means, key=lambda peer: means[peer], default=None)
    pair = best and compare(runs, (FIFTH, budget), (best, budget), months)
    if best and pair:
        text = f"{budget:g} s, {NAMES[FIFTH]}: no worse than the best peer"
        yield Goal(text, f"{pair} against {NAMES[best]}", pair.mean, f"{pair.mean:.4f}")


def _more_budget(runs: Runs, budgets: Sequence[float], months: Sequence[str]) -> Iterator[Goal]:
    for less, more in itertools.pairwise(budgets):
        for system in EVERTUNE:
            if pair := compare(runs, (system, more), (system, less), months):
                text = f"{NAMES[system]}: {more:g} s no worse than {less:g} s"
                yield Goal(text, str(pair), pair.mean, f"{pair.mean:.4f}")


def _overhead(measured: dict[str, Any] | None) -> Iterator[Goal]:
    if measured is not None:
        found = measured["overhead"]
        text = f"overhead of the tuning stage over the bare search at {measured['budget']:g} s at most {OVERHEAD:.0%}"
        yield Goal(text, f"{found:.1%}", found - OVERHEAD, f"{found - OVERHEAD:.1%}")
