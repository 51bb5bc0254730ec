"""Plots: which parameters mattered, and the score along each one's range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Search, Story, Trial
from tasks.reports.dimensions import Dimension, places, ranked, settings_of, shown
from tasks.reports.importance import parameter_importance
from tasks.reports.plots.drawing import Paint, bars, dots, draw, draw_panels, label, label_room, say_ticks, spread
from tasks.reports.plots.parallel import choose_dimensions
from tasks.reports.plots.search import greater, limits
from tasks.reports.plots.svg import BAD, CHALLENGER, CHAMPION, INK, LINE
from tasks.wording import say_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS, MOST_PANELS, MOST_DOTS = 12, 12, 250
FEWEST = 5
SURE = 50
"""Below so many trials the importance is a rough guide."""


def draw_parameter_importance(story: Story) -> dict[str, str]:
    """`parameter_importance`: the twelve parameters that tell good trials from all others. Needs eight finished trials."""
    search = story.search
    shares = parameter_importance(search) if search is not None else {}
    first = list(shares.items())[:MOST_BARS]
    if search is None or len(first) < 2:
        return {}
    count = sum(trial.state == "finished" for trial in search.trials)
    note = "what tells the best trials from the others" + (f"; rough, of {count} trials" if count < SURE else "")
    names, height = [label(name, 24) for name, _ in first], 74 + 19.0 * len(first)
    values = [share for _, share in first]
    painted = draw(
        "parameter_importance",
        "Parameters that mattered",
        note,
        lambda axes: bars(axes, names, values, 0.02),
        6,
        height,
        label_room(names),
        12,
    )
    return {"parameter_importance": painted}


def draw_parameter_slices(story: Story) -> dict[str, str]:
    """`parameter_slices`: a small sheet a parameter, twelve at most, of the chosen trial's family. Needs five finished trials."""
    search = story.search
    trained = shown(search) if search is not None else None
    if search is None or trained is None:
        return {}
    trials = [trial for trial in ranked(search) if trial.family == trained.family]
    dimensions = choose_dimensions(search, trials, MOST_PANELS)
    if len(trials) < FEWEST or not dimensions:
        return {}
    paints = [_panel(search, trials, trained, dimension, k % 4 == 0) for k, dimension in enumerate(dimensions.values())]
    note = f"{search.metric} over its range; orange: the chosen trial; a red line: it lies at that end"
    return {"parameter_slices": draw_panels("parameter_slices", "Score along each parameter", note, paints, across=4, panel=118)}


def _panel(search: Search, trials: list[Trial], trained: Trial, dimension: Dimension, first: bool) -> Paint:
    return lambda axes: _paint(axes, search, trials, trained, dimension, first)


def _paint(axes: Axes, search: Search, trials: list[Trial], trained: Trial, dimension: Dimension, first: bool) -> None:
    value = np.array([trial.value for trial in trials], dtype=np.float64)
    low, high = limits(value, greater(search))
    x = places(dimension, [settings_of(trial).get(dimension.name) for trial in trials])
    there = np.flatnonzero(np.isfinite(x) & (value >= low) & (value <= high))
    there = there[spread(len(there), MOST_DOTS)]
    axes.set(xlim=(-0.06, 1.06), ylim=(low, high))
    dots(axes, x[there], value[there], CHALLENGER, 4, 0.55 if len(there) < 100 else 0.45)
    mine = settings_of(trained).get(dimension.name)
    if mine is not None and trained.value is not None:
        place = places(dimension, [mine])
        dots(axes, place, np.clip(np.array([trained.value]), low, high), CHAMPION, 8)
        if edge := dimension.edge(mine):
            axes.axvline(0.0 if edge == "lower" else 1.0, color=BAD, linewidth=1.6)
    axes.set_title(label(dimension.name, 26), fontsize=10.5, color=INK, loc="left", pad=6)
    axes.spines["bottom"].set_color(LINE)
    _ticks(axes, dimension, first)


def _ticks(axes: Axes, dimension: Dimension, first: bool) -> None:
    axes.locator_params(axis="y", nbins=4)
    say_ticks(axes.yaxis)
    if not first:
        axes.tick_params(axis="y", labelleft=False)
    if dimension.choices:
        last = max(len(dimension.choices) - 1, 1)
        kept = spread(len(dimension.choices), 4)
        axes.set_xticks([k / last for k in kept], [label(dimension.choices[k], 28 // len(kept)) for k in kept], fontsize=10)
        return
    where = (0.0, 0.5, 1.0)
    axes.set_xticks(where, [_at(dimension, place) for place in where], fontsize=10)


def _at(dimension: Dimension, place: float) -> str:
    """The value at that place of the range."""
    value = dimension.at(place)
    return say_number(round(value) if dimension.whole else value, digits=3 if place in (0.0, 1.0) else 2)
