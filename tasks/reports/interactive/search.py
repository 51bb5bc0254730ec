"""Charts of a search: trial by trial, and every setting across its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.records import Floats, Rows, Search, Story, Trial
from tasks.reports.dimensions import Dimension, places, ranked, settings_of, shown
from tasks.reports.interactive.page import CHALLENGER, CHAMPION, FAINT, QUIET, Chart, axis, colour, numbers, safe
from tasks.reports.iterations import best_so_far
from tasks.reports.plots.drawing import spread
from tasks.reports.plots.parallel import TOP, axis_ends, choose_dimensions, score_places
from tasks.reports.plots.search import greater, limits, origin_of
from tasks.wording import say_duration, say_number

MOST_TRIALS, MOST_LINES, MOST_AXES = 2000, 300, 12
ORIGINS = {"search": ("search", CHALLENGER), "start": ("defaults and portfolio", QUIET), "memory": ("earlier retrains", CHAMPION)}


def chart_search(story: Story) -> list[Chart]:
    """`search_history`: every finished trial, where it came from, and the best so far."""
    search = story.search
    finished = [] if search is None else sorted(ranked(search), key=lambda trial: trial.number)
    if search is None or len(finished) < 2:
        return []
    finished = [finished[k] for k in spread(len(finished), MOST_TRIALS)]
    traces = [_dots(search, name, tone, mine) for origin, (name, tone) in ORIGINS.items() if (mine := _of(finished, origin))]
    number, best = zip(*best_so_far(search), strict=True)
    line = {"color": colour(CHALLENGER), "width": 2, "shape": "hv"}
    traces.append({"name": "best so far", "x": list(number), "y": numbers(best), "mode": "lines", "line": line, "hoverinfo": "skip"})
    trained = shown(search)
    if trained is not None and trained.value is not None and np.isfinite(trained.value):
        ring = {"color": "@text", "size": 13, "symbol": "circle-open", "line": {"width": 2}}
        traces.append(_dots(search, "chosen", "text", [trained]) | {"marker": ring})
    low, high = limits(np.array([trial.value for trial in finished], dtype=np.float64), greater(search))
    layout = {"xaxis": axis("trial"), "yaxis": axis(safe(search.metric), range=numbers([low, high]))}
    counts = ", ".join(f"{count} {state}" for state, count in search.counts.items() if count)
    note = f"{search.metric}, {'more' if greater(search) else 'less'} is better; {counts}; zoom out for the hopeless ones"
    return [Chart("search_history", "Search history", note, traces, layout, 360, True)]


def chart_parallel(story: Story) -> list[Chart]:
    """`parallel`: the finished trials of the chosen trial's family across the twelve parameters that matter most."""
    search = story.search
    trained = shown(search) if search is not None else None
    if search is None or trained is None:
        return []
    trials = [trial for trial in ranked(search) if trial.family == trained.family]
    dimensions = choose_dimensions(search, trials, MOST_AXES)
    if len(trials) < 2 or len(dimensions) < 2:
        return []
    sheet = np.column_stack(
        [
            *(places(dimension, [settings_of(trial).get(name) for trial in trials]) for name, dimension in dimensions.items()),
            score_places(search, trials),
        ]
    )
    top = max(1, int(TOP * len(trials) + 0.5))
    others = top + spread(len(trials) - top, MOST_LINES)
    mine = np.array([k for k, trial in enumerate(trials) if trial.number == trained.number], dtype=np.int64)
    parts = (("others", FAINT, 1, others), ("the best tenth", CHALLENGER, 1.6, np.arange(top)), ("chosen", CHAMPION, 3, mine))
    traces = [_lines(search, name, tone, width, trials, sheet, kept) for name, tone, width, kept in parts if len(kept)]
    traces.append(
        {"name": "", "x": [], "y": [], "mode": "lines", "line": {"color": "@text", "width": 3}, "hoverinfo": "skip", "showlegend": False}
    )
    layout = _parallel_layout(search, trials, dimensions)
    return [Chart("parallel", "Settings and scores", "a line a trial; hover to follow one", traces, layout, 420, True)]


def _of(trials: list[Trial], origin: str) -> list[Trial]:
    return [trial for trial in trials if origin_of(trial) == origin]


def _dots(search: Search, name: str, tone: str, trials: list[Trial]) -> dict[str, Any]:
    return {
        "name": name,
        "x": [trial.number for trial in trials],
        "y": numbers(np.nan if trial.value is None else trial.value for trial in trials),
        "mode": "markers",
        "marker": {"color": colour(tone), "size": 7, "opacity": 0.7},
        "text": [_tell(search, trial) for trial in trials],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _tell(search: Search, trial: Trial) -> str:
    """Everything that a trial was, line by line."""
    settings = [f"{safe(name, 40)} {safe(say_number(value), 40)}" for name, value in list(settings_of(trial).items())[:MOST_AXES]]
    score = "" if trial.value is None else f"{safe(search.metric)} {trial.value:.5g}"
    return "<br>".join([f"trial {trial.number}, {say_duration(trial.seconds)}, from {safe(trial.origin)}", score, *settings])


def _lines(search: Search, name: str, tone: str, width: float, trials: list[Trial], sheet: Floats, kept: Rows) -> dict[str, Any]:
    """These trials as one trace: the points of a line, then a gap. `meta.axes` tells the page where a line ends."""
    across = sheet.shape[1]
    told = [_tell(search, trials[k]) for k in kept]
    return {
        "name": name,
        "x": [*range(across), None] * len(kept),
        "y": numbers(np.hstack([sheet[kept], np.full((len(kept), 1), np.nan)]).ravel()),
        "text": [text for text in told for _ in range(across + 1)],
        "mode": "lines+markers",
        "marker": {"size": 3, "color": colour(tone)},
        "line": {"color": colour(tone), "width": width},
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"axes": across},
    }


def _parallel_layout(search: Search, trials: list[Trial], dimensions: dict[str, Dimension]) -> dict[str, Any]:
    names = [*(safe(name, 22) for name in dimensions), f"<b>{safe(search.metric, 22)}</b>"]
    ends = [*map(axis_ends, dimensions.values()), (say_number(trials[-1].value), say_number(trials[0].value))]
    notes = [
        {"x": x, "y": y, "text": safe(text, 14), "showarrow": False, "yanchor": anchor, "font": {"size": 11, "color": colour(QUIET)}}
        for x, (low, high) in enumerate(ends)
        for y, text, anchor in ((-0.02, low, "top"), (1.02, high, "bottom"))
    ]
    return {
        "xaxis": axis("", tickvals=list(range(len(names))), ticktext=names, range=[-0.4, len(names) - 0.6]),
        "yaxis": {"visible": False, "range": [-0.1, 1.1]},
        "annotations": notes,
        "meta": {"follow": True},
    }
