"""Settings of the gate, and of the registry behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tasks.settings.values import Settings


class GateSettings(Settings):
    """What a candidate must show before it may go live."""

    rule: Literal["non_inferior", "superior"] = "non_inferior"
    """non_inferior: a fresher model goes live unless it may be worse by the margin; superior: only one that is shown to be better."""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """It may be worse than the champion by at most this share of the champion's score."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """How sure a verdict must be: one minus this is the chance to promote a model that is worse by exactly the margin."""
    unsure: Literal["ask", "keep", "promote"] = "ask"
    """When the rows cannot tell: ask a person (the candidate is registered, without the alias), keep the champion, or promote."""
    floors: dict[str, float] = {}
    """Metric name -> the least it must reach."""
    ceilings: dict[str, float] = {}
    """Metric name -> the most it may be."""
    min_rows: Annotated[int, Field(ge=1)] = 200
    """Fewer rows that the champion has not seen than this: its settings, refitted, stand in for it."""
    slices: tuple[str, ...] = ()
    """Columns whose values are judged one by one: no slice may be shown to be worse by more than slice_margin (Holm's correction)."""
    slice_margin: Annotated[float, Field(ge=0)] = 0.02
    """A slice may be worse by this share of the champion's score on it."""
    slice_min_rows: Annotated[int, Field(ge=2)] = 200
    """Slices with fewer test rows are shown, not judged."""
    max_one_row_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest median time to answer one row, in milliseconds, on this machine."""
    max_thousand_rows_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest median time to answer 1,000 rows at once, in milliseconds, on this machine."""
    max_megabytes: Annotated[float, Field(gt=0)] | None = None
    """Largest size of the saved model, in MB."""
    max_churn: Annotated[float, Field(gt=0)] | None = None
    """Largest prediction churn against the champion: share of rows with another class; a number's mean change over its spread."""
    golden: Path | None = None
    """A CSV or Parquet file of raw rows with known answers in the target's column, which every candidate must get right."""
    golden_tolerance: Annotated[float, Field(ge=0)] = 0.0
    """How far a numeric answer to a golden row may be off (absolute); a class must be right."""
    slide: bool = True
    """Against a slow slide by many small losses: the settings of the last clearly better version, refitted, are a second rival."""
    explain: bool = True
    """Tell why the score moved, by fitting old and new settings on old and new data: up to two more fits a retrain."""
    wear: Annotated[int, Field(ge=1)] = 10
    """A test window that has decided this often before counts as worn, and the report warns."""

    @property
    def named_metrics(self) -> tuple[str, ...]:
        return (*self.floors, *self.ceilings)

    @property
    def weighs_cost(self) -> bool:
        """Whether a limit is set on what answering may cost."""
        return any(limit is not None for limit in (self.max_one_row_ms, self.max_thousand_rows_ms, self.max_megabytes))


class RegistrySettings(Settings):
    """Where the model goes once it has passed."""

    model: str | None = None
    """Name in the MLflow registry; the config's name when left out."""
    refit: bool = True
    """Refit the winner's settings on all rows before registering (tables with time only: a test bucket is never trained on)."""
    lease_seconds: Annotated[float, Field(ge=5, le=3600)] = 60.0
    """A retrain that has not been heard of for this long has lost its hold on the model: another one may go on."""
