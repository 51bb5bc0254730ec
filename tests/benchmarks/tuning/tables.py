"""The tables of the tuning benchmark as Markdown, made from its results and nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.benchmarks.tuning.cells import Cell, Run
from tests.benchmarks.tuning.goals import all_goals, check_goals
from tests.benchmarks.tuning.lineup import COLD, DEFAULTS, EVERTUNE, FIFTH, MEMORY, NAMES, PEERS, SCORED_ALIKE, YARDSTICK, best_peer
from tests.benchmarks.tuning.pairs import by_pair, compare

Runs = Mapping[Cell, Run]
HEADINGS = (
    "system", "trials/s (pruned)", "useful work/s (pruned)", "in boosting", "to its best", "to the best peer's", "overrun (worst)",
    "log-loss", "AUC", "peak MB",
)  # fmt: skip
LEGEND = (
    "Trials a second: finished, and those pruned early in brackets. Useful work: million boosting rounds x training rows a second, of "
    "finished trials; of pruned ones in brackets. In boosting: share of wall time x workers inside LightGBM's training, final fit "
    "included. To its best: seconds until the best validation loss. To the best peer's: seconds until a validation loss as good as "
    "the best peer's final one, and in how many cells; peers on the last month, Evertune on its own folds, where the best peer's "
    "settings were scored too. Log-loss and AUC are those of the month after."
)


def summary(runs: Runs, places: Sequence[dict[str, str]], overhead: dict[str, Any] | None = None) -> str:
    """Everything there is to tell: a table and the paired differences for each budget, the months, the goals."""
    months, budgets = reported_months(runs), sorted({cell.budget for cell in runs if cell.budget})
    if not months:
        return "Nothing has been measured yet."
    parts = [_places(runs, months, places)]
    for budget in budgets:
        parts += [f"**{budget:g} seconds, {_seeds(runs, budget)}**", _main_table(runs, budget, months), _differences(runs, budget, months)]
    parts += [LEGEND, _by_month(runs, budgets, months), check_goals(runs, budgets, months, overhead)]
    return "\n\n".join(filter(None, parts))


def short_summary(runs: Runs, places: Sequence[dict[str, str]], overhead: dict[str, Any] | None = None) -> str:
    """What a reader wants first: each system's loss and how far Evertune is ahead of it; how many goals were met."""
    months, budgets = reported_months(runs), sorted({cell.budget for cell in runs if cell.budget})
    if not months:
        return "Nothing has been measured yet."
    headings = ["log-loss on the month after", *(f"{budget:g} s, {_seeds(runs, budget)}" for budget in budgets)]
    rows = [[NAMES[system], *(_loss(runs, system, budget, months) for budget in budgets)] for system in (*EVERTUNE, *PEERS)]
    goals = all_goals(runs, budgets, months, overhead)
    met = f"{sum(goal.short <= 0 for goal in goals)} of the {len(goals)} goals that were set beforehand are met"
    apart = f"In brackets: {NAMES[COLD]} less the peer, mean and 95 % interval, wins-losses."
    return "\n\n".join(
        [_places(runs, months, places), table(headings, rows), f"{apart} {met}; [every table](tests/benchmarks/tuning/RESULTS.md)."]
    )


def _loss(runs: Runs, system: str, budget: float, months: list[str]) -> str:
    """`0.4626 (-0.0021 [-0.0044, +0.0002], 8-4)`"""
    found = by_pair(runs, system, budget, months).values()
    if not found:
        return ""
    loss = f"{statistics.fmean(run.log_loss for run in found):.4f}"
    pair = compare(runs, (COLD, budget), (system, budget), months) if system in PEERS else None
    return loss if pair is None else f"{loss} ({pair})"


def _seeds(runs: Runs, budget: float) -> str:
    """`seeds 0, 1`"""
    found = sorted({cell.seed for cell in runs if cell.budget == budget})
    return f"{'seed' if len(found) == 1 else 'seeds'} {', '.join(map(str, found))}"


def reported_months(runs: Runs) -> list[str]:
    """Months on which others than Evertune's memory ran, which begins earlier; all months where nothing else ran."""
    with_others = {cell.month for cell in runs if cell.system not in (MEMORY, FIFTH)}
    return sorted(with_others or {cell.month for cell in runs})


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _places(runs: Runs, months: list[str], places: Sequence[dict[str, str]]) -> str:
    """Where, when and with what; each commit, should there be several."""
    told = [", ".join(dict.fromkeys(place[key] for place in places)) for key in ("machine", "date", "python", "versions", "commit")]
    machine, date, python, versions, commit = told
    return f"Retrains of {', '.join(months)}. Measured {date} on {machine}; Python {python}, {versions}; commit {commit}."


