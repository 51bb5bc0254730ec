"""Plot: a search from its first trial to its last, and where each trial came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Floats, Search, Story, Trial
from tasks.reports.dimensions import known_metric, shown
from tasks.reports.plots.drawing import dots, draw, legend, spread
from tasks.reports.plots.svg import BAD, CHALLENGER, CHAMPION, QUIET, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 600
Points = tuple[Floats, Floats]
ORIGINS = {"search": ("search", CHALLENGER), "start": ("defaults and portfolio", QUIET), "memory": ("earlier retrains", CHAMPION)}


def draw_search(story: Story) -> dict[str, str]:
    """`search_history`: every finished trial's value and the best so far; pruned and failed ones, which have no value, along the foot.

    Nothing for a single value, which the page says in words."""
    search = story.search
    if search is None or len(points(search)[0]) < 2:
        return {}
    better = "more" if greater(search) else "less"
    note = f"{search.metric} by trial, {better} is better; the line is the best so far"
    return {"search_history": draw("search_history", "Search history", note, lambda axes: _paint(axes, search), columns=12, height=270)}


def best_so_far(values: Floats, greater: bool) -> Floats:
    """The best value up to and including each position."""
    return np.maximum.accumulate(values) if greater else np.minimum.accumulate(values)


def worst_shown(values: Floats, greater: bool) -> float:
    """Where the sheet ends: a little beyond the worst but a tenth, so that a few hopeless trials do not flatten the rest."""
    best, edge = (values.max(), np.quantile(values, 0.1)) if greater else (values.min(), np.quantile(values, 0.9))
    return float(best + (edge - best) * 1.3) if edge != best else float(values.min() if greater else values.max())


def limits(values: Floats, greater: bool) -> tuple[float, float]:
    """The sheet's lower and upper end: the best with some room, and the worst that is shown."""
    edge, best = worst_shown(values, greater), float(values.max() if greater else values.min())
    room = 0.08 * abs(edge - best) or 0.01 * max(abs(edge), 1e-6)
    return (edge, best + room) if greater else (best - room, edge)


def greater(search: Search) -> bool:
    metric = known_metric(search.metric)
    return metric is not None and metric.greater_is_better


def points(search: Search, origin: str | None = None) -> Points:
    """Numbers and values of the finished trials that can be drawn, in the order of their numbers; of one origin, or of all."""
    known = sorted(
        (trial.number, trial.value)
        for trial in search.trials
        if trial.value is not None and np.isfinite(trial.value) and origin in (None, origin_of(trial))
    )
    number, value = np.array(known, dtype=np.float64).reshape(-1, 2).T
    return number, value


def origin_of(trial: Trial) -> str:
    """`search`, `start` (what every search of the family starts from) or `memory` (an earlier retrain)."""
    return {"search": "search", "defaults": "start", "portfolio": "start"}.get(trial.origin, "memory")


def _paint(axes: Axes, search: Search) -> None:
    from matplotlib.ticker import MaxNLocator

    more, last = greater(search), max(trial.number for trial in search.trials)
    number, value = points(search)
    low, high = limits(value, more)
    room = 0.08 * (high - low)
    axes.set_ylim(low - room * more, high + room * (not more))
    axes.set_xlim(-0.5, last + 0.5)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _marks(axes, search, (low, high))
    best = best_so_far(value, more)
    number, best = np.append(number, last), np.append(best, best[-1])
    turns = np.unique(np.concatenate([[0], np.flatnonzero(np.diff(best)) + 1, [len(best) - 1]]))
    axes.step(number[turns], best[turns], where="post", color=CHALLENGER, linewidth=1.8)
    trained = shown(search)
    if trained is not None and trained.value is not None and np.isfinite(trained.value):
        axes.plot(
            [trained.number], [np.clip(trained.value, low, high)], "o", label="chosen", clip_on=False, zorder=5,
            markerfacecolor="none", markeredgecolor=TEXT, markersize=11, markeredgewidth=1.8,
        )  # fmt: skip
    legend(axes, "above")


def _marks(axes: Axes, search: Search, ends: tuple[float, float]) -> None:
    several = len({origin_of(trial) for trial in search.trials if trial.value is not None}) > 1
    for origin, (name, colour) in ORIGINS.items():
        number, value = points(search, origin)
        kept = spread(len(number), MOST)
        number, value = number[kept], value[kept]
        inside = (value >= ends[0]) & (value <= ends[1])
        if len(number):
            alpha, size = (0.55, 5) if origin == "search" else (0.95, 6)
            dots(axes, number[inside], value[inside], colour, size, alpha, name if several else "finished")
            mark = "v" if greater(search) else "^"
            axes.plot(number[~inside], value[~inside].clip(*ends), mark, color=colour, markersize=5, markeredgewidth=0, alpha=alpha)
    for state, mark, colour in (("pruned", "x", QUIET), ("failed", "|", BAD)):
        there = np.array([trial.number for trial in search.trials if trial.state == state], dtype=np.float64)
        if len(there):
            x = there[spread(len(there), MOST // 3)]
            size = 6 if len(x) < 60 else 4
            axes.plot(
                x, np.full(len(x), axes.get_ylim()[0]), mark, color=colour, markersize=size, markeredgewidth=1.4, label=state, clip_on=False
            )
