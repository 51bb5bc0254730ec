"""Times: when rows happened, read into UTC, and the rows that a retrain may see.

Nothing is guessed: text must be ISO 8601, numbers are refused because seconds, milliseconds and nanoseconds look alike,
and values with and without a zone do not mix. Values without a zone are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from tasks.checks.columns import ISO_DATE, content_of
from tasks.checks.findings import row_examples, say_rows
from tasks.records import Finding
from tasks.wording import say_moment

ZONED = r"^.{10}[T ].*(?:Z|[+-]\d{2}(?::?\d{2})?)$"
EXPECTED = "an instant in each row: a datetime, or ISO 8601 text such as 2013-01-31T10:00:00Z"
UNIX_EPOCH = pd.Timestamp(0, tz="UTC")


def read_times(frame: pd.DataFrame, column: str, key: Sequence[str]) -> tuple[pd.Series | None, Finding]:
    """The time column as datetime64[us, UTC], shape (rows,), or None; and what was found."""
    times, problem = _parse(frame[column])
    if times is None:
        labels = frame.index[:3]
        return None, _unreadable(frame, column, problem, labels, len(frame), key)
    missing = times.isna()
    if missing.any():
        problem = f"{say_rows(int(missing.sum()), len(frame))} without one"
        return None, _unreadable(frame, column, problem, frame.index[missing], int(missing.sum()), key)
    observed = f"{say_moment(times.min())} to {say_moment(times.max())}"
    return times, Finding("time is readable", column, "critical", True, EXPECTED, observed)


def check_clock(times: pd.Series, frame: pd.DataFrame, now: datetime, tolerance: timedelta, key: Sequence[str]) -> list[Finding]:
    """No row may be later than the wall clock, nor at the zero of Unix time while all others are more than a year away."""
    column = str(times.name)
    limit = pd.Timestamp(now) + tolerance
    future = times > limit
    findings = [_clocked("time is not in the future", f"times up to {say_moment(limit)}", future, frame, column, key)]
    zero = times == UNIX_EPOCH
    if zero.any() and not ((times - UNIX_EPOCH).abs().between(pd.Timedelta("1s"), pd.Timedelta("366D"))).any():
        expected = "no missing time in disguise (0 is 1970-01-01T00:00:00Z)"
        findings.append(_clocked("time is not zero", expected, zero, frame, column, key))
    return findings


def _clocked(check: str, expected: str, failed: pd.Series, frame: pd.DataFrame, column: str, key: Sequence[str]) -> Finding:
    count = int(failed.sum())
    observed = say_rows(count, len(frame)) if count else "no row breaks it"
    examples = row_examples(frame, frame.index[failed], [column], key)
    return Finding(check, column, "critical", not count, expected, observed, count, examples)


def _unreadable(frame: pd.DataFrame, column: str, problem: str, labels: pd.Index, failed: int, key: Sequence[str]) -> Finding:
    examples = row_examples(frame, labels, [column], key)
    return Finding("time is readable", column, "critical", False, EXPECTED, problem, failed, examples)


def _parse(values: pd.Series) -> tuple[pd.Series | None, str]:
    """Times with NaT where one cannot be read, or None and what is wrong with the column as a whole."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        aware = values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
        return aware.dt.as_unit("us"), ""
    content = content_of(values)
    if content in ("number", "true/false"):
        return None, f"numbers ({values.dtype}); convert them in the source, which knows their unit (seconds, milliseconds, ...)"
    if content == "length of time":
        return None, f"lengths of time ({values.dtype})"
    text = values.astype(object).where(values.notna(), None).astype("str")
    text = text.where(text.str.match(ISO_DATE).fillna(False).astype(bool))
    zoned = text.str.match(ZONED).fillna(False).astype(bool)
    if zoned.any() and (text.notna() & ~zoned).any():
        return None, f"a mixture: {say_rows(int(zoned.sum()), len(text))} with a zone, the others without; write one or the other"
    return pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce").dt.as_unit("us"), ""
