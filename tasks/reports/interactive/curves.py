"""Charts of two classes: ROC, precision against recall, calibration; challenger and champion on one sheet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.records import Evaluation, Floats, Story
from tasks.reports.interactive.page import CHALLENGER, CHAMPION, FAINT, Chart, axis, colour, numbers
from tasks.reports.plots.binary import Line, calibration_line, can_be_drawn, precision_line, roc_line
from tasks.reports.plots.drawing import thin

POINTS = 500
SHARE = {"tickformat": ".0%"}


def chart_curves(story: Story) -> list[Chart]:
    """`roc`, `precision_recall` and `calibration`, where both classes are in the test rows."""
    evaluation = story.evaluation
    if evaluation is None or not can_be_drawn(story, evaluation):
        return []
    share = float(evaluation.truth.mean())
    return [
        _chart(evaluation, roc_line, "roc", "ROC", "positives found, by false alarms", "roc_auc", [(0, 0), (1, 1)],
               ("false positive rate", "true positive rate")),
        _chart(evaluation, precision_line, "precision_recall", "Precision and recall", "share that is right, by share found",
               "average_precision", [(0, share), (1, share)], ("recall", "precision")),
        _chart(evaluation, calibration_line, "calibration", "Calibration", "what happened, by what was said; each dot about as many rows",
               "brier", [(0, 0), (1, 1)], ("predicted probability", "share of positives"), dots=True),
    ]  # fmt: skip


def sides(evaluation: Evaluation) -> list[tuple[str, Floats, dict[str, float]]]:
    """Name, prediction and scores of the champion, where it has any, and of the challenger, which lies on top."""
    found = [
        ("champion", evaluation.champion_prediction, evaluation.champion),
        ("challenger", evaluation.prediction, evaluation.challenger),
    ]
    return [(name, prediction, scores) for name, prediction, scores in found if prediction is not None and np.isfinite(prediction).all()]


def side_line(name: str, scores: dict[str, float], metric: str = "") -> dict[str, Any]:
    """How a side's line looks: the champion dashed; with its score in the legend."""
    score = f" {scores[metric]:.3f}" if metric in scores else ""
    return {
        "name": name + score,
        "line": {
            "color": colour(CHAMPION if name == "champion" else CHALLENGER),
            "dash": "dash" if name == "champion" else "solid",
            "width": 2,
        },
    }


def guide(points: list[tuple[float, float]]) -> dict[str, Any]:
    """A faint line to compare with."""
    x, y = zip(*points, strict=True)
    return {
        "x": numbers(x),
        "y": numbers(y),
        "mode": "lines",
        "line": {"color": colour(FAINT), "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _chart(
    evaluation: Evaluation,
    curve: Callable[[Floats, Floats], Line],
    name: str,
    title: str,
    note: str,
    metric: str,
    by_chance: list[tuple[float, float]],
    axes: tuple[str, str],
    dots: bool = False,
) -> Chart:
    traces = [guide(by_chance)]
    for side, prediction, scores in sides(evaluation):
        x, y = thin(*curve(evaluation.truth, prediction), POINTS)
        hover = f"{axes[0]} %{{x:.1%}}<br>{axes[1]} %{{y:.1%}}"
        traces.append(
            {
                **side_line(side, scores, metric),
                "x": numbers(x),
                "y": numbers(y),
                "mode": "lines+markers" if dots else "lines",
                "hovertemplate": hover,
            }
        )
    return Chart(name, title, note, traces, {"xaxis": axis(axes[0], range=[-0.01, 1.03], **SHARE), "yaxis": axis(axes[1], **SHARE)})
