"""The report's plots as SVG text. To add one: a function from a story to {name: SVG}, and its name here."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tasks.records import Story
from tasks.reports.plots.binary import draw_binary
from tasks.reports.plots.curves import draw_curves
from tasks.reports.plots.decisions import draw_decisions
from tasks.reports.plots.drift import draw_drift
from tasks.reports.plots.importance import draw_importance
from tasks.reports.plots.multiclass import draw_multiclass
from tasks.reports.plots.parallel import draw_parallel
from tasks.reports.plots.parameters import draw_parameter_importance, draw_parameter_slices
from tasks.reports.plots.regression import draw_regression
from tasks.reports.plots.retrains import draw_attribution, draw_score_history
from tasks.reports.plots.search import draw_search
from tasks.reports.plots.slices import draw_slices
from tasks.reports.plots.timeline import draw_timeline

SEARCH = (draw_search, draw_parallel, draw_parameter_importance, draw_curves, draw_parameter_slices, draw_timeline)
SCORES = (draw_binary, draw_decisions, draw_multiclass, draw_regression, draw_slices, draw_importance)
PLOTS: tuple[Callable[[Story], dict[str, str]], ...] = (*SEARCH, *SCORES, draw_drift, draw_score_history, draw_attribution)
log = logging.getLogger("evertune")


def plots(story: Story) -> dict[str, str]:
    """Every plot that this retrain has something to show in: name -> SVG, a file of its own or part of a page."""
    drawn: dict[str, str] = {}
    for draw in PLOTS:
        try:
            drawn |= draw(story)
        except Exception:  # the model is judged and registered by now: a picture that fails must not cost the report
            log.warning("%s failed; the report goes on without it", draw.__name__, exc_info=True)
    return drawn
