"""Plot: how the chosen trial's score went round by round, on each fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.records import FoldScore, Search, Story
from tasks.reports.dimensions import shown
from tasks.reports.plots.drawing import draw, legend
from tasks.reports.plots.search import greater
from tasks.reports.plots.svg import CHALLENGER, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 6


def draw_curves(story: Story) -> dict[str, str]:
    """`learning_curves`: a line a fold, the newest one darkest, a dot where it was stopped. Only for families that learn by rounds."""
    search = story.search
    trained = shown(search) if search is not None else None
    if search is None or trained is None:
        return {}
    last = {score.fold: score for score in trained.scores if len(score.curve) > 1}
    if not last:
        return {}
    scores = [last[fold] for fold in sorted(last)]
    note = f"trial {trained.number}: {search.metric} by round; the dot is the best one"
    return {"learning_curves": draw("learning_curves", "Learning curves", note, lambda axes: _paint(axes, search, scores), 6, 302, 52)}


def _paint(axes: Axes, search: Search, scores: list[FoldScore]) -> None:
    bests = []
    for place, score in enumerate(scores):
        rounds, values = np.array(score.curve, dtype=np.float64).T
        shade = 0.4 + 0.6 * (place + 1) / len(scores)
        name = f"fold {score.fold + 1}" if len(scores) <= NAMED else "_"
        axes.plot(rounds, values, color=CHALLENGER, linewidth=1.2 + 0.6 * shade, alpha=shade, label=name)
        best = int(np.nanargmax(values) if greater(search) else np.nanargmin(values))
        axes.plot([rounds[best]], [values[best]], "o", color=TEXT, markersize=4.5, markeredgewidth=0)
        bests.append((values[best], np.quantile(values[1:], 0.85 if not greater(search) else 0.15)))
    ends = np.array(bests)
    low, high = float(ends.min()), float(ends.max())
    room = 0.1 * (high - low) or 0.01 * max(abs(high), 1e-6)
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel("round")
    if len(scores) <= NAMED:
        legend(axes, "lower right" if greater(search) else "upper right")
