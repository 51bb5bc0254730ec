"""The report's chapters, in reading order; each tells its part of a story, or nothing when that part did not happen."""

from __future__ import annotations

from collections.abc import Callable

from tasks.chapters.cost import tell_cost
from tasks.chapters.data import tell_data
from tasks.chapters.gate import tell_gate
from tasks.chapters.page import Chapter, Page
from tasks.chapters.pointers import tell_pointers, tell_undo
from tasks.chapters.scores import tell_scores
from tasks.chapters.tuning import tell_tuning
from tasks.chapters.verdict import tell_alerts, tell_as_of, tell_banner, tell_facts, tell_figures
from tasks.records import Story

CHAPTERS: tuple[Callable[[Story], Chapter | None], ...] = (
    tell_tuning,
    tell_data,
    tell_scores,
    tell_gate,
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
        alerts=tell_alerts(story),
        chapters=chapters,
        config=story.config,
    )