def _main_table(runs: Runs, budget: float, months: list[str]) -> str:
    found = {system: list(by_pair(runs, system, budget, months).values()) for system in (*EVERTUNE, *PEERS)}
    return table(HEADINGS, ([NAMES[system], *_figures(runs, system, alike)] for system, alike in found.items() if alike))


def _figures(runs: Runs, system: str, alike: list[Run]) -> list[str]:
    tuned = system != DEFAULTS
    overrun = [run.overrun for run in alike]
    return [
        f"{_rate(alike, 'finished', _count):.2f} ({_rate(alike, 'pruned', _count):.2f})" if tuned else "",
        f"{_rate(alike, 'finished', Run.work) / 1e6:.2f} ({_rate(alike, 'pruned', Run.work) / 1e6:.2f})" if tuned else "",
        f"{statistics.fmean(run.boosting_seconds / run.worker_seconds for run in alike):.0%}",
        _seconds([run.seconds_to_best for run in alike]) if tuned else "",
        _seconds([_seconds_to_peer(runs, run) for run in alike]) if tuned else "",
        f"{statistics.fmean(overrun):+.1f} ({max(overrun):+.1f}) s" if tuned else f"takes {statistics.fmean(overrun):.1f} s",
        f"{statistics.fmean(run.log_loss for run in alike):.4f}",
        f"{statistics.fmean(run.roc_auc for run in alike):.4f}",
        f"{statistics.fmean(run.peak_mb for run in alike):,.0f}",
    ]


def _rate(alike: list[Run], state: str, of: Callable[[Run, str], float]) -> float:
    return statistics.fmean(of(run, state) / run.seconds for run in alike)


def _count(run: Run, state: str) -> float:
    return len(run.attempted(state))


def _seconds_to_peer(runs: Runs, run: Run) -> float | None:
    """Comparable losses only: peers by the last month, Evertune by its own folds."""
    peer = best_peer(run.cell, runs)
    if run.cell.system in SCORED_ALIKE:
        return run.seconds_to(peer.validation) if peer is not None and peer.validation is not None else None
    scored = runs.get(Cell(run.cell.month, run.cell.seed, run.cell.budget, YARDSTICK))
    return run.seconds_to(scored.yardstick) if scored is not None and scored.yardstick is not None else None


def _seconds(given: Sequence[float | None]) -> str:
    """The median of those that got there, and how many did."""
    reached = [seconds for seconds in given if seconds is not None]
    if not reached:
        return f"0 of {len(given)}"
    return f"{statistics.median(reached):.1f} s" + (f", {len(reached)} of {len(given)}" if len(reached) < len(given) else "")


def _differences(runs: Runs, budget: float, months: list[str]) -> str:
    """Every peer against every Evertune."""
    rows = []
    for peer in PEERS:
        pairs = [compare(runs, (ours, budget), (peer, budget), months) for ours in EVERTUNE]
        if any(pairs):
            rows.append([f"against {NAMES[peer]}", *("" if pair is None else str(pair) for pair in pairs)])
    return "" if not rows else table(["log-loss: mean [95 % interval], wins-losses", *(NAMES[ours] for ours in EVERTUNE)], rows)


def _by_month(runs: Runs, budgets: Sequence[float], months: list[str]) -> str:
    """Log-loss on the month after each retrain, the mean over seeds."""
    rows = []
    for budget in budgets:
        for system in (*EVERTUNE, *PEERS):
            if system == DEFAULTS and budget != budgets[-1]:
                continue
            found = by_pair(runs, system, budget, months)
            losses = [[run.log_loss for (month, _), run in found.items() if month == wanted] for wanted in months]
            name = NAMES[system] if system == DEFAULTS else f"{NAMES[system]}, {budget:g} s"
            rows += [[name, *(f"{statistics.fmean(some):.4f}" if some else "" for some in losses)]] if found else []
    told = table(["log-loss on the month of", *months], rows)
    return f"<details><summary>Log-loss per retrain</summary>\n\n{told}\n\n</details>"
