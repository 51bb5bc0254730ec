"""Chapter: the gate's conditions, one by one, and how often these test rows have decided before."""

from __future__ import annotations

from tasks.records import Check, Story, Verdict, Wear
from tasks.reports.chapters.page import Cell, Chapter, Grid
from tasks.wording import end_sentence, say_count


def tell_gate(story: Story) -> Chapter | None:
    """Each condition and whether it held, failed ones first, then those that could not be told; nothing when nothing was judged."""
    if story.verdict is None:
        return None
    worn = (_say_wear(story.wear),) if story.wear is not None else ()
    checks = sorted(story.verdict.checks, key=_rank)
    if not checks:
        return Chapter("Gate", (end_sentence(story.verdict.reason), *worn))
    rows = tuple((_outcome(check), Cell(check.name), Cell(check.detail)) for check in checks)
    return Chapter("Gate", (_count(story.verdict), *worn), grids=(Grid(("", "Condition", "Detail"), rows),))


def _rank(check: Check) -> int:
    return 2 if check.passed else 1 if check.unsure else 0


def _outcome(check: Check) -> Cell:
    if check.unsure:
        return Cell("? unsure", tone="warn")
    return Cell("✓ held", tone="good") if check.passed else Cell("✕ failed", tone="bad")


def _count(verdict: Verdict) -> str:
    """`1 of 3 conditions failed, 1 could not be told.`"""
    unsure = sum(check.unsure for check in verdict.checks)
    failed = sum(not check.passed and not check.unsure for check in verdict.checks)
    whole = say_count(len(verdict.checks), "condition")
    if not failed and not unsure:
        return f"{len(verdict.checks)} of {whole} held."
    if not failed:
        return f"{unsure} of {whole} could not be told from these rows, the others held."
    return f"{failed} of {whole} failed" + (f", {unsure} could not be told from these rows." if unsure else ".")


def _say_wear(wear: Wear) -> str:
    if not wear.uses:
        return "These test rows decide for the first time."
    return f"These test rows have decided {say_count(wear.uses, 'time')} before; from {wear.limit:,} on they count as worn."
