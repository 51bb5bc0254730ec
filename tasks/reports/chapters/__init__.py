"""The report's chapters, in reading order; each tells its part of a story, or nothing when that part did not happen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tasks.records import Story
from tasks.reports.chapters.cost import tell_cost
from tasks.reports.chapters.data import tell_data
from tasks.reports.chapters.drift import tell_drift
from tasks.reports.chapters.gate import tell_gate
from tasks.reports.chapters.movement import tell_movement
from tasks.reports.chapters.page import Alert, Chapter, Page
from tasks.reports.chapters.pointers import tell_pointers, tell_undo
from tasks.reports.chapters.retrains import tell_retrains
from tasks.reports.chapters.scores import tell_scores
from tasks.reports.chapters.service import tell_service
from tasks.reports.chapters.tuning import tell_tuning
from tasks.reports.chapters.verdict import tell_alerts, tell_as_of, tell_banner, tell_comparison, tell_facts, tell_figures

CHAPTERS: tuple[Callable[[Story], Chapter | None], ...] = (
    tell_gate,
    tell_scores,
    tell_movement,
    tell_service,
    tell_tuning,
    tell_data,
    tell_drift,
    tell_retrains,
    tell_cost,
    tell_undo,
    tell_pointers,
)

Part = TypeVar("Part")
Other = TypeVar("Other")
log = logging.getLogger("evertune")


def compose_page(story: Story) -> Page:
    """Everything a reader gets to see, in order; how it looks is the templates' business."""
    missing: list[str] = []

    def told(tell: Callable[[Story], Part], otherwise: Other) -> Part | Other:
        """The model is judged, and perhaps live, by now: a part that cannot be told must not cost the others."""
        try:
            return tell(story)
        except Exception as error:
            log.warning("%s failed; the report goes on without it", tell.__name__, exc_info=True)
            missing.append(f"{tell.__name__.removeprefix('tell_')} ({type(error).__name__}: {error})")
            return otherwise

    chapters = tuple(chapter for tell in CHAPTERS if (chapter := told(tell, None)) is not None)
    facts, figures, comparison, alerts = told(tell_facts, ()), told(tell_figures, ()), told(tell_comparison, None), told(tell_alerts, ())
    lacking = (Alert(f"Left out of this report, because telling it failed: {'; '.join(missing)}.", "warn"),) if missing else ()
    return Page(
        name=story.result.model,
        as_of=tell_as_of(story),
        description=story.description,
        banner=tell_banner(story),
        facts=facts,
        figures=figures,
        comparison=comparison,
        alerts=(*alerts, *lacking),
        chapters=chapters,
        config=story.config,
    )
