"""Plot: how far each column has moved, and the distributions of those that moved most, then and now."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tasks.records import ColumnDrift, DriftReport, Shares, Story
from tasks.reports.plots.drawing import RIGHT, SHEET, Box, Paint, draw_sheet, label, label_room, say_ticks
from tasks.reports.plots.svg import BAD, CHALLENGER, INK, QUIET
from tasks.wording import say_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS, MOST_PANELS = 12, 4
BARS_WIDE, PANEL_HIGH, BETWEEN = 190.0, 96.0, 52.0


def draw_drift(story: Story) -> dict[str, str]:
    """`drift`: the twelve columns that moved most by their index, red where it is more than chance; four of them then and now."""
    columns = ranked_columns(story.drift)
    if story.drift is None or not columns:
        return {}
    shown, panels = columns[:MOST_BARS], columns[:MOST_PANELS]
    names = [label(drift.column, 24) for drift in shown]
    left, head = label_room(names, 170), 50.0
    tall = max(19.0 * len(shown), 2 * PANEL_HIGH + 62 if len(panels) > 2 else PANEL_HIGH)
    start = left + BARS_WIDE + 58
    wide = (SHEET - RIGHT - start - BETWEEN) / 2
    places: list[tuple[Box, Paint]] = [((left, head, BARS_WIDE, 19.0 * len(shown)), lambda axes: _paint_bars(axes, shown, names))]
    for k, drift in enumerate(panels):
        box = (start + k % 2 * (wide + BETWEEN), head + 14 + k // 2 * (PANEL_HIGH + 62), wide, PANEL_HIGH)
        places.append((box, _panel(drift)))
    of = f" of {len(columns)}" if len(columns) > len(shown) else ""
    note = f"population stability index of the first {len(shown)}{of} columns, red: more than chance; right: shares then (grey) and now"
    return {"drift": draw_sheet("drift", "Drift", note, places, 12, head + tall + 66)}


def ranked_columns(report: DriftReport | None) -> list[ColumnDrift]:
    """All columns and the target, the most drifted first."""
    if report is None:
        return []
    every = [*report.columns, *([report.target] if report.target is not None else [])]
    return sorted((drift for drift in every if np.isfinite(drift.index)), key=lambda drift: -drift.index)


def bin_names(shares: Shares) -> list[str]:
    """What each of the shares is of: ranges that end at the edges, or values and all others; missing ones last."""
    if shares.kind == "category":
        names = [*(label(value, 24) for value in shares.values), "all others"]
    elif not shares.edges:
        names = ["all"]
    else:
        ends = [say_number(edge, digits=3) for edge in shares.edges]
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        names = [f"up to {ends[0]}", *between, f"above {ends[-1]}"]
    return [*names, "missing"]


def _paint_bars(axes: Axes, columns: list[ColumnDrift], names: list[str]) -> None:
    longest = max(columns[0].index, 1e-9)
    for place, drift in enumerate(columns):
        axes.barh(place, drift.index, height=0.52, color=BAD if drift.drifted else CHALLENGER, alpha=0.85, linewidth=0)
        axes.text(drift.index + 0.03 * longest, place, say_number(drift.index, digits=2), va="center", fontsize=10.5, color=QUIET)
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.28 * longest))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def _panel(drift: ColumnDrift) -> Paint:
    return lambda axes: _paint_panel(axes, drift)


def _paint_panel(axes: Axes, drift: ColumnDrift) -> None:
    before, now = np.array(drift.before.shares), np.array(drift.now.shares)
    if len(before) != len(now):  # the bins are the old ones: others would not be comparable
        raise ValueError(f"drift of {drift.column}: {len(before)} shares then, {len(now)} now; both must be of the same bins")
    names = bin_names(drift.now)
    kept = np.arange(len(now) - (before[-1] == now[-1] == 0))  # the last bin holds missing values, which most columns have none of
    axes.bar(kept - 0.2, before[kept], width=0.38, color=QUIET, alpha=0.75, linewidth=0)
    axes.bar(kept + 0.2, now[kept], width=0.38, color=CHALLENGER, alpha=0.85, linewidth=0)
    axes.set_title(label(drift.column, 22), fontsize=10.5, color=INK, loc="left", pad=6)
    axes.set_xlim(-0.6, len(kept) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.locator_params(axis="y", nbins=3)
    say_ticks(axes.yaxis, percent=True)
    _name_ends(axes, [names[k] for k in kept])


def _name_ends(axes: Axes, names: list[str]) -> None:
    """All names where they are few, else the first and the last, which must not leave the sheet."""
    if len(names) <= 4:
        axes.set_xticks(range(len(names)), [label(name, 44 // len(names)) for name in names], fontsize=9.5)
        return
    axes.set_xticks([0, len(names) - 1], [label(names[0], 18), label(names[-1], 18)], fontsize=9.5)
    first, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
