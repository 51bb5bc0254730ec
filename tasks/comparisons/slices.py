"""Slices: the scores of both models where one column has one value. A better mean may hide a group that fares worse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.comparisons.intervals import paired_interval
from tasks.errors import ConfigError
from tasks.metrics import Metric
from tasks.records import Floats, Interval, Rows, SliceScore
from tasks.serving import category_text
from tasks.settings import GateSettings
from tasks.wording import did_you_mean, say_count

MOST = 24
"""Slices of a column, missing values not counted: each is a test of its own, and every further test blunts all of them."""
BINS = 5
"""Of a number or a date with more values than that."""
MISSING, OTHER = "(missing)", "(other)"


def compare_slices(
    frame: pd.DataFrame,
    settings: GateSettings,
    truth: Floats,
    ours: Floats,
    theirs: Floats | None,
    blocks: Rows,
    metric: Metric,
    query: Rows | None,
) -> tuple[SliceScore, ...]:
    """Challenger and rival on every slice of every column of `gate.slices`, rows in the order of `frame`.

    A slice is a value, as text; the least frequent of more than two dozen share one slice, and so do missing values. A
    number or a date with as many values is cut at the quintiles of these rows. Slices with fewer rows than
    `gate.slice_min_rows`, of too few days to know their noise, or on which the metric is not defined, have no interval
    but a note that says why. In a ranking a slice is judged by the order of its own rows within each query.
    Raises ConfigError that names every column the table lacks.
    """
    _require_columns(frame, settings.slices)
    scored = _Scored(truth, ours, theirs, blocks, metric, query)
    return tuple(
        scored.take(rows).score(column, value, settings)
        for column in dict.fromkeys(settings.slices)
        for value, rows in divide(frame[column])
    )


def divide(values: pd.Series) -> Iterator[tuple[str, Rows]]:
    """Each slice's name and the positions of its rows, which together are all rows: by frequency, or from the lowest up."""
    missing = values.isna().to_numpy(dtype=bool)
    places, known = np.flatnonzero(~missing), values[~missing]
    codes, names = _stretches(known) if _runs_on(known) else _values(known)
    for code, name in enumerate(names):
        yield name, places[codes == code]
    if missing.any():
        yield MISSING, np.flatnonzero(missing)


@dataclass(frozen=True)
class _Scored:
    """Two models' predictions of the same rows, and all that scoring them takes."""

    truth: Floats
    ours: Floats
    theirs: Floats | None
    blocks: Rows
    metric: Metric
    query: Rows | None

    def take(self, rows: Rows) -> _Scored:
        """These rows alone; their blocks are numbered from 0 without a gap again."""
        theirs, query = None if self.theirs is None else self.theirs[rows], None if self.query is None else self.query[rows]
        blocks = np.unique(self.blocks[rows], return_inverse=True)[1]
        return _Scored(self.truth[rows], self.ours[rows], theirs, blocks, self.metric, query)

    def score(self, column: str, value: str, settings: GateSettings) -> SliceScore:
        now = self.metric.of(self.truth, self.ours, self.query)
        before = None if self.theirs is None else self.metric.of(self.truth, self.theirs, self.query)
        interval, note = self._judge(settings)
        return SliceScore(column, value, len(self.truth), now, before, interval, note)

    def _judge(self, settings: GateSettings) -> tuple[Interval | None, str]:
        """The interval, or why there is none."""
        rows, fewest = len(self.truth), settings.slice_min_rows
        if self.theirs is None:
            return None, "there is nobody to compare with"
        if rows < fewest:
            return None, f"{say_count(rows, 'row')} {'is' if rows == 1 else 'are'} fewer than gate.slice_min_rows ({fewest:,})"
        interval = paired_interval(self.truth, self.ours, self.theirs, self.metric, self.blocks, settings.confidence, self.query)
        if not math.isfinite(interval.difference):
            return None, f"{self.metric.name} is not defined on these rows"
        if not math.isfinite(interval.standard_error):
            return None, f"{say_count(interval.blocks, 'block')} of rows (days) are too few, or too uneven, to know the noise"
        return interval, ""


def _require_columns(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    names = [str(name) for name in frame.columns]
    faults = []
    for column in columns:
        if column not in frame:
            hint = did_you_mean(column, names) or f"there are {', '.join(names)}"
            faults.append(f"gate.slices: the table has no column {column!r}; {hint}")
    if faults:
        raise ConfigError("\n".join(faults), tuple(faults))


def _runs_on(values: pd.Series) -> bool:
    """Whether values are numbers or dates, and too many to be judged one by one."""
    ordered = pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype)
    return ordered and values.nunique() > MOST


def _stretches(values: pd.Series) -> tuple[Rows, list[str]]:
    """Each row's stretch between quintiles, its upper end included, and the stretches' names.

    There are fewer where one value is a fifth of the rows or more, and at least two.
    """
    ordered = values.sort_values()
    inner = ordered.iloc[[len(values) * cut // BINS - 1 for cut in range(1, BINS)]]
    below = ordered[ordered < ordered.iloc[-1]].iloc[-1]  # no stretch above the largest value would have a row
    edges = inner.where(inner <= below, below).drop_duplicates()
    codes = np.asarray(edges.searchsorted(values, side="left"), dtype=np.int64)
    texts = [_edge_text(edge) for edge in edges]
    between = [f"above {low}, up to {high}" for low, high in itertools.pairwise(texts)]
    return codes, [f"up to {texts[0]}", *between, f"above {texts[-1]}"]


def _edge_text(edge: object) -> str:
    return f"{edge:%Y-%m-%d %H:%M}" if isinstance(edge, pd.Timestamp) else category_text(edge)


def _values(values: pd.Series) -> tuple[Rows, list[str]]:
    """Each row's value, the most frequent first (ties by name), and the values' names."""
    codes, distinct = pd.factorize(values)
    texts, by_text = np.unique([category_text(value) for value in distinct], return_inverse=True)  # 7 and "7" are one value
    counts = np.bincount(by_text[codes], minlength=len(texts))
    order = np.lexsort((np.arange(len(texts)), -counts))
    kept = len(texts) if len(texts) <= MOST else MOST - 1
    place = np.empty(len(texts), dtype=np.int64)
    place[order] = np.minimum(np.arange(len(texts)), kept)
    names = [str(texts[position]) for position in order[:kept]]
    return place[by_text[codes]], names + [OTHER] * (kept < len(texts))
