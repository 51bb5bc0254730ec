"""Records of judging: scores, the conditions of the gate, the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tasks.records.data import Floats, Rows

Scores = dict[str, float]
Answer = Literal["promote", "keep", "ask"]


@dataclass(frozen=True)
class Interval:
    """How much worse the challenger is than its rival: the difference of their losses, in the metric's units, below 0 where it is better.

    Either end stands for itself: the true difference is below `high` with the probability `confidence`, and above `low`
    with the same one, so it is between both with 2 * confidence - 1 (0.9 for 0.95). One end is what a gate asks for: is it
    worse by too much? All but `difference`, `confidence` and `blocks` are NaN where the rows say nothing of noise, and
    every comparison with them is then False.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    confidence: float
    blocks: int
    """Blocks of rows (days) that were drawn again."""
    freedom: float = math.nan
    """Student's degrees of freedom: one less than there are blocks, and fewer the more their sizes differ."""
    lean: float = 0.0
    """Skewness of the drawn differences: above 0 where few blocks are much worse than most, and `high` lies further off."""


@dataclass(frozen=True)
class SliceScore:
    """Challenger and rival on the rows that share one value of a column; `interval` is None where there are too few of them."""

    column: str
    value: str
    rows: int
    challenger: float
    champion: float | None
    interval: Interval | None
    note: str = ""
    """Why it was not judged, such as `3 rows are fewer than gate.slice_min_rows`."""


@dataclass(frozen=True)
class GoldenRow:
    """One row with a known answer, and what the challenger said to it."""

    row: int
    """From 1, as the file counts."""
    expected: str
    answered: str
    passed: bool


@dataclass(frozen=True)
class ServingCost:
    """What it costs to answer: milliseconds (median of several) and megabytes (1,000,000 bytes) on disk."""

    one_row_ms: float
    thousand_rows_ms: float
    megabytes: float


@dataclass(frozen=True)
class Slide:
    """The challenger against the settings of the last version that was clearly better than the one before it: many small losses add up."""

    version: str
    score: float
    interval: Interval


@dataclass(frozen=True)
class Attribution:
    """Why the score moved: {old, new settings} x {old, new data}, each a loss on the same test rows, less is better.

    By Shapley's rule each effect is the mean over the two orders in which settings and data can change, so that both add
    up to the whole. `noise` is the standard error of the whole, by the block bootstrap.
    """

    old_settings_old_data: float
    old_settings_new_data: float
    new_settings_old_data: float
    new_settings_new_data: float
    data: float
    settings: float
    noise: float


@dataclass(frozen=True)
class Wear:
    """How often the test window has decided before: a window that is asked again and again ends up being fitted to."""

    uses: int
    """Earlier decisions on at least half of these rows."""
    limit: int
    """From so many uses on it counts as worn."""

    @property
    def worn(self) -> bool:
        return self.uses >= self.limit


@dataclass(frozen=True)
class Decided:
    """An earlier decision: when, on which test window, and what came of it."""

    as_of: datetime
    first: datetime
    last: datetime
    verdict: str


@dataclass(frozen=True)
class Evaluation:
    """Challenger and champion on the same rows; `champion` is empty when there is none or it could not be scored."""

    metric: str
    challenger: Scores
    champion: Scores
    rows: int
    compared_with: Literal["nobody", "champion", "stand-in"]
    note: str
    truth: Floats
    prediction: Floats
    champion_prediction: Floats | None = None
    blocks: Rows | None = None
    """Each test row's block (day), whole numbers from 0, shape (rows,)."""
    interval: Interval | None = None
    """Of the main metric; None where there is nobody to compare with."""
    slices: tuple[SliceScore, ...] = ()
    churn: float | None = None
    """Share of the rows that get another class than from the rival; without classes the mean absolute change over the rival's spread."""
    golden: tuple[GoldenRow, ...] = ()
    cost: ServingCost | None = None
    slide: Slide | None = None


@dataclass(frozen=True)
class Check:
    """One condition of the gate. `unsure`: it neither failed nor was it shown to hold; `passed` is False then."""

    name: str
    passed: bool
    detail: str
    unsure: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the gate says: promote, keep or ask a person; why, and each condition."""

    answer: Answer
    reason: str
    checks: tuple[Check, ...] = ()
    margin: float | None = None
    """How much worse than its rival the challenger may be, in the main metric's units (0 where it must be better); None without a rival."""

    @property
    def passed(self) -> bool:
        return self.answer == "promote"
