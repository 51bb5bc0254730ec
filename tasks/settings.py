"""What is configured: frozen settings, one class for each part of the YAML, the default beside its field.

Settings that belong to a part (a data source, a model family) live with the part; here are the rest.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def parse_duration(value: object) -> object:
    """`"90m"` -> timedelta; a timedelta goes through unchanged, a bare number has no unit and is refused."""
    if isinstance(value, timedelta):
        return value
    match = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a duration is a number and one of s, m, h, d, w, such as 12h or 30d; got {value!r}")
    try:
        return timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise ValueError(f"a duration may be at most {timedelta.max.days:,} days; got {value!r}") from None


def format_duration(value: timedelta) -> str:
    """The shortest whole-number text that `parse_duration` reads back as the same length."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def refuse_bool(value: object) -> object:
    """`trials: true` is a slip, not the number 1."""
    if isinstance(value, bool):
        raise ValueError(f"a number is wanted, got {value}")
    return value


def split_words(value: object) -> object:
    """`"weekday hour"` -> ("weekday", "hour"): a list that one choice of a search can name."""
    return tuple(value.split()) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhdw]$", "examples": ["12h", "30d"]}),
]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Task = Literal["binary", "multiclass", "regression", "ranking"]
ColumnKind = Literal["number", "category", "date", "ignore"]
Severity = Literal["critical", "warning", "info"]
Scalar = bool | int | float | str


class Settings(pydantic.BaseModel):
    """Base of all settings: frozen, unknown keys refused, a field's docstring is its description in the JSON Schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False)

    def changed(self, **fields: object) -> Any:
        """A copy with some fields replaced, validated again."""
        return type(self).model_validate({**dict(self), **fields})


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


class ValidationSettings(Settings):
    """The always-on base suite's limits, and the expectations on top of it."""

    min_rows: Annotated[int, Field(ge=10)] = 100
    """Fewest labelled rows before the as-of date."""
    max_unlabelled: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Largest share of rows without a label; such rows are counted and left out."""
    clock_tolerance: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(hours=1)
    """Rows later than the wall clock plus this reject the data set."""
    leakage: LeakageSettings = LeakageSettings()
    expectations: tuple[Expectation, ...] = ()
    """Great Expectations' expectations, each by its type, with its own arguments and a severity."""


class SplitSettings(Settings):
    """Which rows train, which choose the hyperparameters, which judge."""

    test: Duration | Fraction = 0.2
    """The test window: the newest rows, as a length (30d) or a share of the rows; without a time column a share by hash."""
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    """Rolling-origin folds before the test window (stratified buckets without a time column)."""
    fold: Duration | None = None
    """Length of the span that each fold scores; the test window's own length when left out. Shortened when history is short."""
    training_window: Duration | None = None
    """Train on this much history only; all of it when left out."""
    group: str | None = None
    """Rows that share this column's value stay on one side of the split (tables without time)."""


DatePart = Literal["year", "month", "day", "weekday", "hour", "minute", "day_of_year", "age"]


class FeatureSettings(Settings):
    """How raw columns become what a model reads."""

    rare: Annotated[int, Field(ge=1)] = 20
    """Categories with fewer training rows than this share one value, which unseen ones get too."""
    keep: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """A category keeps at most this many values, the most frequent ones."""
    date_parts: Annotated[tuple[DatePart, ...], BeforeValidator(split_words)] = ("month", "weekday", "hour")
    """What a date becomes. `age` is the days since 1970. One text such as `weekday hour` will do, as a choice under `space`."""
    expand_time: bool = True
    """Whether the time column is expanded into date_parts too."""
    optional: dict[str, tuple[str, ...]] = {}
    """Groups of columns that may be left out: {weather: [temp, humid]}. `use.weather` under space has the search find out."""
    without: tuple[str, ...] = ()
    """Groups of `optional` that are left out."""

    @property
    def left_out(self) -> frozenset[str]:
        """Columns that are no features under these settings."""
        return frozenset(column for group in self.without for column in self.optional.get(group, ()))


class WeightSettings(Settings):
    """How much each training row counts. Scores are never weighted: every scored row counts once."""

    column: str | None = None
    """A column of weights above 0 (it is no feature then)."""
    half_life: Duration | None = None
    """A row this much older than the newest training row counts half (tables with a time column)."""
    balance: bool = False
    """Classes count alike however rare: each row by the inverse of its class's share. Probabilities are then no longer calibrated."""


class AutoSettings(Settings):
    """When `tuning.when: auto` tunes although nothing forces it to."""

    max_age: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=30)
    """Tune when the last search is older than this (by the as-of dates)."""
    drift: Fraction = 0.5
    """Tune when more than this share of the columns drifted (population stability index above 0.25 since the last search)."""
    probe: Annotated[int, Field(ge=2, le=200)] = 8
    """Trials of the probe, which looks whether there is something to gain; the first one is of the champion's settings."""
    confidence: Fraction = 0.9
    """Tune when the probe's winner beats the incumbent on rows that did not choose it with this probability (paired bootstrap by day)."""


