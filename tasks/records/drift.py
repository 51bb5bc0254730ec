"""Records of how data moves between retrains: distributions, and rows that came late or were rewritten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Shares:
    """A column's distribution in a few numbers: shares of the rows by bin, missing ones last; they sum to 1.

    A number's bins end at `edges` (one more bin above the last edge), a category's are `values` and all others together.
    """

    column: str
    kind: Literal["number", "category"]
    rows: int
    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnDrift:
    """One column then and now. `index` is the population stability index, `p_value` of the test that both are alike."""

    column: str
    before: Shares
    now: Shares
    index: float
    p_value: float
    """Adjusted for the number of columns (Benjamini and Hochberg)."""
    drifted: bool


@dataclass(frozen=True)
class DriftReport:
    """Every watched column, the most drifted first, and the target apart."""

    since: str
    """What it is compared with, such as `the rows that champion v3 was trained on (through 2013-09-29)`."""
    columns: tuple[ColumnDrift, ...] = ()
    target: ColumnDrift | None = None
    note: str = ""
    """Why nothing could be compared, where that is so; else what to know of the rows."""
    carried: bool = False
    """Whether it is compared with rows that an earlier champion was trained on, not the one that is live."""

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        found = (*self.columns, *([self.target] if self.target else []))
        return tuple(drift for drift in found if drift.drifted)


@dataclass(frozen=True)
class Rewriting:
    """What changed in rows that the last retrain had seen already, by the fingerprint it left."""

    since: str
    """Which retrain, such as `the retrain of 2013-09-01`."""
    late: int = 0
    """Rows that were not there then, though their time had passed."""
    removed: int = 0
    rewritten_days: tuple[str, ...] = field(default_factory=tuple)
    """Days (or buckets, without a time column) whose rows have the same keys, or as many, but another content."""
    rewritten_rows: int = 0
    """Rows of these days; at most so many were rewritten."""
    note: str = ""
    """What could not be compared, and why; empty where all could."""

    @property
    def changed(self) -> bool:
        return bool(self.late or self.removed or self.rewritten_days)
