from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from configs.flights import departures
from tasks.checks.sentinels import watch_split
from tasks.records import Columns, Finding, Split, Table, Target
from tasks.settings import LeakageSettings

LATE = Target("late", "binary", (0, 1))
CLEAN = Finding("no leakage", "", "warning", True, "known before the event", "no suspect")
OTHER = Finding("enough rows", "", "critical", True, "at least 100", "336,776 rows")


@pytest.fixture(scope="module")
def flights() -> Table:
    frame = departures(leave_in=("dep_delay",)).dropna(subset=["late"]).sort_values("time_hour").reset_index(drop=True)
    text = {"carrier", "origin", "dest", "manufacturer", "plane_model", "engine", "tailnum"}
    features = {name: "category" if name in text else "number" for name in frame if name not in ("late", "time_hour", "flight")}
    return Table(frame.astype({"late": int}), Columns(LATE, features, "time_hour"), "digest", (CLEAN, OTHER))  # type: ignore[arg-type]


def at(flights: Table, day: str) -> tuple[Table, Split]:
    """As a retrain of that day sees it: the newest thirty days judge."""
    times = flights.frame["time_hour"]
    end = pd.Timestamp(day, tz="UTC")
    frame = flights.frame[times < end]
    test = np.asarray(frame["time_hour"] >= end - pd.Timedelta(days=30))
    return replace(flights, frame=frame), Split((), np.flatnonzero(~test), np.flatnonzero(test), "")


@pytest.mark.parametrize("month", range(2, 13))
def test_on_flights_no_month_raises_a_false_alarm(flights: Table, month: int) -> None:
    table, split = at(flights, f"{datetime(2013, month, 1, tzinfo=UTC):%Y-%m-%d}")
    assert watch_split(table, split, LeakageSettings()) is table


def test_a_delay_that_is_filled_in_days_later_is_suspect(flights: Table) -> None:
    """dep_delay stays 0 until the airline has reported it; the newest week has not been."""
    table, split = at(flights, "2013-10-01")
    reported = table.frame["time_hour"] < pd.Timestamp("2013-09-24", tz="UTC")
    table = replace(table, frame=table.frame.assign(dep_delay=table.frame["dep_delay"].where(reported, 0)))
    watched = watch_split(table, split, LeakageSettings())
    assert [suspect.column for suspect in watched.suspects] == ["dep_delay"]
    assert [(finding.check, finding.column, finding.passed) for finding in watched.findings] == [
        ("enough rows", "", True),
        ("no leakage", "dep_delay", False),
    ]
    assert watched.findings[1].policy == "forbid"
    assert watch_split(table, split, LeakageSettings(action="warn")).findings[1].policy == "warn"
    assert "tells late in older rows and hardly in the newest" in watched.findings[1].observed
    assert watch_split(table, split, LeakageSettings(action="off")) is table
