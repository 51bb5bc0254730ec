from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from configs.flights import WEATHER, departures
from tasks.checks.shares import Profile, parse_profile, profile_rows
from tasks.drift import drift_rows, measure_drift, say_bin, say_drift
from tasks.records import Champion, Columns, DriftReport, Shares, Table, Target
from tasks.settings import DriftSettings

START = datetime(2013, 1, 1, tzinfo=UTC)
THROUGH = START + timedelta(days=59, hours=23)
"""What the champion was trained on: sixty days of hours."""
CHAMPION = Champion("shop", "3", "models:/x", "run", THROUGH, "config", "rows", "s", "lightgbm", {}, {})


def table(days: int = 90, **changes: Any) -> Table:
    """A row an hour; `changes` name columns and what becomes of their values after the champion's rows."""
    random = np.random.default_rng(5)
    hours = days * 24
    frame = pd.DataFrame(
        {
            "time": pd.date_range(START, periods=hours, freq="h"),
            "price": random.normal(10, 1, hours),
            "size": random.normal(size=hours),
            "shop": random.choice(["north", "south", "west"], hours),
            "due": pd.date_range(START, periods=hours, freq="D"),
            "late": (random.random(hours) < 0.3).astype(int),
        }
    )
    later = frame["time"] > THROUGH
    for name, change in changes.items():
        frame[name] = frame[name].where(~later, change(frame[name]))
    features: dict[str, Any] = {"price": "number", "size": "number", "shop": "category", "due": "date"}
    return Table(frame, Columns(Target("late", "binary", (0, 1)), features, "time"), "digest", ())


def profile(through: datetime = THROUGH) -> Profile:
    """That of the champion's rows, as it comes back from its run."""
    known = table()
    rows = np.flatnonzero(known.frame["time"] <= through)
    return parse_profile(json.loads(json.dumps(profile_rows(known, rows))))


def measure(known: Table, champion: Champion | None = CHAMPION, then: Profile | None = None, **settings: Any) -> DriftReport:
    return measure_drift.plain(known, champion, then or profile(), DriftSettings(**settings))


def test_where_nothing_moved_nothing_has_drifted() -> None:
    report = measure(table())
    assert report.since == "the 1,440 rows that champion v3 was trained on (through 2013-03-01)"
    assert sorted(drift.column for drift in report.columns) == ["price", "shop", "size"], "a calendar always moves on"
    assert report.target is not None
    assert report.target.column == "late"
    assert (report.drifted, report.note, report.carried) == ((), "", False)
    assert report.columns[0].now.rows == 30 * 24


def test_a_change_of_scale_is_found(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "evertune"):
        report = measure(table(price=lambda values: 1000 * values))
    assert [drift.column for drift in report.drifted] == ["price"]
    assert report.columns[0].column == "price", "the most drifted first"
    assert say_drift(report) == f"1 of 3 columns drifted (price {report.columns[0].index:.2f})"
    assert say_drift(report) in caplog.text


def test_renamed_categories_are_found_and_their_rate_is_told() -> None:
    report = measure(table(shop=lambda values: values.str.upper().where(values != "west", values)))
    assert [drift.column for drift in report.drifted] == ["shop"]
    row = drift_rows(report)[0]
    assert (row["result"], row["column"], row["what"]) == ("drifted", "shop", "column")
    assert row["moved most"] == f"others: 0 % before, {100 * report.columns[0].now.shares[3]:.0f} % now"


def test_the_target_is_told_apart() -> None:
    report = measure(table(late=lambda values: 1 - values))
    assert report.target is not None
    assert report.drifted == (report.target,)
    assert say_drift(report) == f"0 of 3 columns drifted, and the target did ({report.target.index:.2f})"
    assert drift_rows(report)[0]["what"] == "target"


def test_columns_that_drift_by_nature_can_be_left_out() -> None:
    moved = table(price=lambda values: values + 9)
    assert measure(moved, ignore=("price",)).drifted == ()
    assert [drift.column for drift in measure(moved, ignore=("late",)).drifted] == ["price"]
    assert measure(moved, ignore=("late",)).target is None
    assert measure(moved, index=50.0).drifted == ()


def test_a_carried_baseline_is_older_than_the_champion() -> None:
    older = profile(START + timedelta(days=29, hours=23))
    report = measure(table(), then=older)
    assert report.carried
    assert report.since == ("the 720 rows that an earlier champion, whose profile was carried forward, was trained on (through 2013-01-30)")


