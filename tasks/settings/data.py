"""Settings of data: columns and their roles, what validation asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from tasks.settings.values import ColumnKind, Duration, Fraction, Policy, Settings, Severity, Task


class TimeSettings(Settings):
    """Which column says when a row happened, and how long after that its label is known."""

    column: str
    """Name of the time column; values without a zone are taken as UTC."""
    label_delay: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(0)
    """A label counts as known this long after the row's time; it is also the gap between training rows and what is scored."""


class TableSettings(Settings):
    """Which columns there are and what part each plays."""

    target: str
    """The column to predict; rows where it is missing are counted and left out."""
    task: Task | None = None
    """binary, multiclass, regression or ranking; told from the target's values when left out (a ranking never is)."""
    positive: bool | int | str | None = None
    """The positive class of a binary target; the larger value when left out."""
    time: Annotated[TimeSettings | None, BeforeValidator(lambda value: {"column": value} if isinstance(value, str) else value)] = None
    """When each row happened: a column's name, or {column, label_delay}. Without it rows are split by a hash of the key."""
    key: tuple[str, ...] = ()
    """Columns that together name a row; must be unique."""
    query: str | None = None
    """Ranking: the column that says which rows are ranked together, such as a search or a basket. The target is the rows' relevance."""
    columns: dict[str, ColumnKind] = {}
    """Declared kinds: number, category, date or ignore."""
    other_columns: Literal["infer", "ignore", "reject"] = "infer"
    """What happens to columns that `columns` does not name: infer their kind, ignore them, or reject the data set."""
    max_categories: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """A text column with more distinct values than this is left out unless declared."""

    @property
    def label_delay(self) -> timedelta:
        return self.time.label_delay if self.time else timedelta(0)

    @model_validator(mode="after")
    def _queries_are_ranked(self) -> Self:
        if self.task == "ranking" and self.query is None:
            raise ValueError("query: a ranking needs the column that says which rows are ranked together")
        if self.query is not None and self.task != "ranking":
            raise ValueError(
                f"query: only a ranking has queries; write task: ranking, or leave query out (task is {self.task or 'not given'})"
            )
        taken = {self.target: "target", **({self.time.column: "time column"} if self.time else {})}
        if self.query in taken:
            raise ValueError(f"query: {self.query} is the {taken[self.query]} already")
        if self.query is not None and self.columns.get(self.query, "ignore") != "ignore":
            raise ValueError(f"columns.{self.query}: says which rows are ranked together, it cannot be a feature too")
        return self


class Expectation(pydantic.BaseModel):
    """One Great Expectations expectation: its `type`, its own arguments beside it, and a severity."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    type: Annotated[str, Field(pattern=r"^expect_[a-z0-9_]+$")]
    """Great Expectations' name, such as expect_column_values_to_be_between."""
    severity: Severity = "critical"
    """critical rejects the data set; warning and info are reported."""
    policy: Policy | None = None
    """When it fails: stop (reject the data set), drop (leave the failing rows out and go on), forbid (train, but never promote)
    or warn. By the severity when left out: critical stops, all else warns."""

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class LeakageSettings(Settings):
    """When a column counts as known only after the event, and what then."""

    action: Literal["block", "warn", "off"] = "block"
    """block: train and report, but never promote; warn: only say so."""
    threshold: Fraction = 0.7
    """A single column scoring this far from chance (0) towards perfect (1) is suspect: 2 AUC - 1, or R2 for a regression."""
    allow: tuple[str, ...] = ()
    """Columns that were looked at and are known before the event."""


class DriftSettings(Settings):
    """When a column counts as distributed otherwise than in the champion's training rows, and what then."""

    action: Literal["warn", "forbid", "off"] = "warn"
    """warn: say so, and tell the tuning branch; forbid: train and report, but never promote; off: do not look."""
    index: Annotated[float, Field(gt=0)] = 0.25
    """Population stability index from which on a column may count as drifted."""
    rate: Fraction = 0.05
    """Share of false alarms among the alarms (Benjamini and Hochberg); both marks must be passed."""
    baseline: Literal["refresh", "carry"] = "refresh"
    """refresh: a promoted version is the new baseline; carry: the first champion's rows stay the baseline until told otherwise."""
    ignore: tuple[str, ...] = ()
    """Columns that drift by nature, such as a counter."""


class ValidationSettings(Settings):
    """The always-on base suite's limits, and the expectations on top of it."""

    min_rows: Annotated[int, Field(ge=10)] = 100
    """Fewest labelled rows before the as-of date."""
    max_unlabelled: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Largest share of rows without a label; such rows are counted and left out."""
    clock_tolerance: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(hours=1)
    """Rows later than the wall clock plus this reject the data set."""
    max_dropped: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Largest share of the rows that policies may leave out, taken together; more reject the data set."""
    rewritten: Literal["warn", "forbid", "off"] = "warn"
    """Rows that changed, came or went since the last retrain although their time had passed: say so, never promote, or do not look."""
    leakage: LeakageSettings = LeakageSettings()
    drift: DriftSettings = DriftSettings()
    expectations: tuple[Expectation, ...] = ()
    """Great Expectations' expectations, each by its type, with its own arguments and a severity."""
