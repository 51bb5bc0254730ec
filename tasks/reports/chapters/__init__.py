"""The report's chapters, in reading order; each tells its part of a story, or nothing when that part did not happen."""

from __future__ import annotations

from collections.abc import Callable

from tasks.records import Story
from tasks.reports.chapters.cost import tell_cost
from tasks.reports.chapters.data import tell_data
from tasks.reports.chapters.drift import tell_drift
from tasks.reports.chapters.gate import tell_gate
from tasks.reports.chapters.movement import tell_movement
from tasks.reports.chapters.page import Chapter, Page
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


def compose_page(story: Story) -> Page:
    """Everything a reader gets to see, in order; how it looks is the templates' business."""
    chapters = tuple(chapter for tell in CHAPTERS if (chapter := tell(story)) is not None)
    return Page(
        name=story.result.model,
        as_of=tell_as_of(story),
        description=story.description,
        banner=tell_banner(story),
        facts=tell_facts(story),
        figures=tell_figures(story),
        comparison=tell_comparison(story),
        alerts=tell_alerts(story),
        chapters=chapters,
        config=story.config,
    )
