"""Settings of training: windows, features, weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tasks.settings.values import Duration, Fraction, Settings, split_words


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
