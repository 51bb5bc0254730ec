from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.changes import FEWEST_ROWS, find_changed, find_windows
from tasks.records import Columns, Suspect, Table, Target
from tasks.settings import LeakageSettings

START = datetime(2013, 1, 1, tzinfo=UTC)
ROWS = 12_000
UPDATED = ROWS - 400
"""Rows from here on are too young for their status to have been filled in."""


def table(task: str = "binary", late: int = UPDATED, **columns: Any) -> Table:
    """Payments: `risk` tells a little beforehand, `reminders` counts what happened afterwards and starts at none."""
    random = np.random.default_rng(0)
    risk = random.normal(size=ROWS)
    overdue = (risk + 2 * random.normal(size=ROWS)) > 1.5
    age = np.arange(ROWS) < late
    frame = pd.DataFrame(
        {
            "time": pd.date_range(START, periods=ROWS, freq="30min"),
            "risk": risk,
            "reminders": np.where(age & overdue, random.integers(0, 4, ROWS), 0),
            "status": np.where(age & (random.random(ROWS) < 0.8), np.where(overdue, "chased", "settled"), "open"),
            "y": overdue if task == "binary" else np.where(overdue, 30, 2) + random.exponential(size=ROWS),
            **columns,
        }
    )
    features = {name: "category" if name == "status" else "number" for name in frame if name not in ("time", "y")}
    target = Target("y", "binary", (False, True)) if task == "binary" else Target("y", "regression")
    return Table(frame, Columns(target, features, "time"), "digest", ())  # type: ignore[arg-type]


def names(found: tuple[Suspect, ...]) -> list[str]:
    return [suspect.column for suspect in found]


@pytest.mark.parametrize(("task", "filled_in"), [("binary", ["status", "reminders"]), ("regression", ["status"])])
def test_columns_that_are_filled_in_after_the_event_are_suspect_and_no_other(task: str, filled_in: list[str]) -> None:
    """A regression's values differ among the overdue too, so that a count of reminders tells less than half of them."""
    found = find_changed(table(task), LeakageSettings())
    assert names(found) == filled_in
    assert found[0].score > (0.6 if task == "binary" else 0.35)
    assert found[0].reason.startswith("tells y in older rows and hardly in the newest 400 rows (")


def test_slow_updates_are_noticed_too() -> None:
    """It takes a third of the time there is until a status is settled."""
    assert names(find_changed(table(late=2 * ROWS // 3), LeakageSettings())) == ["status", "reminders"]


def test_columns_that_stay_what_they_are_are_not_suspect_however_well_they_tell() -> None:
    assert find_changed(table(late=ROWS), LeakageSettings()) == ()


def test_a_relation_that_comes_and_goes_with_the_season_is_not_suspect() -> None:
    known = table()
    season = np.sin(np.arange(ROWS) / ROWS * 6 * np.pi) ** 2
    random = np.random.default_rng(1)
    told = np.where(random.random(ROWS) < season, known.frame["y"], random.random(ROWS) < 0.3).astype(float)
    found = find_changed(table(seasonal=told + 0.1 * random.normal(size=ROWS)), LeakageSettings())
    assert "seasonal" not in names(found)


def test_what_merely_tells_one_day_from_another_is_not_suspect() -> None:
    """Days differ in their rate, and the weather in all of its values: within a day it tells nothing."""
    random = np.random.default_rng(2)
    day = np.arange(ROWS) // 48
    rate = np.where(day < 240, random.random(250)[day], 0.3)
    known = table()
    frame = known.frame.assign(y=random.random(ROWS) < rate, weather=random.normal(size=250)[day])
    columns = Columns(known.columns.target, {"weather": "number"}, "time")
    assert find_changed(Table(frame, columns, "digest", ()), LeakageSettings()) == ()


def test_allowed_and_known_suspects_are_not_looked_at_again() -> None:
    known = table()
    assert names(find_changed(known, LeakageSettings(allow=("status",)))) == ["reminders"]
    assert find_changed(known, LeakageSettings(action="off")) == ()
    told = Table(known.frame, known.columns, "digest", (), (Suspect("status", "alone", 0.9),))
    assert names(find_changed(told, LeakageSettings())) == ["reminders"]


def test_nothing_is_said_without_time_or_of_few_rows() -> None:
    known = table()
    assert find_changed(Table(known.frame, Columns(known.columns.target, known.columns.features), "digest", ()), LeakageSettings()) == ()
    assert find_changed(Table(known.frame.tail(1000), known.columns, "digest", ()), LeakageSettings()) == ()


@pytest.mark.parametrize("rows", [2400, 12_000, 336_776])
def test_windows_are_the_newest_rows_and_six_of_the_older_half(rows: int) -> None:
    newest, *older = find_windows(rows)
    assert newest.stop == rows
    assert len(older) == 6
    assert {window.stop - window.start for window in (newest, *older)} == {min(3000, max(FEWEST_ROWS, rows // 40))}
    assert older[-1].stop <= rows // 2 < newest.start
