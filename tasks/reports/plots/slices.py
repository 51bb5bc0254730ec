"""Plot: the challenger against its rival on each slice, with what the rows leave open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.records import Evaluation, SliceScore, Story
from tasks.reports.dimensions import known_metric
from tasks.reports.plots.drawing import dots, draw, label, label_room
from tasks.reports.plots.svg import BAD, CHALLENGER, INK, LINE, QUIET
from tasks.wording import say_count, say_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 24
Side = Literal["better", "worse", "open", "not judged"]
COLOURS: dict[Side, str] = {"better": CHALLENGER, "worse": BAD, "open": INK, "not judged": QUIET}


@dataclass(frozen=True)
class SliceLine:
    """One slice: how much worse the challenger is (below 0: better), and where the true difference may lie."""

    name: str
    rows: int
    difference: float
    low: float
    high: float
    """NaN both, where the slice was not judged."""
    side: Side


def draw_slices(story: Story) -> dict[str, str]:
    """`slices`: a line a slice, by column; beyond 24 those that differ most. Nothing without a rival."""
    evaluation = story.evaluation
    lines = slice_lines(evaluation) if evaluation is not None else []
    if evaluation is None or not lines:
        return {}
    confidence = next((one.interval.confidence for one in evaluation.slices if one.interval is not None), None)
    line = f"; lines hold the true one at {say_share(2 * confidence - 1)} confidence" if confidence is not None else ""
    kept = sorted(sorted(range(len(lines)), key=lambda k: -abs(lines[k].difference))[:MOST])
    first = f"; the {len(kept)} of {len(lines)} that differ most" if len(kept) < len(lines) else ""
    note = f"how much worse the challenger's {evaluation.metric} is, left of 0 is better{line}{first}"
    shown = [lines[k] for k in kept]
    names = [f"{label(one.name, 30)} ({one.rows:,})" for one in shown]
    height = 100 + 19.0 * len(shown)
    return {"slices": draw("slices", "Slices", note, lambda axes: _paint(axes, shown, names), 12, height, label_room(names, 250))}


def slice_lines(evaluation: Evaluation) -> list[SliceLine]:
    """Every slice that has a rival's score, in the gate's order."""
    lines = [_line(one, evaluation.metric) for one in evaluation.slices]
    return [line for line in lines if line is not None]


def describe_slice(line: SliceLine) -> str:
    """`shown to be better, 1,200 rows`."""
    words = {"better": "shown to be better", "worse": "shown to be worse", "open": "cannot be told apart", "not judged": "not judged"}
    return f"{words[line.side]}, {say_count(line.rows, 'row')}"


def _line(one: SliceScore, metric: str) -> SliceLine | None:
    name, known = f"{one.column}: {one.value}", known_metric(metric)
    if one.interval is not None and np.isfinite(one.interval.difference):
        low, high = one.interval.low, one.interval.high
        side: Side = "better" if high < 0 else "worse" if low > 0 else "open"
        return SliceLine(name, one.rows, one.interval.difference, low, high, side)
    if known is None or one.champion is None or not np.isfinite([one.challenger, one.champion]).all():
        return None
    return SliceLine(name, one.rows, known.loss(one.challenger) - known.loss(one.champion), np.nan, np.nan, "not judged")


def _paint(axes: Axes, lines: list[SliceLine], names: list[str]) -> None:
    axes.axvline(0, color=LINE, linewidth=1.4)
    for place, line in enumerate(lines):
        colour = COLOURS[line.side]
        if np.isfinite([line.low, line.high]).all():
            axes.plot([line.low, line.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
        dots(axes, np.array([line.difference]), np.array([float(place)]), colour, 7)
    ends = np.array([[line.difference, line.low, line.high, 0.0] for line in lines])
    room = 0.06 * float(np.nanmax(ends) - np.nanmin(ends)) or 1e-6
    axes.set(xlim=(float(np.nanmin(ends)) - room, float(np.nanmax(ends)) + room), ylim=(len(lines) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")
