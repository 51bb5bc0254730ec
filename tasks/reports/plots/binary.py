"""Plots of two classes: ROC, precision against recall, calibration; challenger and champion on one sheet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Evaluation, Floats, Story
from tasks.reports.plots.drawing import DASHES, draw, legend, say_ticks, thin
from tasks.reports.plots.svg import CHALLENGER, CHAMPION, LINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = tuple[Floats, Floats]
Curve = Callable[[Floats, Floats], Line]


def draw_binary(story: Story) -> dict[str, str]:
    """`roc`, `precision_recall` and `calibration`, where both classes are in the test rows."""
    evaluation = story.evaluation
    if evaluation is None or not can_be_drawn(story, evaluation):
        return {}
    share = float(evaluation.truth.mean())
    return {
        "roc": draw("roc", "ROC", "positives found, by false alarms", lambda axes: _paint_roc(axes, evaluation)),
        "precision_recall": draw(
            "precision_recall",
            "Precision and recall",
            "share that is right, by share found",
            lambda axes: _paint_precision(axes, evaluation, share),
        ),
        "calibration": draw(
            "calibration", "Calibration", "what happened, by what was said", lambda axes: _paint_calibration(axes, evaluation)
        ),
    }


def roc_line(truth: Floats, prediction: Floats) -> Line:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    false, true, _ = counts(truth, prediction)
    return np.concatenate([[0.0], false / false[-1]]), np.concatenate([[0.0], true / true[-1]])


def precision_line(truth: Floats, prediction: Floats) -> Line:
    """Recall and precision at every threshold, the highest threshold first."""
    false, true, _ = counts(truth, prediction)
    return true / true[-1], true / (true + false)


def calibration_line(truth: Floats, prediction: Floats) -> Line:
    """Mean prediction and share of positives in up to ten bins of about as many rows (at least 20 each, where there are)."""
    bins = int(np.clip(len(truth) // 20, 2, 10))
    edges = np.unique(np.quantile(prediction, np.linspace(0, 1, bins + 1)))
    where = np.searchsorted(edges[1:-1], prediction)
    rows = np.bincount(where, minlength=1)
    filled = rows > 0
    return tuple(np.bincount(where, values)[filled] / rows[filled] for values in (prediction, truth))  # type: ignore[return-value]


def counts(truth: Floats, prediction: Floats) -> tuple[Floats, Floats, Floats]:
    """False and true positives when everything at or above each distinct prediction is called positive; and these, the highest first."""
    order = np.argsort(-prediction, kind="stable")
    ranked = prediction[order]
    last = np.append(np.diff(ranked) != 0, True)
    true = np.cumsum(truth[order])
    return (np.arange(1, len(truth) + 1) - true)[last], true[last], ranked[last]


def can_be_drawn(story: Story, evaluation: Evaluation) -> bool:
    """Whether the test rows hold both of two classes, and every one of them a probability."""
    binary = evaluation.prediction.ndim == 1 and (story.table is None or story.table.columns.target.task == "binary")
    return binary and set(np.unique(evaluation.truth)) == {0.0, 1.0} and bool(np.isfinite(evaluation.prediction).all())


def paint_both(axes: Axes, evaluation: Evaluation, curve: Curve, metric: str, marker: str = "") -> None:
    """The champion first, so that the challenger lies on top; the legend the other way round."""
    sides = [
        ("champion", CHAMPION, evaluation.champion_prediction, evaluation.champion),
        ("challenger", CHALLENGER, evaluation.prediction, evaluation.challenger),
    ]
    for name, colour, prediction, scores in sides:
        if prediction is not None and np.isfinite(prediction).all():
            x, y = thin(*curve(evaluation.truth, prediction))
            score = f" {scores[metric]:.3f}" if metric in scores else ""
            dashes = DASHES if name == "champion" else "-"
            axes.plot(x, y, marker=marker, linestyle=dashes, color=colour, linewidth=1.8, markersize=4.5, label=name + score)


def _paint_roc(axes: Axes, evaluation: Evaluation) -> None:
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    paint_both(axes, evaluation, roc_line, "roc_auc")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel="false positive rate")
    legend(axes, "lower right")


def _paint_precision(axes: Axes, evaluation: Evaluation, share: float) -> None:
    axes.plot([0, 1], [share, share], color=LINE, linewidth=1)
    paint_both(axes, evaluation, precision_line, "average_precision")
    lines = [np.asarray(line.get_xydata(), dtype=np.float64) for line in axes.get_lines()]
    top = min(1.02, 1.35 * max(float(line[line[:, 0] >= 0.02, 1].max()) for line in lines))  # the first few rows alone say little
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01 * top, top), xlabel="recall")
    legend(axes, "upper right" if share < 0.5 else "lower left")


def _paint_calibration(axes: Axes, evaluation: Evaluation) -> None:
    paint_both(axes, evaluation, calibration_line, "brier", marker="o")
    top = max(1.08 * max(max(axis.get_data_interval()) for axis in (axes.xaxis, axes.yaxis)), 0.02)
    axes.plot([0, top], [0, top], color=LINE, linewidth=1, zorder=1)
    axes.set(xlim=(-0.01 * top, top), ylim=(-0.01 * top, top), xlabel="predicted probability")
    for axis in (axes.xaxis, axes.yaxis):
        say_ticks(axis, percent=True)
    legend(axes, "upper left")
