"""Plot: every setting as a line across its parameters, and the score it came to; the chosen one bold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Floats, Search, Story, Trial
from tasks.reports.dimensions import Dimension, find_dimensions, places, ranked, settings_of, shown
from tasks.reports.importance import parameter_importance
from tasks.reports.plots.drawing import draw, label, spread
from tasks.reports.plots.search import greater, limits
from tasks.reports.plots.svg import CHALLENGER, CHAMPION, INK, LINE, QUIET, TEXT
from tasks.wording import say_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_AXES, MOST_LINES = 8, 120
TOP = 0.1


def draw_parallel(story: Story) -> dict[str, str]:
    """`parallel`: the finished trials of the chosen trial's family across the eight parameters that matter most. Needs two of each."""
    search = story.search
    trained = shown(search) if search is not None else None
    if search is None or trained is None:
        return {}
    trials = [trial for trial in ranked(search) if trial.family == trained.family]
    dimensions = choose_dimensions(search, trials)
    if len(trials) < 2 or len(dimensions) < 2:
        return {}
    families = len({trial.family for trial in search.trials}) > 1
    whose = f"trials of {label(trained.family, 24)}" if families else "finished trials"
    first = "the best tenth" if len(trials) >= 15 else "the best"
    note = f"{whose} across their parameters, from the low end to the high; blue: {first}; orange: the chosen one"
    return {
        "parallel": draw(
            "parallel", "Settings and scores", note, lambda axes: _paint(axes, search, trials, trained, dimensions), 12, 300, 30, 44
        )
    }


def choose_dimensions(search: Search, trials: list[Trial], most: int = MOST_AXES) -> dict[str, Dimension]:
    """At most so many of the parameters, those that matter most where that is known, in the space's order."""
    dimensions = find_dimensions(search, trials)
    if len(dimensions) <= most:
        return dimensions
    shares = parameter_importance(search)
    first = sorted(dimensions, key=lambda name: -shares.get(name, 0.0))[:most]
    return {name: dimension for name, dimension in dimensions.items() if name in first}


def _paint(axes: Axes, search: Search, trials: list[Trial], trained: Trial, dimensions: dict[str, Dimension]) -> None:
    sheet = np.column_stack(
        [
            *(places(dimension, [settings_of(trial).get(name) for trial in trials]) for name, dimension in dimensions.items()),
            score_places(search, trials),
        ]
    )
    top = max(1, int(TOP * len(trials) + 0.5))
    kept = top + spread(len(trials) - top, MOST_LINES)
    axes.set(xlim=(-0.3, len(dimensions) + 0.3), ylim=(-0.03, 1.03))
    axes.vlines(range(len(dimensions) + 1), 0, 1, color=LINE, linewidth=1)
    _lines(axes, sheet[kept], QUIET, 0.8, 0.3)
    _lines(axes, sheet[:top], CHALLENGER, 1.4, 0.75)
    _lines(axes, sheet[[trial.number == trained.number for trial in trials]], CHAMPION, 2.6, 1.0)
    _name_axes(axes, search, trials, dimensions)


def score_places(search: Search, trials: list[Trial]) -> Floats:
    """Where each score lies, the best on top; the hopeless ones at the foot."""
    value = np.array([trial.value for trial in trials], dtype=np.float64)
    low, high = limits(value, greater(search))
    place = np.clip((value - low) / (high - low), 0, 1)
    scores: Floats = place if greater(search) else 1 - place
    return scores


def _lines(axes: Axes, sheet: Floats, colour: str, width: float, alpha: float) -> None:
    """All of them as one path; a parameter that a trial does not have is a gap."""
    if len(sheet):
        breaks = np.full((len(sheet), 1), np.nan)
        y = np.hstack([sheet, breaks]).ravel()
        x = np.tile([*range(sheet.shape[1]), np.nan], len(sheet))
        axes.plot(x, y, color=colour, linewidth=width, alpha=alpha, solid_joinstyle="round")


def _name_axes(axes: Axes, search: Search, trials: list[Trial], dimensions: dict[str, Dimension]) -> None:
    room = 140 // (len(dimensions) + 1)
    names = [label(name, max(room, 9)) for name in dimensions]
    axes.set_xticks(range(len(names) + 1), [*names, label(search.metric, 14)], fontsize=10)
    axes.xaxis.get_ticklabels()[-1].set_color(TEXT)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    best, worst = trials[0].value, trials[-1].value
    ends = [axis_ends(dimension) for dimension in dimensions.values()] + [(say_number(worst), say_number(best))]
    for x, (low, high) in enumerate(ends):
        for y, text, side in ((-0.03, low, "top"), (1.03, high, "bottom")):
            axes.text(x, y, label(text, 14), ha="center", va=side, fontsize=9.5, color=INK)
    axes.tick_params(axis="x", pad=16)


def axis_ends(dimension: Dimension) -> tuple[str, str]:
    """The range's low and high end, or the first and the last choice, in words."""
    if dimension.choices:
        return str(dimension.choices[0]), str(dimension.choices[-1])
    low, high = (int(end) if dimension.whole else end for end in (dimension.low, dimension.high))
    return say_number(low), say_number(high)
