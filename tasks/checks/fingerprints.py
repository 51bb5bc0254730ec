"""Fingerprints: what a retrain saw, day by day in a few numbers, by which the next one notices late and rewritten rows.

A fingerprint is plain JSON, some 50 bytes a day:
    {"format": 1, "cut": instant, "by": "day" | "bucket", "key": [column, ...], "columns": [column, ...],
     "parts": {"2013-01-31": [rows, hash of the keys, hash of the rows], ...}}
A part is a day (UTC), or without a time column one of 64 buckets by the key's hash (the row's, without a key). Its hashes
are the sums, modulo 2^64, of a hash of each row: the order of rows does not matter, nor does the pandas type of a column,
as long as the values are the same. They find changes, not forgeries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.checks.columns import content_of
from tasks.records import Table
from tasks.records.drift import Rewriting
from tasks.serving import category_text, read_dates

FORMAT = 1
BUCKETS = 64
Hashes = NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIXERS = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))
"""SplitMix64's, by which every bit of a row moves half of the bits of its hash. Source: Steele, Lea and Flood (2014)."""
Part = Sequence[Any]
"""Number of rows, hash of the keys, hash of the rows."""
NOBODY: Part = (0, "", "")


def fingerprint(table: Table, cut: datetime) -> dict[str, Any]:
    """JSON-ready; `cut` is the instant (UTC) before which a row had to be to be seen: the as-of date less the label delay.

    It covers the labelled rows that policies left, with the columns that are used: a label that came late counts as a late row.
    """
    frame, columns = table.frame, table.columns
    hashes = {name: _hash_column(frame[name], columns.features.get(name) == "date") for name in sorted(frame.columns)}
    rows = _combine(hashes.values(), len(frame))
    keys = _combine((hashes[name] for name in sorted(columns.key)), len(frame)) if columns.key else rows
    if columns.time is None:
        buckets = (keys % np.uint64(BUCKETS)).astype(np.int64)
        parts = {f"{bucket:02d}": part for bucket, part in _sum_parts(buckets, keys, rows)}
    else:
        days = frame[columns.time].dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
        parts = {str(np.datetime64(day, "D")): part for day, part in _sum_parts(days, keys, rows)}
    by = "bucket" if columns.time is None else "day"
    return {"format": FORMAT, "cut": cut.isoformat(), "by": by, "key": sorted(columns.key), "columns": list(hashes), "parts": parts}


def compare_fingerprints(before: Mapping[str, Any], now: Mapping[str, Any]) -> Rewriting:
    """What changed in the rows that the last retrain had seen, over the days that both saw whole.

    Within a day only the balance is known, so late and removed rows are at least so many; a day with as many rows as before
    but another content is a rewritten one. Without a time column a row more is nothing unusual: only buckets that did not grow tell.
    """
    timed = before["by"] == "day"
    since = f"the last retrain (rows before {_cut(before):%Y-%m-%d})" if timed else "the last retrain"
    if _parted(before) != _parted(now):
        return Rewriting(since, note="rows are told apart otherwise than in the last retrain, so nothing could be compared")
    pairs, what_part = _pair(before, now)
    position, what_hash = _choose_hash(before, now)
    came = [max(0, after[0] - earlier[0]) for earlier, after in pairs.values()]
    rewritten = tuple(name for name, (earlier, after) in pairs.items() if earlier[0] == after[0] and earlier[position] != after[position])
    grown = "" if timed or not any(came) else f"{sum(map(bool, came))} of {len(pairs)} buckets have new rows and could not be compared"
    return Rewriting(
        since,
        late=sum(came) if timed else 0,
        removed=sum(max(0, earlier[0] - after[0]) for earlier, after in pairs.values()),
        rewritten_days=rewritten if timed else tuple(f"bucket {name}" for name in rewritten),
        rewritten_rows=sum(pairs[name][1][0] for name in rewritten),
        note="; ".join(filter(None, (what_part, what_hash, grown))),
    )


def _pair(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, tuple[Part, Part]], str]:
    """Each part that both saw whole as it was and as it is, and what had to be left out."""
    then, today, note = before["parts"], now["parts"], ""
    names = sorted({*then, *today})
    if before["by"] == "day":
        last = min(_cut(before), _cut(now))
        names = [day for day in names if datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1) <= last]
        first, earliest = min(today, default=""), min(then, default="")
        if earliest < first:  # the source reads a window that moves on; its first day may be read in part
            names = [day for day in names if day > first]
            note = f"history began on {earliest} and now begins on {first}: rows up to that day are not compared"
    return {name: (then.get(name, NOBODY), today.get(name, NOBODY)) for name in names}, note


def _choose_hash(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[int, str]:
    """Which entry of a part says whether its rows are the same (2: the rows' hash), and why it is not the rows' hash."""
    came, gone = (sorted(set(one["columns"]) - set(other["columns"])) for one, other in ((now, before), (before, now)))
    if not came and not gone:
        return 2, ""
    changes = " and ".join(f"{word} {', '.join(names)}" for word, names in (("with", came), ("without", gone)) if names)
    keyed = before["key"] == now["key"] != []
    compared = "numbers of rows and keys are compared, not contents" if keyed else "the numbers of rows alone are compared"
    return (1 if keyed else 0), f"rows now come {changes}: {compared}"


def _parted(found: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides which part a row belongs to."""
    return found["format"], found["by"], [] if found["by"] == "day" else found["key"] or found["columns"]


def _cut(found: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(found["cut"]).astimezone(UTC)


def _sum_parts(codes: NDArray[np.int64], keys: Hashes, rows: Hashes) -> Iterator[tuple[int, list[Any]]]:
    """Each code with its number of rows and the sums of both hashes; a table in time order needs no sorting."""
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes, keys, rows = codes[order], keys[order], rows[order]
    starts = np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1))
    sums = [np.add.reduceat(hashes, starts).tolist() for hashes in (keys, rows)]
    counts = np.diff(starts, append=len(codes)).tolist()
    for code, count, *summed in zip(codes[starts].tolist(), counts, *sums, strict=True):
        yield code, [count, *(f"{value:016x}" for value in summed)]


def _combine(columns: Iterable[Hashes], rows: int) -> Hashes:
    """One hash a row; each step is one to one, so rows that differ in one column differ."""
    combined = np.full(rows, GOLDEN)
    for column in columns:
        combined ^= column
        combined *= GOLDEN
        combined ^= combined >> np.uint64(32)
    for shift, factor in MIXERS:
        combined ^= combined >> np.uint64(shift)
        combined *= factor
    combined ^= combined >> np.uint64(31)
    return combined


def _hash_column(values: pd.Series, dates: bool) -> Hashes:
    """64 bits of each value, the same in whatever type pandas holds it: numbers as float64, times in UTC, all else as text."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    content = content_of(values)
    if content in ("number", "true/false"):
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 is 0.0
        return np.asarray(np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64))
    if content == "date" or dates:
        times = read_dates(values) if content != "date" else pd.to_datetime(values, utc=True).dt.as_unit("us")
        return np.asarray(times.dt.tz_localize(None).to_numpy().astype(np.int64).view(np.uint64))
    codes, distinct = pd.factorize(values)
    texts = np.array([*map(category_text, distinct), ""], dtype=object)  # a missing value has code -1: the last
    hashed = pd.util.hash_array(texts, categorize=False)
    hashed[-1] = GOLDEN
    return np.asarray(hashed[codes], dtype=np.uint64)
