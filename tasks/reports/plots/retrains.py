"""Plots across retrains: the score at each of them, and why it moved at the last one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Attribution, Floats, PastScore, Story
from tasks.reports.dimensions import known_metric
from tasks.reports.plots.drawing import DASHES, draw, label, legend, spread
from tasks.reports.plots.svg import BAD, CHALLENGER, CHAMPION, INK, LINE, QUIET
from tasks.wording import say_difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 60


def draw_score_history(story: Story) -> dict[str, str]:
    """`score_history`: challenger and champion at the last 60 retrains, dots where the challenger went live. Needs two of them."""
    scores = scores_by_retrain(story)[-MOST:]
    if len(scores) < 2:
        return {}
    metric = known_metric(scores[-1].metric)
    better = "" if metric is None else f", {'more' if metric.greater_is_better else 'less'} is better"
    note = f"{scores[-1].metric}{better}; each retrain on test rows of its own; dots: promoted, with their versions"
    return {"score_history": draw("score_history", "Score over retrains", note, lambda axes: _paint_scores(axes, scores), 12, 270)}


def draw_attribution(story: Story) -> dict[str, str]:
    """`attribution`: what new data and new settings did to the score, beside what is noise."""
    attribution = story.attribution
    if attribution is None or not np.isfinite([attribution.data, attribution.settings]).all():
        return {}
    note = "change of the loss, left of 0 is better; grey: two standard errors of noise"
    return {"attribution": draw("attribution", "Why the score moved", note, lambda axes: _paint_effects(axes, attribution), 6, 186, 96, 30)}


def scores_by_retrain(story: Story) -> list[PastScore]:
    """Earlier retrains and this one, as far as they measured the same metric, the oldest first; of the same as-of the last."""
    result, name = story.result, story.result.metric.get("name")
    known = [past for past in story.past if past.metric == name and past.run_id != result.mlflow_run_id]
    if name and result.metric.get("challenger") is not None:
        now, before = result.metric["challenger"], result.metric.get("champion")
        known.append(PastScore(result.as_of, result.verdict, result.version, name, now, before, result.mlflow_run_id or ""))
    measured = {_instant(past.as_of): past for past in known if past.challenger is not None and np.isfinite(past.challenger)}
    return list(measured.values())


def _instant(as_of: str) -> str:
    """`2013-10-01` and `2013-10-01T00:00:00+00:00` are one."""
    try:
        return datetime.fromisoformat(as_of).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return as_of


def effects(attribution: Attribution) -> list[tuple[str, float]]:
    """Names and sizes, the whole last; below 0 the loss went down."""
    return [
        ("new data", attribution.data),
        ("new settings", attribution.settings),
        ("together", attribution.data + attribution.settings),
    ]


def _paint_scores(axes: Axes, scores: list[PastScore]) -> None:
    place = np.arange(len(scores), dtype=np.float64)
    before, now = _values([past.champion for past in scores]), _values([past.challenger for past in scores])
    if np.isfinite(before).any():
        axes.plot(place, before, linestyle=DASHES, color=CHAMPION, linewidth=1.6, marker="o", markersize=3.5, label="champion")
    axes.plot(place, now, color=CHALLENGER, linewidth=1.8, label="challenger")
    live = np.array([past.verdict == "promoted" for past in scores])
    axes.plot(place[~live], now[~live], "o", color=CHALLENGER, markersize=5, markerfacecolor="none", markeredgewidth=1.2)
    axes.plot(place[live], now[live], "o", color=CHALLENGER, markersize=7.5, markeredgewidth=0, label="promoted")
    for k in np.flatnonzero(live) if live.sum() <= 24 else ():
        if scores[k].version:
            axes.annotate(
                f"v{label(scores[k].version, 6)}",
                (place[k], now[k]),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=9.5,
                color=INK,
            )
    axes.set_xlim(-0.5, len(scores) - 0.5)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.08 * (high - low))
    kept = spread(len(scores), 8)
    axes.set_xticks(kept, [label(scores[k].as_of[:10], 10) for k in kept], fontsize=10)
    legend(axes, "above")


def _values(values: list[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _paint_effects(axes: Axes, attribution: Attribution) -> None:
    found = effects(attribution)
    noise = 2 * attribution.noise if np.isfinite(attribution.noise) else 0.0
    axes.axvspan(-noise, noise, color=QUIET, alpha=0.18, linewidth=0)
    axes.axvline(0, color=LINE, linewidth=1.4)
    furthest = max(noise, *(abs(size) for _, size in found), 1e-12)
    for place, (_, size) in enumerate(found):
        axes.barh(place, size, height=0.5, color=CHALLENGER if size < 0 else BAD, alpha=0.85, linewidth=0)
        side, shift = ("left", 0.03) if size >= 0 else ("right", -0.03)
        axes.text(size + shift * furthest, place, say_difference(size), va="center", ha=side, fontsize=10.5, color=INK)
    axes.set_yticks(range(len(found)), [name for name, _ in found])
    axes.set(xlim=(-1.45 * furthest, 1.45 * furthest), ylim=(len(found) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