class MemorySettings(Settings):
    """What a search starts from: good settings of earlier retrains, scored again on today's folds before any is trusted."""

    settings: Annotated[int, Field(ge=0, le=50)] = 5
    """How many of them, the newest retrains' first; 0 starts cold."""
    portfolio: bool = True
    """Then the family's own few good and diverse settings, before the search proper."""
    renamed: dict[str, str] = {}
    """Parameters that were called otherwise in earlier configs: {old name: new name}."""


Count = Annotated[int, Field(ge=1), BeforeValidator(refuse_bool)]
Minutes = Annotated[float, Field(gt=0), BeforeValidator(refuse_bool)]


class TuningSettings(Settings):
    """The conditional branch: when it runs, how it searches, where it stops. Of several limits the first one reached ends the search."""

    when: Literal["always", "never", "auto"] = "always"
    """always re-tunes at each retrain; never trains with the last best hyperparameters; auto tunes when a probe says that it pays."""
    search: str = "auto"
    """How trials are proposed: auto, tpe, gp, cma_es, random, quasi_random, grid, hyperband or halving."""
    prune: Literal["auto", "racing", "median", "none"] = "auto"
    """How a trial that is behind is ended early: racing compares it with the best one block by block (paired), median with all others."""
    trials: Count | None = 50
    """Stop after this many trials; null for no such limit."""
    minutes: Minutes | None = 10.0
    """Stop after this long, the final fit's time reserved within it; null for no such limit. Hard: a hung trial is ended."""
    failed_trials: Count | None = 20
    """Stop once this many trials have failed."""
    trial_minutes: Minutes | None = None
    """End a trial whose fits, together, take longer than this; preparing its rows is not counted."""
    trial_memory: Annotated[float, Field(gt=0)] | None = None
    """End a trial whose process takes more than this many GB; a share of the free memory when left out."""
    min_trials: Count = 1
    """None of the rules below stops the search before this many trials."""
    no_progress_trials: Count | None = None
    """Stop when the best score has not improved for this many trials."""
    no_progress_minutes: Minutes | None = None
    """Stop when the best score has not improved for this long."""
    target: float | None = None
    """Stop when the metric reaches this value."""
    convergence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Stop when the ten best trials lie within this share of the best score."""
    on_all_failed: Literal["fail", "last_best"] = "fail"
    """What happens when every trial failed: the run fails (the champion stays), or it trains with the last best hyperparameters."""
    choice: Literal["best", "one_se"] = "best"
    """best: the best mean over folds; one_se: the cheapest of the trials that cannot be told from it (paired, one standard error)."""
    average: Annotated[int, Field(ge=1, le=10)] = 1
    """Train the mean of up to this many of the best trials, those that answer better together; 1 trains the chosen one alone."""
    finalists: Annotated[int, Field(ge=1, le=20)] = 3
    """How many of the best trials are kept for the next retrain, and reported."""
    parallel: Count | None = None
    """Trials side by side; as many as there are cores when left out, which the trials share out."""
    executor: Literal["processes", "dask"] = "processes"
    """Where trials run: processes of this machine, or a Dask cluster."""
    dask: str | None = None
    """The cluster's address, such as tcp://scheduler:8786."""
    reproducible: bool = False
    """Same seed, same trials, same result at any parallelism: trial n is proposed from trials up to n - 8 alone. No limits in minutes.
    A search that was killed and is gone on with is another one."""
    grid_points: Annotated[int, Field(ge=2, le=1000)] = 6
    """Values that a grid takes from a range without steps."""
    constraints: tuple[str, ...] = ()
    """What must hold between parameters, such as `num_leaves <= 2 ** max_depth`; proposals that break one are not run."""
    auto: AutoSettings = AutoSettings()
    memory: MemorySettings = MemorySettings()


class GateSettings(Settings):
    """What a candidate must show before it may go live."""

    margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """It may be worse than the champion by at most this share of the champion's score."""
    floors: dict[str, float] = {}
    """Metric name -> the least it must reach."""
    ceilings: dict[str, float] = {}
    """Metric name -> the most it may be."""
    min_rows: Annotated[int, Field(ge=1)] = 200
    """Fewer rows that the champion has not seen than this: its settings, refitted, stand in for it."""

    @property
    def named_metrics(self) -> tuple[str, ...]:
        return (*self.floors, *self.ceilings)


class RegistrySettings(Settings):
    """Where the model goes once it has passed."""

    model: str | None = None
    """Name in the MLflow registry; the config's name when left out."""
    refit: bool = True
    """Refit the winner's settings on all rows before registering (tables with time only: a test bucket is never trained on)."""
