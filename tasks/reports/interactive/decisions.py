"""Charts of two classes for whoever has to draw the line: lift, thresholds as lines and as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.records import Evaluation, Story
from tasks.reports.interactive.curves import POINTS, SHARE, guide, side_line, sides
from tasks.reports.interactive.page import CHALLENGER, QUIET, Chart, axis, colour, numbers
from tasks.reports.plots.binary import can_be_drawn
from tasks.reports.plots.decisions import FIRST, lift_line, threshold_lines, threshold_rows
from tasks.reports.plots.drawing import spread, thin
from tasks.wording import say_share

LINES = {"precision": "solid", "recall": "dash", "flagged": "dot"}


def chart_decisions(story: Story) -> list[Chart]:
    """`lift`, `thresholds` and `threshold_table`, where both classes are in the test rows."""
    evaluation = story.evaluation
    if evaluation is None or not can_be_drawn(story, evaluation):
        return []
    return [_lift(evaluation), _thresholds(evaluation), _table(evaluation)]


def _lift(evaluation: Evaluation) -> Chart:
    traces = [guide([(0, 1), (1, 1)])]
    for name, prediction, scores in sides(evaluation):
        flagged, lift = lift_line(evaluation.truth, prediction)
        kept = (flagged >= FIRST) | (np.arange(len(flagged)) == len(flagged) - 1)
        x, y = thin(flagged[kept], lift[kept], POINTS)
        hover = "first %{x:.1%} of the rows<br>%{y:.2f} times as many positives"
        traces.append({**side_line(name, scores), "x": numbers(x), "y": numbers(y), "mode": "lines", "hovertemplate": hover})
    layout = {
        "xaxis": axis("share of the rows, the likeliest first", range=[-0.01, 1.03], **SHARE),
        "yaxis": axis("lift", rangemode="tozero"),
    }
    return Chart("lift", "Lift", "times as many positives among the rows with the highest predictions as by chance", traces, layout)


def _thresholds(evaluation: Evaluation) -> Chart:
    """Three lines over one axis; the hover tells all of them at once."""
    threshold, *lines = threshold_lines(evaluation.truth, evaluation.prediction)
    kept = spread(len(threshold), POINTS)
    traces: list[dict[str, Any]] = [
        {
            "name": name,
            "x": numbers(threshold[kept]),
            "y": numbers(line[kept]),
            "mode": "lines",
            "line": {"color": colour(QUIET if name == "flagged" else CHALLENGER), "dash": dash, "width": 2},
            "hovertemplate": "%{y:.1%}",
        }
        for (name, dash), line in zip(LINES.items(), lines, strict=True)
    ]
    layout = {
        "xaxis": axis("threshold", range=[-0.01, 1.03], hoverformat=".3f"),
        "yaxis": axis("", rangemode="tozero", **SHARE),
        "hovermode": "x unified",
    }
    note = "the challenger's precision, recall and share of rows flagged, by the probability from which on a row counts as positive"
    return Chart("thresholds", "Thresholds", note, traces, layout)


def _table(evaluation: Evaluation) -> Chart:
    rows = threshold_rows(evaluation.truth, evaluation.prediction)
    shares = [[_share(value) for value in column] for column in zip(*((r.flagged, r.precision, r.recall) for r in rows), strict=True)]
    header = ["threshold", "flagged", "precision", "recall"]
    cells = [[f"{row.threshold:.1f}" for row in rows], *shares]
    none = "rgba(0,0,0,0)"
    style = {"align": "right", "fill": {"color": none}, "line": {"color": "@line", "width": 1}, "font": {"color": "@text"}, "height": 26}
    traces = [{"type": "table", "header": {"values": header, **style}, "cells": {"values": cells, **style}}]
    layout = {"margin": {"l": 4, "r": 4, "t": 12, "b": 4}}
    return Chart("threshold_table", "Threshold table", "the same figures of the challenger at round thresholds", traces, layout)


def _share(value: float) -> str:
    return say_share(value) if np.isfinite(value) else "\u2013"
