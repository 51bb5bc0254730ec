"""Plots of two classes for whoever has to draw the line: lift, and what each threshold brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Evaluation, Floats, Story
from tasks.reports.plots.binary import Line, can_be_drawn, counts, paint_both
from tasks.reports.plots.drawing import DASHES, draw, legend, say_ticks, thin
from tasks.reports.plots.svg import CHALLENGER, LINE, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = 0.01
"""Lift is shown from this share of the rows on: the few before it say little."""
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Threshold:
    """Everything at or above `threshold` is called positive: the share of the rows that is, of these right, of the positives found."""

    threshold: float
    flagged: float
    precision: float
    """NaN where no row is called positive."""
    recall: float


def draw_decisions(story: Story) -> dict[str, str]:
    """`lift` and `thresholds`, where both classes are in the test rows."""
    evaluation = story.evaluation
    if evaluation is None or not can_be_drawn(story, evaluation):
        return {}
    note = "the challenger's precision, recall and share flagged"
    return {
        "lift": draw("lift", "Lift", "times as many positives as by chance", lambda axes: _paint_lift(axes, evaluation)),
        "thresholds": draw("thresholds", "Thresholds", note, lambda axes: _paint_thresholds(axes, evaluation)),
    }


def lift_line(truth: Floats, prediction: Floats) -> Line:
    """Share of the rows called positive, the highest predictions first, and how many times more positives are among them than in all."""
    false, true, _ = counts(truth, prediction)
    flagged = (false + true) / len(truth)
    return flagged, true / true[-1] / flagged


def threshold_lines(truth: Floats, prediction: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Every distinct prediction as a threshold, ascending; precision, recall and share flagged at each."""
    false, true, threshold = counts(truth, prediction)
    lines = (threshold, true / (true + false), true / true[-1], (true + false) / len(truth))
    return tuple(line[::-1] for line in lines)  # type: ignore[return-value]


def threshold_rows(truth: Floats, prediction: Floats, thresholds: tuple[float, ...] = THRESHOLDS) -> tuple[Threshold, ...]:
    """What a few round thresholds bring, for a table."""
    positives, rows = float(truth.sum()), []
    for threshold in thresholds:
        called = prediction >= threshold
        flagged, right = int(called.sum()), float(truth[called].sum())
        rows.append(Threshold(threshold, flagged / len(truth), right / flagged if flagged else np.nan, right / positives))
    return tuple(rows)


def _paint_lift(axes: Axes, evaluation: Evaluation) -> None:
    axes.plot([0, 1], [1, 1], color=LINE, linewidth=1)
    paint_both(axes, evaluation, _shown_lift, "")
    axes.set(xlim=(-0.01, 1.07), xlabel="share of the rows, the likeliest first")  # with room for the last tick's words
    axes.set_ylim(0, axes.get_ylim()[1])
    say_ticks(axes.xaxis, percent=True)
    legend(axes, "lower left")


def _shown_lift(truth: Floats, prediction: Floats) -> Line:
    flagged, lift = lift_line(truth, prediction)
    kept = (flagged >= FIRST) | (np.arange(len(flagged)) == len(flagged) - 1)
    return flagged[kept], lift[kept]


def _paint_thresholds(axes: Axes, evaluation: Evaluation) -> None:
    threshold, precision, recall, flagged = threshold_lines(evaluation.truth, evaluation.prediction)
    for name, line, colour, dashes in (
        ("precision", precision, CHALLENGER, "-"),
        ("recall", recall, CHALLENGER, DASHES),
        ("flagged", flagged, TEXT, ":"),
    ):
        axes.plot(*thin(threshold, line), linestyle=dashes, color=colour, linewidth=1.8, label=name)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel="threshold")
    say_ticks(axes.yaxis, percent=True)
    legend(axes, "above")
