"""Plots of a number: what is left over after the prediction, along it and in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Evaluation, Floats, Story
from tasks.reports.plots.drawing import DASHES, dots, draw, legend, spread
from tasks.reports.plots.svg import CHALLENGER, CHAMPION, LINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS = 1500


def draw_regression(story: Story) -> dict[str, str]:
    """`residuals` (truth minus prediction, along the prediction) and `residual_distribution`."""
    evaluation = story.evaluation
    task = story.table.columns.target.task if story.table else None
    if evaluation is None or task != "regression" or len(evaluation.truth) < 2 or not np.isfinite(evaluation.prediction).all():
        return {}
    note = "truth minus prediction; lines: medians, band: 80 % of the challenger's"
    return {
        "residuals": draw("residuals", "Residuals along the prediction", note, lambda axes: _paint_along(axes, evaluation), 8, left=56),
        "residual_distribution": draw(
            "residual_distribution", "Residuals in all", "rows by truth minus prediction", lambda axes: _paint_all(axes, evaluation)
        ),
    }


def quantiles_along(prediction: Floats, residual: Floats, shares: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Mean prediction (bins,) and quantiles of the residual (bins, shares) in up to 12 bins of about as many rows."""
    bins = int(np.clip(len(prediction) // 25, 1, 12))
    parts = np.array_split(np.argsort(prediction, kind="stable"), bins)
    middles = np.array([prediction[part].mean() for part in parts])
    return middles, np.array([np.quantile(residual[part], shares) for part in parts])


def limits(residuals: list[Floats], share: float = 0.005) -> tuple[float, float]:
    """Where all but the most extreme rows of any of them lie, with a little room."""
    low = min(float(np.quantile(residual, share)) for residual in residuals)
    high = max(float(np.quantile(residual, 1 - share)) for residual in residuals)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _sides(evaluation: Evaluation) -> list[tuple[str, str, Floats]]:
    sides = [("challenger", CHALLENGER, evaluation.prediction)]
    champion = evaluation.champion_prediction
    return [*sides, ("champion", CHAMPION, champion)] if champion is not None and np.isfinite(champion).all() else sides


def _paint_along(axes: Axes, evaluation: Evaluation) -> None:
    some = spread(len(evaluation.truth), DOTS)
    residual = evaluation.truth - evaluation.prediction
    low, high = limits([residual])
    inside = some[(residual[some] > low) & (residual[some] < high)]
    dots(axes, evaluation.prediction[inside], residual[inside], CHALLENGER, 3, 0.4)
    axes.axhline(0, color=LINE, linewidth=1)
    for name, colour, prediction in _sides(evaluation):
        middles, quantiles = quantiles_along(prediction, evaluation.truth - prediction, (0.1, 0.5, 0.9))
        if name == "challenger":
            axes.fill_between(middles, quantiles[:, 0], quantiles[:, 2], color=colour, alpha=0.14, linewidth=0)
        axes.plot(middles, quantiles[:, 1], linestyle=DASHES if name == "champion" else "-", color=colour, linewidth=1.8, label=name)
    axes.set(ylim=(low, high), xlabel="prediction")
    legend(axes, "above")


def _paint_all(axes: Axes, evaluation: Evaluation) -> None:
    residuals = {name: (colour, evaluation.truth - prediction) for name, colour, prediction in _sides(evaluation)}
    low, high = limits([residual for _, residual in residuals.values()])
    bins = np.linspace(low, high, int(np.clip(len(evaluation.truth) // 12, 8, 40)))
    for name, (colour, residual) in residuals.items():
        rows, _ = np.histogram(residual, bins)
        axes.stairs(rows, bins, color=colour, linewidth=1.6, linestyle=DASHES if name == "champion" else "-", label=name)
    axes.axvline(0, color=LINE, linewidth=1)
    axes.set(xlim=(low, high), xlabel="truth minus prediction")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.18)
    legend(axes, "upper right")
