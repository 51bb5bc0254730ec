"""Chapter: the gate's conditions, one by one."""

from __future__ import annotations

from tasks.chapters.page import Cell, Chapter, Grid, Row
from tasks.records import Story


def tell_gate(story: Story) -> Chapter | None:
    """Each condition and whether it held; nothing when no candidate came before the gate."""
    if story.verdict is None:
        return None
    rows: tuple[Row, ...] = tuple(
        (Cell("passed" if check.passed else "failed", tone="good" if check.passed else "bad"), Cell(check.name), Cell(check.detail))
        for check in sorted(story.verdict.checks, key=lambda check: check.passed)
    )
    return Chapter("Gate", (story.verdict.reason,), (Grid(("", "Condition", "Detail"), rows),) if rows else ())
