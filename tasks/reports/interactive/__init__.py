"""The interactive page: every curve of a retrain to hover over, zoom into and save, in one HTML file.

plotly.js lies inside it and it asks for nothing, so that it draws offline and in the sandboxed frame that MLflow gives it.
To add a chart: a function from a story to charts, and its name here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tasks.records import Story
from tasks.reports.interactive.answers import chart_confusion, chart_residuals
from tasks.reports.interactive.columns import chart_drift, chart_importance, chart_slices
from tasks.reports.interactive.curves import chart_curves
from tasks.reports.interactive.decisions import chart_decisions
from tasks.reports.interactive.page import Chart, render_page
from tasks.reports.interactive.retrains import chart_attribution, chart_score_history
from tasks.reports.interactive.search import chart_parallel, chart_search

SECTIONS: dict[str, tuple[Callable[[Story], list[Chart]], ...]] = {
    "Scores": (chart_curves, chart_decisions, chart_confusion, chart_residuals, chart_slices),
    "Retrains": (chart_score_history, chart_attribution),
    "Features and data": (chart_importance, chart_drift),
    "Search": (chart_search, chart_parallel),
}
log = logging.getLogger("evertune")


def interactive_page(story: Story) -> str:
    """The page as HTML, 5 MB of which are plotly.js; empty where nothing was scored and there is nothing else to show."""
    sections = {title: [chart for make in makers for chart in _charts(make, story)] for title, makers in SECTIONS.items()}
    kept = {title: charts for title, charts in sections.items() if charts}
    return render_page(story, kept) if kept or story.evaluation is not None else ""


def _charts(make: Callable[[Story], list[Chart]], story: Story) -> list[Chart]:
    try:
        return make(story)
    except Exception:  # the model is judged and registered by now: a chart that fails must not cost the others
        log.warning("%s failed; the interactive page goes on without it", make.__name__, exc_info=True)
        return []
