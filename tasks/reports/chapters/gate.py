"""Chapter: the gate's conditions, one by one."""

from __future__ import annotations

from tasks.records import Story
from tasks.reports.chapters.page import Cell, Chapter, Grid
from tasks.wording import end_sentence, say_count


def tell_gate(story: Story) -> Chapter | None:
    """Each condition and whether it held, failed ones first; nothing when no candidate came before the gate."""
    if story.verdict is None:
        return None
    checks = sorted(story.verdict.checks, key=lambda check: check.passed)
    failed = sum(not check.passed for check in checks)
    rows = tuple(
        (Cell("✓ held" if check.passed else "✕ failed", tone="good" if check.passed else "bad"), Cell(check.name), Cell(check.detail))
        for check in checks
    )
    if not rows:
        return Chapter("Gate", (end_sentence(story.verdict.reason),))
    counted = f"{failed or len(checks)} of {say_count(len(checks), 'condition')} {'failed' if failed else 'held'}."
    return Chapter("Gate", (counted,), grids=(Grid(("", "Condition", "Detail"), rows),))
