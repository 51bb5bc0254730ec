"""Plot: which worker was busy with what, and when; a gap is time in which nothing was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Search, Story, Trial
from tasks.reports.dimensions import shown
from tasks.reports.plots.drawing import draw, label, label_room, legend
from tasks.reports.plots.svg import BAD, CHALLENGER, CHAMPION, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LANES = 32
SEPARATE = 150
"""Up to so many bars each ends a little early, so that it can be told from the next one."""


@dataclass(frozen=True)
class Bar:
    """One stretch of work; `lane` is the worker's name, empty where nobody noted it."""

    start: float
    end: float
    kind: str
    lane: str = ""


def draw_timeline(story: Story) -> dict[str, str]:
    """`timeline`: a lane a worker. Nothing unless it was noted when trials ran."""
    search = story.search
    if search is None:
        return {}
    lanes = sort_lanes(bars_of(search))
    if not lanes:
        return {}
    names = [label(name, 18) for name in lanes]
    height = 100 + 22.0 * len(lanes)
    note = "seconds after the search began; each bar is one fit, or one trial"
    return {"timeline": draw("timeline", "Timeline", note, lambda axes: _paint(axes, search, lanes, names), 12, height, label_room(names))}


def bars_of(search: Search) -> list[Bar]:
    """A bar for each fit whose start is known, else one for the trial; none for trials of an earlier process, or all at once."""
    trained = shown(search)
    mine = [trial for trial in search.trials[search.resumed :] if trial.seconds > 0]
    bars = [bar for trial in mine for bar in _bars(trial, trained is not None and trial.number == trained.number)]
    return sorted(bars, key=lambda bar: (bar.start, bar.end)) if len({bar.start for bar in bars}) > 1 or len(bars) == 1 else []


def sort_lanes(bars: list[Bar]) -> dict[str, list[Bar]]:
    """Lane -> its bars. A bar that names no worker goes where nothing else happens at that time: to a new lane if need be."""
    named: dict[str, list[Bar]] = {name: [bar for bar in bars if bar.lane == name] for name in sorted({bar.lane for bar in bars} - {""})}
    for bar in (bar for bar in bars if not bar.lane):
        free = next((lane for lane in named.values() if all(bar.end <= other.start or bar.start >= other.end for other in lane)), None)
        if free is None:
            free = named.setdefault(f"lane {len(named) + 1}", [])
        free.append(bar)
    return dict(list(named.items())[:MOST_LANES])


def _bars(trial: Trial, chosen: bool) -> list[Bar]:
    kind = "chosen" if chosen else trial.state
    timed = [score for score in trial.scores if score.started]
    if not timed:
        return [Bar(trial.started, trial.started + trial.seconds, kind)]
    return [Bar(score.started, score.started + score.seconds, kind, score.worker) for score in timed]


def _paint(axes: Axes, search: Search, lanes: dict[str, list[Bar]], names: list[str]) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    every = [bar for bars in lanes.values() for bar in bars]
    last = max(search.seconds, max(bar.end for bar in every))
    gap = 0.0015 * last if len(every) <= SEPARATE else 0.0
    for kind, colour in (("finished", CHALLENGER), ("pruned", QUIET), ("failed", BAD), ("chosen", CHAMPION)):
        boxes = [
            Path([(bar.start, y - 0.34), (end, y - 0.34), (end, y + 0.34), (bar.start, y + 0.34), (bar.start, y - 0.34)], closed=True)
            for y, bars in enumerate(lanes.values())
            for bar in bars
            if bar.kind == kind and (end := max(bar.end - gap, bar.start + 0.3 * (bar.end - bar.start))) > bar.start
        ]
        if boxes:
            axes.add_patch(PathPatch(Path.make_compound_path(*boxes), facecolor=colour, linewidth=0, alpha=0.85))
            axes.plot([], [], "s", color=colour, markersize=7, markeredgewidth=0, label=kind)
    axes.set_yticks(np.arange(len(names)), names)
    axes.set(xlim=(0, last), ylim=(len(names) - 0.4, -0.6), xlabel="seconds")
    axes.grid(visible=False, axis="y")
    legend(axes, "above")
