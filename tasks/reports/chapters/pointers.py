"""Chapters: how to undo, and where to look."""

from __future__ import annotations

from tasks.records import Story
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row
from tasks.reports.chapters.verdict import find_undo


def tell_undo(story: Story) -> Chapter | None:
    """How the last champion comes back; nothing when nothing went live."""
    result, champion = story.result, story.champion
    if result.verdict != "promoted":
        return None
    if champion is None:
        sentence = (
            f"No earlier version is there to go back to: take the alias champion away on the page of the model {result.model} in MLflow."
        )
        return Chapter("How to undo", (sentence,))
    sentence = f"This makes version {champion.version} the champion again; the new version stays in the registry."
    return Chapter("How to undo", (sentence,), (find_undo(story),))


def tell_pointers(story: Story) -> Chapter | None:
    """Addresses and commands of the run's pages, and its ids."""
    result = story.result
    ids = {"MLflow run": result.mlflow_run_id, "Prefect flow run": result.prefect_flow_run_id}
    places = [*result.look.items(), *((f"{name} id", identity) for name, identity in ids.items() if identity)]
    rows: tuple[Row, ...] = tuple((Cell(name), Cell(where, code=True, link=is_address(where))) for name, where in places)
    return Chapter("Where to look", grids=(Grid(("What", "Where"), rows),)) if rows else None


def is_address(text: str) -> bool:
    """Whether a text may become a link: http and https alone."""
    return text.lower().startswith(("http://", "https://"))
