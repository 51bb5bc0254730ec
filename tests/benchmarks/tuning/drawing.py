"""The benchmark as one picture: how far each peer is behind, and every system month by month."""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tests.benchmarks.tuning.cells import Cell, Run
from tests.benchmarks.tuning.lineup import COLD, EVERTUNE, MEMORY, NAMES, PEERS
from tests.benchmarks.tuning.pairs import by_pair, compare
from tests.benchmarks.tuning.tables import reported_months

Runs = Mapping[Cell, Run]
OURS, THEIRS, TEXT, LINE = "#2f86c9", "#d9702b", "#4d545c", "#b9bdc3"
"""Safe for colour-blind readers, and mid-tones that can be read on white and on black: those of the reports' plots."""
MARKERS = dict(zip((*EVERTUNE, *PEERS), "oDsv^<x", strict=True))
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "evertune", "font.size": 9, "text.color": TEXT, "axes.labelcolor": TEXT, "axes.edgecolor": LINE,
    "xtick.color": TEXT, "ytick.color": TEXT, "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip


def draw(runs: Runs, places: Sequence[dict[str, str]]) -> str:
    """An SVG of two panels, with the machine and the date below."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    months, budgets = reported_months(runs), sorted({cell.budget for cell in runs if cell.budget})
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        behind, monthly = figure.subplots(1, 2, width_ratios=[1.1, 1])
        _draw_behind(behind, runs, budgets, months)
        _draw_months(monthly, runs, budgets[-1], months)
        when, where = (", ".join(dict.fromkeys(place[key] for place in places)) for key in ("date", "machine"))
        figure.supxlabel(f"{where}; {when}", fontsize=7)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue()


def _draw_behind(axes: Any, runs: Runs, budgets: Sequence[float], months: Sequence[str]) -> None:
    """Peers' log-loss less Evertune's, with memory and cold, each with its interval; right of zero Evertune is better."""
    rows = [(peer, budget, ours) for peer in reversed(PEERS) for budget in reversed(budgets) for ours in (COLD, MEMORY)]
    for place, (peer, budget, ours) in enumerate(rows):
        if pair := compare(runs, (ours, budget), (peer, budget), months):
            ends = [[pair.high - pair.mean], [pair.mean - pair.low]]
            face = OURS if ours == MEMORY else "none"
            axes.errorbar(-pair.mean, place, xerr=ends, fmt="o", color=OURS, markerfacecolor=face, capsize=2, markersize=5)
    step = 2 * len(budgets)
    labels = [f"{NAMES[peer]}\n{' and '.join(f'{budget:g} s' for budget in budgets)}" for peer in reversed(PEERS)]
    axes.set_yticks([step * k + (step - 1) / 2 for k in range(len(PEERS))], labels)
    axes.axvline(0, color=LINE, linewidth=1)
    axes.set_xlabel("log-loss above Evertune's, 95 % interval\n(filled: with memory, open: cold; the longer budget below)")


def _draw_months(axes: Any, runs: Runs, budget: float, months: Sequence[str]) -> None:
    """Log-loss above the best system of each month, the mean over seeds."""
    losses = {system: _losses(runs, system, budget, months) for system in (*EVERTUNE, *PEERS)}
    best = {month: min(found[month] for found in losses.values() if month in found) for month in months}
    for system, found in losses.items():
        if points := [(month, value - best[month]) for month, value in found.items()]:
            colour = OURS if system in EVERTUNE else THEIRS
            axes.plot(*zip(*points, strict=True), color=colour, marker=MARKERS[system], markersize=4, linewidth=0.8, label=NAMES[system])
    axes.set_ylabel(f"log-loss above the best of the month, {budget:g} s")
    axes.legend(fontsize=6.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=2)


def _losses(runs: Runs, system: str, budget: float, months: Sequence[str]) -> dict[str, float]:
    """By month, those there are, the mean over seeds."""
    found = by_pair(runs, system, budget, months)
    alike = {wanted: [run.log_loss for (month, _), run in found.items() if month == wanted] for wanted in months}
    return {month: statistics.fmean(some) for month, some in alike.items() if some}
