"""Table of slices: challenger and rival on the rows that share a value of a column."""

from __future__ import annotations

import math

from tasks.records import Evaluation, SliceScore
from tasks.reports.chapters.intervals import is_sure, judge, say_reach
from tasks.reports.chapters.page import Cell, Grid, Row, Tone, without_empty
from tasks.reports.dimensions import known_metric
from tasks.wording import NOTHING, say_difference, say_number

MOST = 20
WORDS = {"good": "better", "bad": "worse", "plain": "unclear"}


def tell_slices(evaluation: Evaluation) -> Grid | None:
    """The slices that were judged, the worst first, then those that were not, greyed, with the reason."""
    if not evaluation.slices:
        return None
    order = sorted(evaluation.slices, key=lambda one: (bool(one.note), -_worse_by(evaluation, one)))
    rows = tuple(_row(one) for one in order[:MOST])
    title = f"{evaluation.metric} by slice" + (f" (the first {MOST} of {len(order):,})" if len(order) > MOST else "")
    if not evaluation.champion:
        return Grid(("Slice", "Rows", "Challenger", ""), tuple((*row[:3], row[-1]) for row in rows), title)
    other = "Stand-in" if evaluation.compared_with == "stand-in" else "Champion"
    between = "Between" if any(one.interval is not None for one in order[:MOST]) else ""
    return without_empty(Grid(("Slice", "Rows", "Challenger", other, "Change", "Challenger is", between), rows, title))


def _worse_by(evaluation: Evaluation, one: SliceScore) -> float:
    """How much worse than its rival; how bad in itself where there is none."""
    metric = known_metric(evaluation.metric)
    now, before = ((value if metric is None else metric.loss(value)) for value in (one.challenger, one.champion or 0.0))
    found = now - before
    return found if math.isfinite(found) else -math.inf


def _row(one: SliceScore) -> Row:
    tone: Tone = "quiet" if one.note else "plain"
    change = NOTHING if one.champion is None else say_difference(one.challenger - one.champion)
    return (
        Cell(f"{one.column}: {one.value}", code=True),
        Cell(f"{one.rows:,}", number=True, tone=tone),
        Cell(say_number(one.challenger, zeros=True), number=True, tone=tone),
        Cell(say_number(one.champion, zeros=True), number=True, tone=tone),
        Cell(change, number=True, tone=tone),
        *_judged(one),
    )


def _judged(one: SliceScore) -> tuple[Cell, Cell]:
    """What its interval shows and the interval itself, or why it was not judged."""
    if one.interval is None or not is_sure(one.interval):
        return Cell(""), Cell("", note=one.note)
    tone = judge(one.interval)
    return Cell(WORDS[tone], tone=tone), Cell(say_reach(one.interval).removeprefix("between "), tone="quiet")
