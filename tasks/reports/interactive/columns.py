"""Charts of columns and their values: importance, slices, drift."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.records import ColumnDrift, Story
from tasks.reports.interactive.page import BAD, CHALLENGER, FAINT, QUIET, Chart, axis, colour, numbers, safe
from tasks.reports.plots.drift import bin_names, ranked_columns
from tasks.reports.plots.slices import Side, SliceLine, describe_slice, slice_lines

MOST_FEATURES, MOST_SLICES, MOST_COLUMNS, MOST_DISTRIBUTIONS = 40, 80, 60, 6
SIDES: dict[Side, str] = {"better": CHALLENGER, "worse": BAD, "open": QUIET, "not judged": FAINT}


def chart_importance(story: Story) -> list[Chart]:
    """`importance`: the 40 features with the largest share of the model's gain."""
    first = sorted(((name, share) for name, share in story.importance.items() if share > 0), key=lambda item: -item[1])[:MOST_FEATURES]
    if not first:
        return []
    told = [f"{safe(name)}: {share:.2%}" for name, share in first]
    trace = _bars([share for _, share in first], told, [CHALLENGER] * len(first))
    layout = {"xaxis": axis("share of the total gain", tickformat=".0%"), "yaxis": _names([name for name, _ in first])}
    of = f"the first {len(first)} of {len(story.importance)} features" if len(first) < len(story.importance) else "all features"
    return [Chart("importance", "Feature importance", f"share of the model's total gain; {of}", [trace], layout, _height(len(first)), True)]


def chart_slices(story: Story) -> list[Chart]:
    """`slices`: challenger against champion, slice by slice, with its interval; the 80 that differ most."""
    lines = slice_lines(story.evaluation) if story.evaluation is not None else []
    if story.evaluation is None or not lines:
        return []
    lines = sorted(sorted(lines, key=lambda line: -abs(line.difference))[:MOST_SLICES], key=lambda line: line.name)
    traces = [_side(side, tone, there) for side, tone in SIDES.items() if (there := [k for k in enumerate(lines) if k[1].side == side])]
    layout = {
        "xaxis": axis(f"how much worse the challenger's {safe(story.evaluation.metric)} is", zeroline=True, zerolinecolor=colour(QUIET)),
        "yaxis": _names([line.name for line in lines]),
    }
    note = "the challenger against its rival on each slice; left of 0 it is better, the line is the interval"
    return [Chart("slices", "Slices", note, traces, layout, _height(len(lines)), True)]


def chart_drift(story: Story) -> list[Chart]:
    """`drift` by column, and the distributions of the six that moved most, then and now."""
    columns = ranked_columns(story.drift)[:MOST_COLUMNS]
    if story.drift is None or not columns:
        return []
    told = [f"{safe(drift.column)}: index {drift.index:.4g}, p {drift.p_value:.3g}" for drift in columns]
    trace = _bars([drift.index for drift in columns], told, [BAD if drift.drifted else CHALLENGER for drift in columns])
    layout = {"xaxis": axis("population stability index"), "yaxis": _names([drift.column for drift in columns])}
    note = f"how far each column moved, red: more than chance; compared with {story.drift.since or 'earlier rows'}"
    every = Chart("drift", "Drift", note, [trace], layout, _height(len(columns)), True)
    return [every, *(_then_and_now(place, drift) for place, drift in enumerate(columns[:MOST_DISTRIBUTIONS]))]


def _bars(values: list[float], told: list[str], tones: list[str]) -> dict[str, Any]:
    """Bars by position, not by name: two long names may be alike once they are cut."""
    return {
        "type": "bar",
        "orientation": "h",
        "x": numbers(values),
        "y": list(range(len(values))),
        "text": told,
        "textposition": "none",
        "marker": {"color": [colour(tone) for tone in tones]},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _names(names: list[str]) -> dict[str, Any]:
    """An axis with a name at each position, the first one on top."""
    ticks = [safe(name, 40) for name in names]
    return {"tickvals": list(range(len(ticks))), "ticktext": ticks, "range": [len(ticks) - 0.4, -0.6], "showgrid": False}


def _height(count: int) -> int:
    return 84 + 21 * count


def _side(side: Side, tone: str, there: list[tuple[int, SliceLine]]) -> dict[str, Any]:
    lines = [line for _, line in there]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": numbers(line.high - line.difference for line in lines),
        "arrayminus": numbers(line.difference - line.low for line in lines),
        "color": colour(tone),
        "thickness": 1.6,
        "width": 0,
    }
    return {
        "name": "cannot be told" if side == "open" else side,
        "x": numbers(line.difference for line in lines),
        "y": [place for place, _ in there],
        "mode": "markers",
        "marker": {"color": colour(tone), "size": 9},
        "error_x": spread,
        "text": [_tell(line) for line in lines],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _tell(line: SliceLine) -> str:
    interval = f"<br>{line.low:+.4g} to {line.high:+.4g}" if np.isfinite([line.low, line.high]).all() else ""
    return f"{safe(line.name)}: {line.difference:+.4g}{interval}<br>{describe_slice(line)}"


def _then_and_now(place: int, drift: ColumnDrift) -> Chart:
    names, before, now = bin_names(drift.now), drift.before.shares, drift.now.shares
    kept = range(len(now) - (before[-1] == now[-1] == 0))
    traces = [
        {
            "type": "bar",
            "name": f"{name} ({shares.rows:,} rows)",
            "x": list(kept),
            "y": numbers(shares.shares[k] for k in kept),
            "text": [safe(names[k], 40) for k in kept],
            "textposition": "none",
            "marker": {"color": colour(tone)},
            "hovertemplate": "%{text}: %{y:.2%}",
        }
        for name, shares, tone in (("then", drift.before, QUIET), ("now", drift.now, CHALLENGER))
    ]
    ticks = {"tickvals": list(kept), "ticktext": [safe(names[k], 18) for k in kept], "showgrid": False}
    layout = {"barmode": "group", "xaxis": axis("", **ticks), "yaxis": axis("", tickformat=".0%")}
    note = f"shares of the rows then and now; index {drift.index:.3g}" + (", more than chance" if drift.drifted else "")
    return Chart(f"drift_{place}", drift.column, note, traces, layout, 290)
