"""Charts of what a model answers: who is taken for whom, and what is left over of a number."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tasks.metrics import labels
from tasks.records import Evaluation, Floats, Story
from tasks.reports.interactive.curves import side_line, sides
from tasks.reports.interactive.page import CHALLENGER, Chart, axis, colour, numbers, safe
from tasks.reports.plots.drawing import spread
from tasks.reports.plots.multiclass import class_shares, count_pairs, frequent
from tasks.reports.plots.regression import limits, quantiles_along

DOTS = 2000


def chart_confusion(story: Story) -> list[Chart]:
    """`confusion`, of many classes; beyond 20 the most frequent ones and the rest together."""
    evaluation = story.evaluation
    if evaluation is None or evaluation.prediction.ndim != 2 or not len(evaluation.truth):
        return []
    classes = evaluation.prediction.shape[1]
    kept = frequent(evaluation.truth, classes)
    given = story.table.columns.target.classes if story.table else ()
    names = [safe(given[k] if k < len(given) else k, 24) for k in kept] + (["all others"] if len(kept) < classes else [])
    matrix = count_pairs(evaluation.truth, labels(evaluation.prediction), kept)
    share = class_shares(matrix)
    place = list(range(len(names)))
    hover = [[_tell_pair(names, matrix, share, row, column) for column in place] for row in place]
    trace = {
        "type": "heatmap",
        "x": place,
        "y": place,
        "z": [numbers(row) for row in share],
        "text": hover,
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": [[0, "rgba(0,0,0,0)"], [1, colour(CHALLENGER)]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    ticks = {"tickvals": place, "ticktext": names, "showgrid": False}
    layout = {"xaxis": axis("what the challenger says", **ticks), "yaxis": axis("true class", autorange="reversed", **ticks)}
    note = "share of each true class by what the challenger says"
    return [Chart("confusion", "Confusion", note, [trace], layout, 140 + 24 * max(len(names), 9), len(names) > 8)]


def _tell_pair(names: list[str], matrix: Floats, share: Floats, row: int, column: int) -> str:
    return f"{names[row]}, taken for {names[column]}<br>{int(matrix[row, column]):,} rows, {share[row, column]:.1%} of this class"


def chart_residuals(story: Story) -> list[Chart]:
    """`residuals` along the prediction, and `residual_distribution`; of a number."""
    evaluation = story.evaluation
    task = story.table.columns.target.task if story.table else None
    if evaluation is None or task != "regression" or len(evaluation.truth) < 2 or not np.isfinite(evaluation.prediction).all():
        return []
    return [_along(evaluation), _distribution(evaluation)]


def _along(evaluation: Evaluation) -> Chart:
    some = spread(len(evaluation.truth), DOTS)
    truth, said = evaluation.truth[some], evaluation.prediction[some]
    rows = {
        "name": "challenger's rows",
        "x": numbers(said),
        "y": numbers(truth - said),
        "text": [f"{value:.5g}" for value in truth],
        "mode": "markers",
        "marker": {"color": colour(CHALLENGER), "size": 4, "opacity": 0.35},
        "hovertemplate": "said %{x:.5g}, was %{text}<extra></extra>",
    }
    traces: list[dict[str, Any]] = [rows]
    for name, prediction, scores in sides(evaluation):
        middles, quantiles = quantiles_along(prediction, evaluation.truth - prediction, (0.1, 0.5, 0.9))
        hover = "prediction %{x:.5g}<br>median %{y:.4g}<br>80 % within %{text}"
        bands = [f"{low:.4g} to {high:.4g}" for low, _, high in quantiles]
        line: dict[str, Any] = {
            "x": numbers(middles),
            "y": numbers(quantiles[:, 1]),
            "text": bands,
            "mode": "lines",
            "hovertemplate": hover,
        }
        traces.append({**side_line(name, scores), **line})
    low, high = limits([evaluation.truth - evaluation.prediction])
    layout = {"xaxis": axis("prediction"), "yaxis": axis("truth minus prediction", range=numbers([low, high]), zeroline=True)}
    note = "truth minus prediction; the lines are medians; zoom out for the rarest rows"
    return Chart("residuals", "Residuals along the prediction", note, traces, layout)


def _distribution(evaluation: Evaluation) -> Chart:
    residuals = {name: (evaluation.truth - prediction, scores) for name, prediction, scores in sides(evaluation)}
    low, high = limits([residual for residual, _ in residuals.values()])
    bins = np.linspace(low, high, int(np.clip(len(evaluation.truth) // 12, 8, 60)))
    traces = []
    for name, (residual, scores) in residuals.items():
        rows, _ = np.histogram(residual, bins)
        ranges = [f"{first:.4g} to {last:.4g}" for first, last in pairwise(bins)]
        line = side_line(name, scores)
        line["line"] |= {"shape": "hvh"}
        middles = (bins[:-1] + bins[1:]) / 2
        traces.append(
            {**line, "x": numbers(middles), "y": numbers(rows), "text": ranges, "mode": "lines", "hovertemplate": "%{text}: %{y} rows"}
        )
    layout = {"xaxis": axis("truth minus prediction"), "yaxis": axis("rows", rangemode="tozero")}
    return Chart("residual_distribution", "Residuals in all", "rows by truth minus prediction", traces, layout)
