"""Settings of schedules, and the section `operation` as a whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.settings.operation.approval import ApprovalSettings
from tasks.settings.operation.events import EventSettings
from tasks.settings.operation.notices import Notice
from tasks.settings.operation.wishes import Promote, Tune
from tasks.settings.tuning import Count, Minutes
from tasks.settings.values import Duration, Settings

Family = Literal["lightgbm", "xgboost", "keras", "scikit"]
MOST_TRIALS, MOST_MINUTES, LONGEST_NOTE = 100_000, 10_000, 2000


class Choices(Settings):
    """What a retrain is run with, instead of what the config says: the fields of the run form."""

    tune: Tune = "as configured"
    trials: Annotated[Count, Field(le=MOST_TRIALS)] | None = None
    minutes: Annotated[Minutes, Field(le=MOST_MINUTES)] | None = None
    families: tuple[Family, ...] = ()
    """Search these families alone; the config's when left out."""
    promote: Promote = "auto"
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] = ""
    overrides: dict[str, Any] = {}
    """Dotted keys and values on top of the config."""


class Schedule(Choices):
    """When a retrain runs by itself, and with what."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")] = "nightly"
    cron: str | None = None
    """Five fields, such as `0 6 * * *`, in the time zone."""
    every: Duration | None = None
    """Instead of cron: every so often, from a minute to less than a day (days are not all 24 hours long)."""
    timezone: str = "UTC"
    """A name of the IANA's, such as America/New_York."""


class OperationSettings(Settings):
    """When retrains run, what sets them off, whom they ask and tell. None of it changes what is trained."""

    schedules: tuple[Schedule, ...] = ()
    overlap: Literal["wait", "cancel"] = "wait"
    """A retrain that begins while another one holds the model waits for it, or is cancelled."""
    wait: Duration = timedelta(hours=1)
    """How long it waits at most; exit code 5 after that."""
    quick: Choices = Choices(tune="always", trials=10, minutes=1.0)
    """What the deployment for a quick look by hand runs with."""
    events: EventSettings = EventSettings()
    approval: ApprovalSettings = ApprovalSettings()
    max_age: Duration | None = None
    """A champion trained longer ago than this is reported as old."""
    remind: Duration | None = timedelta(days=7)
    """A drift, a decay or an old champion is told once, and again after this long if it still is so; null: never again."""
    notify: tuple[Notice, ...] = ()
