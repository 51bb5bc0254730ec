"""Charts across retrains: the score at each of them, and why it moved at the last one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.records import PastScore, Story
from tasks.reports.dimensions import known_metric
from tasks.reports.interactive.page import BAD, CHALLENGER, CHAMPION, FAINT, Chart, axis, colour, numbers, safe
from tasks.reports.plots.retrains import effects, scores_by_retrain

NOTHING = float("nan")


def chart_score_history(story: Story) -> list[Chart]:
    """`score_history`: challenger and champion at every retrain that is known, large dots where the challenger went live."""
    scores = scores_by_retrain(story)
    if len(scores) < 2:
        return []
    places = list(range(len(scores)))
    told = [_tell(past) for past in scores]
    live = [past.verdict == "promoted" for past in scores]
    champion = [NOTHING if past.champion is None else past.champion for past in scores]
    line: dict[str, Any] = {"x": places, "text": told, "mode": "lines+markers", "hovertemplate": "%{text}<extra></extra>"}
    traces = [
        {**line, "name": "challenger", "y": numbers(past.challenger for past in scores), "line": {"color": colour(CHALLENGER), "width": 2},
         "marker": {"size": [11 if one else 6 for one in live], "symbol": ["circle" if one else "circle-open" for one in live]}},
    ]  # fmt: skip
    if np.isfinite(champion).any():
        dashed = {"color": colour(CHAMPION), "dash": "dash", "width": 2}
        traces.insert(0, {**line, "name": "champion", "y": numbers(champion), "line": dashed, "marker": {"size": 4}})
    metric = known_metric(scores[-1].metric)
    better = "" if metric is None else f", {'more' if metric.greater_is_better else 'less'} is better"
    kept = places[:: max(1, len(places) // 12)]
    ticks = {"tickvals": kept, "ticktext": [safe(scores[k].as_of[:10], 10) for k in kept]}
    note = f"{scores[-1].metric}{better}; large dots went live; each retrain is scored on test rows of its own"
    layout = {"xaxis": axis("as of", **ticks), "yaxis": axis(safe(scores[-1].metric))}
    return [Chart("score_history", "Score over retrains", note, traces, layout, 340, True)]


def chart_attribution(story: Story) -> list[Chart]:
    """`attribution`: what new data and new settings did to the loss, and how much of it may be noise."""
    attribution = story.attribution
    if attribution is None or not np.isfinite([attribution.data, attribution.settings]).all():
        return []
    found = effects(attribution)
    noise = 2 * attribution.noise if np.isfinite(attribution.noise) else 0.0
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": numbers(size for _, size in found),
        "y": [name for name, _ in found],
        "marker": {"color": [colour(CHALLENGER if size < 0 else BAD) for _, size in found]},
        "hovertemplate": "%{y}: %{x:+.4g}<extra></extra>",
    }
    band = {
        "type": "rect",
        "x0": -noise,
        "x1": noise,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "fillcolor": colour(FAINT),
        "opacity": 0.35,
        "line": {"width": 0},
        "layer": "below",
    }
    layout = {
        "xaxis": axis("change of the loss", zeroline=True, zerolinecolor="@quiet"),
        "yaxis": {"autorange": "reversed"},
        "shapes": [band],
    }
    note = f"left of 0 is better; grey: two standard errors of noise, {noise:.3g} either way"
    return [Chart("attribution", "Why the score moved", note, [bars], layout, 240, True)]


def _tell(past: PastScore) -> str:
    champion = "" if past.champion is None else f"<br>champion {past.champion:.5g}"
    version = f" v{safe(past.version, 8)}" if past.version else ""
    return f"{safe(past.as_of[:10], 10)}: {safe(past.verdict, 20)}{version}<br>challenger {past.challenger:.5g}{champion}"
