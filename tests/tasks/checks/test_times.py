from __future__ import annotations

import datetime as dt
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from tasks.checks.times import check_clock, read_times

NOON = pd.Timestamp("2013-01-31T12:00:00Z")
READABLE: dict[str, Any] = {
    "ISO text in UTC": ["2013-01-31T12:00:00Z"],
    "ISO text with an offset": ["2013-01-31 13:00:00+01:00"],
    "ISO text without a zone": ["2013-01-31 12:00:00"],
    "to the minute": ["2013-01-31T12:00"],
    "PostgreSQL's short offset": ["2013-01-31 12:00:00+00"],
    "pandas 3 text": pd.Series(["2013-01-31T12:00:00Z"], dtype="str"),
    "nullable text": pd.array(["2013-01-31T12:00:00Z"], dtype="string"),
    "categories": pd.Categorical(["2013-01-31T12:00:00Z"]),
    "datetimes without a zone": pd.to_datetime(["2013-01-31 12:00:00"]),
    "datetimes elsewhere": pd.to_datetime(["2013-01-31 13:00:00"]).tz_localize("Europe/Paris"),
    "nanoseconds": pd.to_datetime(["2013-01-31 12:00:00"]).as_unit("ns"),
    "Python's datetimes": pd.Series([datetime(2013, 1, 31, 12, tzinfo=UTC)], dtype=object),
    "Python's naive datetimes": pd.Series([datetime(2013, 1, 31, 12)], dtype=object),
}
UNREADABLE: dict[str, tuple[Any, str, int]] = {
    "seconds": ([1359633600, 1359633601], "numbers", 2),
    "nanoseconds": ([1359633600e9, 1359633601e9], "numbers", 2),
    "seconds as text": (["1359633600", "1359633601"], "without one", 2),
    "day first": (["31/01/2013", "01/02/2013"], "without one", 2),
    "a day that is none": (["2013-02-30", "2013-01-01"], "1 of 2 rows", 1),
    "words": (["2013-01-31", "soon"], "1 of 2 rows", 1),
    "missing": (["2013-01-31", None], "1 of 2 rows", 1),
    "missing datetimes": (pd.to_datetime(["2013-01-31", None]), "1 of 2 rows", 1),
    "all missing": ([None, None], "2 of 2 rows", 2),
    "a zone here and none there": (["2013-01-31T12:00:00Z", "2013-01-31T12:00:00"], "a mixture: 1 of 2 rows", 2),
    "aware and naive objects": (
        pd.Series([datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 1)], dtype=object), "a mixture", 2
    ),
    "lengths of time": (pd.to_timedelta([1, 2], unit="h"), "lengths of time", 2),
    "true and false": ([True, False], "numbers", 2),
}  # fmt: skip


def frame_of(values: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"when": values})
    return frame.assign(id=[f"k{row}" for row in frame.index])


@pytest.mark.parametrize("values", READABLE.values(), ids=READABLE)
def test_every_way_to_write_an_instant_is_read_into_utc(values: Any) -> None:
    times, finding = read_times(frame_of(values), "when", ())
    assert finding.passed
    assert times is not None
    assert str(times.dtype) == "datetime64[us, UTC]"
    assert list(times) == [NOON]


@pytest.mark.parametrize(("values", "problem", "rows"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_time_that_cannot_be_read_for_certain_is_rejected_with_examples(values: Any, problem: str, rows: int) -> None:
    times, finding = read_times(frame_of(values), "when", ("id",))
    assert times is None
    assert (finding.severity, finding.passed, finding.failed_rows) == ("critical", False, rows)
    assert problem in finding.observed
    assert "id=k" in finding.examples[0]


def test_dates_alone_are_midnight_in_utc() -> None:
    for values in (["2013-01-31"], pd.Series([dt.date(2013, 1, 31)], dtype=object)):
        times, _ = read_times(frame_of(values), "when", ())
        assert times is not None
        assert list(times) == [pd.Timestamp("2013-01-31", tz="UTC")]


def test_both_hours_of_the_end_of_summer_time_stay_apart() -> None:
    frame = frame_of(["2013-10-27T02:30:00+02:00", "2013-10-27T02:30:00+01:00"])
    times, _ = read_times(frame, "when", ())
    assert times is not None
    assert times[1] - times[0] == timedelta(hours=1)


def test_the_future_begins_after_the_tolerance() -> None:
    now, tolerance = datetime(2013, 1, 31, 12, tzinfo=UTC), timedelta(hours=1)
    frame = frame_of(["2013-01-31T13:00:00Z", "2013-01-31T13:00:01Z", "9999-12-31T00:00:00Z"])
    times, _ = read_times(frame, "when", ())
    assert times is not None
    (finding,) = check_clock(times, frame, now, tolerance, ())
    assert (finding.passed, finding.severity, finding.failed_rows) == (False, "critical", 2)
    assert finding.examples == ("2013-01-31T13:00:01Z (row 2)", "9999-12-31T00:00:00Z (row 3)")


def test_a_lone_zero_of_unix_time_is_a_missing_time_in_disguise() -> None:
    def zero_is_refused(*days: str) -> bool:
        frame = frame_of(list(days))
        times, _ = read_times(frame, "when", ())
        assert times is not None
        return any(not finding.passed for finding in check_clock(times, frame, datetime(2014, 1, 1, tzinfo=UTC), timedelta(0), ()))

    assert zero_is_refused("1970-01-01", "2013-01-01", "2013-01-02")
    assert not zero_is_refused("1969-12-31", "1970-01-01", "1970-01-02")
