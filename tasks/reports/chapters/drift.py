"""Chapter: which columns are distributed otherwise than when the champion was trained."""

from __future__ import annotations

import math

from tasks.records import ColumnDrift, Shares, Story
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row, name_some
from tasks.wording import NOTHING, end_sentence, say_count, say_number, say_share

PLOTS = ("drift",)
MOST = 30
NOTABLE = 0.01
"""A share of missing values that changed by more than this is told."""
EXPLAINED = "The index (of population stability) tells how far: 0.1 is little, 0.25 is much; p is adjusted for the number of columns."
HEADINGS = ("Column", "Then", "Now", "Index", "p", "")


def tell_drift(story: Story) -> Chapter | None:
    """The target and every drifted column then and now, the others folded away; nothing when nothing was compared."""
    drift = story.drift
    if drift is None or not (drift.columns or drift.target):
        return None
    target = [drift.target] if drift.target is not None else []
    watched = [*target, *drift.columns]
    moved = [one for one in watched if one.drifted]
    count = f"{len(moved)} of {say_count(len(watched), 'column')}" if moved else f"none of {say_count(len(watched), 'column')}"
    names = f": {name_some([one.column for one in moved], 6)}" if moved else ""
    told = end_sentence(f"Compared with {drift.since}, {count} {'have' if len(moved) > 1 else 'has'} drifted{names}")
    sentences = (told, *((end_sentence(f"{drift.note[:1].upper()}{drift.note[1:]}"),) if drift.note else ()), EXPLAINED)
    still = [one for one in drift.columns if not one.drifted]
    grids = (_table([*target, *(one for one in drift.columns if one.drifted)], target), _still(still))
    return Chapter("Drift", sentences, grids=tuple(grid for grid in grids if grid is not None), plots=PLOTS if moved else ())


def _explain() -> str:
    return (
        "The index (of population stability) tells how far: 0.1 is little, from 0.25 it is much; p is adjusted for the number of columns."
    )


def _table(columns: list[ColumnDrift], target: list[ColumnDrift]) -> Grid | None:
    rows = tuple(_row(one, "the target" if one in target else "") for one in columns[:MOST])
    title = f"Drifted (the first {MOST} of {len(columns):,})" if len(columns) > MOST else ""
    return Grid(HEADINGS, rows, title) if rows else None


def _still(columns: list[ColumnDrift]) -> Grid | None:
    count = f"the first {MOST} of {len(columns):,}" if len(columns) > MOST else str(len(columns))
    rows = tuple(_row(one, "") for one in columns[:MOST])
    return Grid(HEADINGS, rows, f"Columns that did not drift ({count})", folded=True) if rows else None


def _row(one: ColumnDrift, note: str) -> Row:
    then, now = say_both(one.before, one.now)
    return (
        Cell(one.column, code=True, note=note),
        Cell(then),
        Cell(now, strong=one.drifted),
        Cell(f"{one.index:.2f}", number=True),
        Cell(_say_p(one.p_value), number=True),
        Cell("drifted" if one.drifted else "", tone="warn" if one.drifted else "plain"),
    )


def _say_p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else say_number(p_value, digits=2)


def say_both(before: Shares, now: Shares) -> tuple[str, str]:
    """A column then and now in a few words: a number's median, the category whose share changed most; missing values where they changed."""
    if before.kind == "number":
        then, today = (f"median: {_median(shares)}" for shares in (before, now))
    else:
        names = [*before.values, "all others"]
        changes = [abs(b - a) for _, a, b in zip(names, before.shares, now.shares, strict=False)]
        most = max(range(len(changes)), key=lambda place: changes[place], default=0)
        then, today = (f"{names[most] or 'empty'}: {_share(shares, most)}" for shares in (before, now))
    if before.shares and now.shares and abs(before.shares[-1] - now.shares[-1]) > NOTABLE:
        then, today = (f"{said}, missing: {_share(shares, -1)}" for said, shares in ((then, before), (today, now)))
    return then, today


def _share(shares: Shares, place: int) -> str:
    return say_share(shares.shares[place]) if place < len(shares.shares) else NOTHING


def _median(shares: Shares) -> str:
    """By straight lines between the bins' ends; beyond the outermost ones only that end is known."""
    present, half = shares.shares[:-1], sum(shares.shares[:-1]) / 2
    below = 0.0
    for place, share in enumerate(present):
        if share > 0 and below + share >= half:
            return _between(shares.edges, place, (half - below) / share)
        below += share
    return NOTHING


def _between(edges: tuple[float, ...], place: int, part: float) -> str:
    if not edges or not 0 <= place <= len(edges):
        return NOTHING
    if place == 0:
        return f"below {say_number(edges[0], digits=3)}"
    if place == len(edges):
        return f"above {say_number(edges[-1], digits=3)}"
    value = edges[place - 1] + part * (edges[place] - edges[place - 1])
    return say_number(value if math.isfinite(value) else edges[place], digits=3)
