"""Plots of many classes: who is taken for whom, and how many of each class are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.metrics import labels
from tasks.records import Evaluation, Floats, Story
from tasks.reports.plots.drawing import dots, draw, label, label_room, legend, say_ticks
from tasks.reports.plots.svg import CHALLENGER, CHAMPION, LINE, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20


def draw_multiclass(story: Story) -> dict[str, str]:
    """`confusion` and `classes`; beyond 20 classes the most frequent ones and the rest together."""
    evaluation = story.evaluation
    if evaluation is None or evaluation.prediction.ndim != 2 or not len(evaluation.truth):
        return {}
    kept = frequent(evaluation.truth, evaluation.prediction.shape[1])
    names = _names(story, evaluation.prediction.shape[1], kept)
    height, left = max(240.0, 100 + 26 * len(names)), label_room(names, 130)
    matrix = count_pairs(evaluation.truth, labels(evaluation.prediction), kept)
    return {
        "confusion": draw(
            "confusion",
            "Confusion",
            "rows by true class, across by what the challenger says",
            lambda axes: _paint_confusion(axes, matrix, names),
            6,
            height,
            left,
        ),
        "classes": draw(
            "classes",
            "Recall by class",
            "share of each class that is found",
            lambda axes: _paint_recall(axes, evaluation, kept, names),
            6,
            height,
            left,
        ),
    }


def frequent(truth: Floats, classes: int) -> list[int]:
    """Positions of all classes, or of the 19 with most rows when there are more than 20; in their own order."""
    if classes <= MOST:
        return list(range(classes))
    rows = np.bincount(truth.astype(int), minlength=classes)
    return sorted(int(k) for k in np.argsort(-rows, kind="stable")[: MOST - 1])


def count_pairs(truth: Floats, said: Floats, kept: list[int]) -> Floats:
    """Rows by true class (down) and said class (across), for the kept classes and, when some are not, all others together."""
    size = int(max(truth.max(), said.max(), *kept)) + 1
    place = np.full(size, len(kept))
    place[kept] = np.arange(len(kept))
    pairs = place[truth.astype(int)] * (len(kept) + 1) + place[said.astype(int)]
    matrix = np.bincount(pairs, minlength=(len(kept) + 1) ** 2).reshape(len(kept) + 1, -1)
    return np.asarray(matrix if len(kept) < size else matrix[:-1, :-1], dtype=np.float64)


def _names(story: Story, classes: int, kept: list[int]) -> list[str]:
    given = story.table.columns.target.classes if story.table else ()
    names = [label(given[k] if k < len(given) else k, 18) for k in kept]
    return names if len(kept) == classes else [*names, "all others"]


def class_shares(matrix: Floats) -> Floats:
    """Each row of the counts as shares of its class; zeros for a class without rows."""
    rows = matrix.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(matrix, rows, out=np.zeros_like(matrix), where=rows > 0))


def _paint_confusion(axes: Axes, matrix: Floats, names: list[str]) -> None:
    from matplotlib.patches import Rectangle

    shares, numbers = class_shares(matrix), len(names) <= 12
    for row, column in zip(*np.nonzero(matrix), strict=True):
        tone = 0.08 + 0.44 * shares[row, column]
        axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=CHALLENGER, alpha=tone, linewidth=0))
        if numbers:
            axes.text(column, row, f"{int(matrix[row, column]):,}", ha="center", va="center", fontsize=10, color=TEXT)
    short = [name if len(name) <= 4 or len(names) <= 5 else f"{name[:3]}…" for name in names]
    axes.set_xticks(range(len(names)), short)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(-0.55, len(names) - 0.45), ylim=(len(names) - 0.45, -0.55))
    axes.grid(visible=False)


def _recall(truth: Floats, prediction: Floats, kept: list[int], classes: int) -> Floats:
    matrix = count_pairs(truth, labels(prediction), kept)
    return np.diag(class_shares(matrix))[:classes]


def _paint_recall(axes: Axes, evaluation: Evaluation, kept: list[int], names: list[str]) -> None:
    places = np.arange(len(names), dtype=np.float64)
    now = _recall(evaluation.truth, evaluation.prediction, kept, len(names))
    if evaluation.champion_prediction is not None:
        before = _recall(evaluation.truth, evaluation.champion_prediction, kept, len(names))
        axes.hlines(places, np.minimum(now, before), np.maximum(now, before), color=LINE, linewidth=2, zorder=0.5)
        dots(axes, before, places, CHAMPION, 8, label="champion")
    dots(axes, now, places, CHALLENGER, 8, label="challenger")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(min(0.95 * axes.dataLim.x0, 0.9), 1.02), ylim=(len(names) - 0.45, -0.55))
    say_ticks(axes.xaxis, percent=True)
    legend(axes, "above")
