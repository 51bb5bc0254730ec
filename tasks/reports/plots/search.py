"""Plot: a search from its first trial to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.metrics import METRICS
from tasks.records import Floats, Search, Story
from tasks.reports.plots.drawing import dots, draw, legend, spread
from tasks.reports.plots.svg import BAD, CHALLENGER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 600
Points = tuple[Floats, Floats]


def draw_search(story: Story) -> dict[str, str]:
    """`search_history`: every finished trial's value and the best so far; pruned and failed ones, which have no value, along the foot.

    Nothing for a single value, which the page says in words."""
    search = story.search
    if search is None or len(_points(search)[0]) < 2:
        return {}
    better = "more" if _greater(search) else "less"
    note = f"{search.metric} by trial, {better} is better; the line is the best so far"
    return {"search_history": draw("search_history", "Search history", note, lambda axes: _paint(axes, search), columns=12, height=250)}


def best_so_far(values: Floats, greater: bool) -> Floats:
    """The best value up to and including each position."""
    return np.maximum.accumulate(values) if greater else np.minimum.accumulate(values)


def worst_shown(values: Floats, greater: bool) -> float:
    """Where the sheet ends: a little beyond the worst but a tenth, so that a few hopeless trials do not flatten the rest."""
    best, edge = (values.max(), np.quantile(values, 0.1)) if greater else (values.min(), np.quantile(values, 0.9))
    return float(best + (edge - best) * 1.3) if edge != best else float(values.min() if greater else values.max())


def _greater(search: Search) -> bool:
    metric = METRICS.get(search.metric)
    return metric is not None and metric.greater_is_better


def _points(search: Search) -> Points:
    """Numbers and values of the finished trials, those that can be drawn."""
    known = [(trial.number, trial.value) for trial in search.trials if trial.value is not None and np.isfinite(trial.value)]
    number, value = np.array(known, dtype=np.float64).reshape(-1, 2).T
    return number, value


def _paint(axes: Axes, search: Search) -> None:
    from matplotlib.ticker import MaxNLocator

    greater, last = _greater(search), max(trial.number for trial in search.trials)
    number, value = _points(search)
    edge = worst_shown(value, greater)
    room = 0.08 * abs(edge - (value.max() if greater else value.min())) or 0.01 * max(abs(edge), 1e-6)
    low, high = (edge, value.max() + room) if greater else (value.min() - room, edge)
    axes.set_ylim(low - room * greater, high + room * (not greater))
    axes.set_xlim(-0.5, last + 0.5)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _marks(axes, search, (low, high), (number, value))
    best = best_so_far(value, greater)
    number, best = np.append(number, last), np.append(best, best[-1])
    turns = np.unique(np.concatenate([[0], np.flatnonzero(np.diff(best)) + 1, [len(best) - 1]]))
    axes.step(number[turns], best[turns], where="post", color=CHALLENGER, linewidth=1.8)
    legend(axes, "above")


def _marks(axes: Axes, search: Search, limits: tuple[float, float], finished: Points) -> None:
    number, value = finished
    kept = spread(len(number), MOST)
    inside = (value[kept] >= limits[0]) & (value[kept] <= limits[1])
    dots(axes, number[kept][inside], value[kept][inside], CHALLENGER, 5, 0.55, "finished")
    beyond = number[kept][~inside]
    axes.plot(
        beyond, value[kept][~inside].clip(*limits), "v" if limits[0] > value.min() else "^", color=CHALLENGER, markersize=5, alpha=0.55
    )
    for state, mark, colour in (("pruned", "x", QUIET), ("failed", "|", BAD)):
        there = np.array([trial.number for trial in search.trials if trial.state == state], dtype=np.float64)
        if len(there):
            x = there[spread(len(there), MOST // 3)]
            axes.plot(
                x, np.full(len(x), axes.get_ylim()[0]), mark, color=colour, markersize=6, markeredgewidth=1.5, label=state, clip_on=False
            )