class TestRows:
    """Which rows are looked at, and when there are too few of them."""

    def test_of_the_newest_days_at_least_a_week(self) -> None:
        """A daily retrain sees one new day, and a day is no fair sample of a year."""
        report = measure(table(days=61))
        assert report.columns[0].now.rows == 7 * 24
        assert report.note == "the newest 7 days are compared; the champion has seen 144 of their 168 rows"

    def test_no_row_that_the_champion_has_not_seen(self) -> None:
        report = measure(table(days=60))
        assert (report.columns, report.note) == ((), "no row is later than what champion v3 was trained on")

    def test_a_handful_of_rows(self) -> None:
        known = table(days=90)
        few = replace(known, frame=known.frame[(known.frame["time"] <= THROUGH) | (known.frame.index % 10 == 0)])
        report = measure(few)
        assert report.columns == ()
        assert report.note == "only 72 rows since 2013-03-01, fewer than the 100 that it takes to say anything"

    def test_rows_of_two_days(self) -> None:
        known = table(days=90)
        crowd = known.frame[known.frame["time"] > THROUGH].head(120)
        crowd = crowd.assign(time=pd.date_range(THROUGH + timedelta(days=20), periods=120, freq="10min"))
        report = measure(replace(known, frame=pd.concat([known.frame[known.frame["time"] <= THROUGH], crowd], ignore_index=True)))
        assert report.note == "the 120 rows are of 2 days; rows of a day are alike, it takes 3"

    def test_without_a_time_column_all_of_them(self) -> None:
        known = table(price=lambda values: values + 9)
        columns = Columns(known.columns.target, known.columns.features)
        timeless = replace(CHAMPION, trained_through=None)
        report = measure(replace(known, columns=columns), timeless, replace(profile(), through=None))
        assert [drift.column for drift in report.drifted] == ["price"]
        assert report.columns[0].now.rows == 90 * 24
        assert report.since == "the 1,440 rows that champion v3 was trained on"
        assert not report.carried
        assert report.note.startswith("without a time column every row is compared")
        assert measure(replace(known, columns=columns), timeless, replace(profile(), through=None), baseline="carry").carried


class TestNothingToCompare:
    """Each has a sentence that says why."""

    def test_without_a_champion(self) -> None:
        assert measure_drift.plain(table(), None, profile(), DriftSettings()) == DriftReport(
            "", note="there is no champion to compare with"
        )

    def test_without_a_profile(self) -> None:
        report = measure_drift.plain(table(), CHAMPION, None, DriftSettings())
        assert report.note == "champion v3 has no profile of the rows that it was trained on"

    def test_when_it_is_off(self) -> None:
        assert measure(table(), action="off").note == "validation.drift.action is off"

    def test_for_a_column_that_is_new_or_of_another_kind(self) -> None:
        known = table()
        features: dict[str, Any] = {**known.columns.features, "shop": "number", "extra": "number"}
        changed = replace(known, frame=known.frame.assign(extra=1.0, shop=2.0), columns=replace(known.columns, features=features))
        report = measure(changed)
        assert sorted(drift.column for drift in report.columns) == ["price", "size"]
        assert report.note == "nothing to compare with for shop, extra"


@pytest.fixture(scope="module")
def flights() -> Table:
    """January to April, with what is known before departure."""
    frame = departures().dropna(subset=["late"]).sort_values("time_hour").reset_index(drop=True)
    frame = frame[frame["time_hour"] < pd.Timestamp("2013-05-01", tz="UTC")]
    text = {"carrier", "origin", "dest", "manufacturer", "plane_model", "engine"}
    names = [name for name in frame if name not in ("late", "time_hour", "flight", "tailnum")]
    features: dict[str, Any] = {name: "category" if name in text else "number" for name in names}
    return Table(frame.astype({"late": int}), Columns(Target("late", "binary", (0, 1)), features, "time_hour"), "digest", ())


def test_on_flights_april_has_other_weather_and_else_the_same_flights(flights: Table) -> None:
    through = pd.Timestamp("2013-03-31 23:00", tz="UTC").to_pydatetime()
    rows = np.flatnonzero(flights.frame["time_hour"] <= through)
    champion, known = replace(CHAMPION, trained_through=through), parse_profile(profile_rows(flights, rows))
    report = measure(flights, champion, known)
    drifted = {drift.column for drift in report.drifted}
    assert "temp" in drifted
    assert drifted < set(WEATHER)
    distance = flights.frame["distance"].where(flights.frame["time_hour"] <= through, 1000.0 * flights.frame["distance"])
    report = measure(replace(flights, frame=flights.frame.assign(distance=distance)), champion, known)
    assert {drift.column for drift in report.drifted} == drifted | {"distance"}


def test_the_table_is_plain_json() -> None:
    rows = drift_rows(measure(table(price=lambda values: values + 9, shop=lambda values: values.where(values != "west", "<b>|x\n"))))
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert [row["result"] for row in rows] == ["drifted", "drifted", "as before", "as before"]


NUMBER = Shares("x", "number", 9, (0, 0.5, 0.3, 0.1, 0.1), (0.5, 10.0, 2000.0))


@pytest.mark.parametrize(
    ("shares", "names"),
    [
        (NUMBER, ["below all earlier ones", "0.5 to 10", "10 to 2,000", "above 2,000", "missing"]),
        (Shares("x", "number", 9, (0.0, 1.0)), ["any number", "missing"]),
        (Shares("x", "category", 9, (0.5, 0.3, 0.1, 0.1), values=("EWR", "JFK")), ["EWR", "JFK", "others", "missing"]),
    ],
)
def test_bins_have_names(shares: Shares, names: list[str]) -> None:
    assert [say_bin(shares, place) for place in range(len(shares.shares))] == names
