"""Records of data: what was read, which rows and columns a retrain may see, how they are split."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.settings import ColumnKind, Policy, Scalar, Severity, Task

Floats = NDArray[np.float64]


Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SourceRecord:
    """What was read: `location` holds no secret, `bytes` is the frame's size in memory, `digest` is of its content."""

    kind: str
    location: str
    rows: int
    columns: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class LoadedTable:
    """A frame as it came from its source, every row of it."""

    frame: pd.DataFrame
    source: SourceRecord


@dataclass(frozen=True)
class Target:
    """The column to predict. `classes` are its sorted values (two for binary, the last one positive; else none)."""

    column: str
    task: Task
    classes: tuple[Scalar, ...] = ()


@dataclass(frozen=True)
class Columns:
    """The role of every column that is used: `features` maps a name to its kind, in the order models see them."""

    target: Target
    features: dict[str, ColumnKind]
    time: str | None = None
    key: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that are not used -> why."""
    query: str | None = None
    """A ranking's: the column that says which rows are ranked together."""


@dataclass(frozen=True)
class Finding:
    """One row of the validation table. `expected` and `observed` are short texts; `examples` are a few failing values."""

    check: str
    column: str
    severity: Severity
    passed: bool
    expected: str
    observed: str
    failed_rows: int = 0
    examples: tuple[str, ...] = ()
    seconds: float = 0.0
    policy: Policy | None = None
    """What its failing means; by the severity when None: critical stops, all else warns."""


@dataclass(frozen=True)
class Suspect:
    """A feature that may be known only after the event: `score` runs from chance (0) to perfect (1)."""

    column: str
    reason: str
    score: float


@dataclass(frozen=True)
class Table:
    """The rows a retrain may see: labelled, before the as-of cut, in time order, with their roles.

    `digest` covers exactly these rows, whatever their order; `unlabelled` and `after_cut` count what was left out.
    """

    frame: pd.DataFrame
    columns: Columns
    digest: str
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...] = ()
    unlabelled: int = 0
    after_cut: int = 0
    expectations: dict[str, Any] = field(default_factory=dict)
    """Great Expectations' raw result, JSON-ready."""
    dropped: pd.DataFrame | None = None
    """Rows that a policy left out, with a first column `why`; None when there are none."""
    forbids: tuple[str, ...] = ()
    """Why no model of these rows may go live, whatever its scores: failed expectations whose policy is forbid."""

    @property
    def newest(self) -> datetime | None:
        """The last row's time (UTC); None without a time column."""
        if self.columns.time is None:
            return None
        newest: datetime = self.frame[self.columns.time].max().to_pydatetime()
        return newest


@dataclass(frozen=True)
class Fold:
    """Row positions into the table's frame: models are fitted on `train` and scored on `valid`."""

    train: Rows
    valid: Rows


@dataclass(frozen=True)
class Split:
    """Row positions into the table's frame. No row of `test` is in `train`, nor within the gap of it."""

    folds: tuple[Fold, ...]
    train: Rows
    test: Rows
    note: str
    """How it was cut, in one sentence for the report."""
    unseen: bool = True
    """Whether the champion was trained on no row of `test`; else its settings, refitted, stand in for it."""
