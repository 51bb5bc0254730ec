"""Stage: which rows train, which choose the hyperparameters, which judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.checks.columns import content_of
from tasks.comparisons.intervals import FEWEST
from tasks.errors import DataRejected
from tasks.records import Champion, Columns, Floats, Fold, Rows, Split, Table
from tasks.serving import category_text
from tasks.settings import SplitSettings, format_duration
from tasks.stage import stage
from tasks.targets import can_judge, encode, require_classes

INSTANT = timedelta(microseconds=1)
"""The resolution of times: a window that ends this much after a row includes it."""


@stage("split")
def split_table(table: Table, settings: SplitSettings, gap: timedelta, champion: Champion | None, min_rows: int) -> Split:
    """Cut the table into folds, training rows and test rows.

    A ranking's queries are never torn: by time a query counts as of its first row, without time the query is the group.
    With a time column: the test window is the newest rows, or of those the ones later than the champion's
    `trained_through` when there are at least `min_rows` of them, of more than one class and of as many days as it takes to
    say how sure a comparison is; folds are rolling-origin spans
    before it; `gap` lies between training rows and whatever is scored. Without one: buckets by a hash of the key, the
    same row always on the same side. Raises DataRejected when history is too short, or a part holds a single class.
    """
    target = table.columns.target
    truth = encode(target, table.frame[target.column])
    cut = _by_time(table, settings, truth, gap, champion, min_rows) if table.columns.time else _by_hash(table, settings, truth, champion)
    require_classes(target, truth, cut.test, "the test window" if table.columns.time else "the test bucket")
    require_classes(target, truth, cut.train, "the training rows")
    for number, fold in enumerate(cut.folds, start=1):
        require_classes(target, truth, fold.train, f"the training rows of fold {number}")
        require_classes(target, truth, fold.valid, f"the scored rows of fold {number}")
    return cut


def _by_time(table: Table, settings: SplitSettings, truth: Floats, gap: timedelta, champion: Champion | None, min_rows: int) -> Split:
    times, order = _moments(table)
    start, length = _test_window(times, settings.test)
    unseen = champion is None
    if champion is not None and champion.trained_through is not None:
        later = _between(times, max(start, champion.trained_through + INSTANT), None)
        enough = len(later) >= min_rows and _count_days(times, later) >= min(FEWEST, _count_days(times, _between(times, start, None)))
        if unseen := enough and can_judge(table.columns.target, (truth if order is None else truth[order])[later]):
            start = times.iloc[later[0]]
    train, test = _between(times, None, start - gap, settings.training_window), _between(times, start, None)
    after_gap = f" with a gap of {format_duration(gap)}" if gap else ""
    remedy = f"shorten split.test{' or time.label_delay' if gap else ''}, or wait for more data"
    if not len(train):
        raise DataRejected(
            f"split.test: no training rows are left{after_gap} before the test window, which begins {start:%Y-%m-%d %H:%M}; "
            f"the first row is of {times.iloc[0]:%Y-%m-%d %H:%M}; {remedy}"
        )
    folds, length = _rolling_folds(times, times.iloc[train[-1]] + INSTANT, settings.fold or length, gap, settings)
    if len(folds) < 2:
        history = _days(times.iloc[train[-1]] - times.iloc[0])
        raise DataRejected(f"split.folds: {history} before the test window are too short for {settings.folds} folds{after_gap}; {remedy}")
    window = f"{times.iloc[test[0]]:%Y-%m-%d} to {times.iloc[-1]:%Y-%m-%d} ({len(test):,} rows)"
    note = f"rolling origin: {len(folds)} folds of {_days(length)}, test window {window}{after_gap}"
    return _in_place(Split(folds, train, test, note, unseen), order)


def _count_days(times: pd.Series, rows: Rows) -> int:
    return int(times.iloc[rows].dt.tz_localize(None).dt.floor("D").nunique())


def _moments(table: Table) -> tuple[pd.Series, Rows | None]:
    """When each row happened, in order, and the rows' positions in that order; None for the table's own.

    A row of a ranking happened when the first row of its query did.
    """
    assert table.columns.time is not None
    times = table.frame[table.columns.time]
    if table.columns.query is None:
        return times, None
    first = times.groupby(table.frame[table.columns.query]).transform("min")
    order = np.argsort(first.to_numpy(), kind="stable")
    return first.iloc[order].reset_index(drop=True), order


def _in_place(split: Split, order: Rows | None) -> Split:
    """The split with positions in the table's own order, where it was cut in another."""
    if order is None:
        return split

    def place(rows: Rows) -> Rows:
        return np.sort(order[rows])

    folds = tuple(Fold(place(fold.train), place(fold.valid)) for fold in split.folds)
    return replace(split, folds=folds, train=place(split.train), test=place(split.test))


def _test_window(times: pd.Series, test: timedelta | float) -> tuple[pd.Timestamp, timedelta]:
    """First instant of the test window, and its length; rows at one instant are never torn apart."""
    newest: pd.Timestamp = times.iloc[-1]
    if isinstance(test, timedelta):
        return newest - test + INSTANT, test
    first: pd.Timestamp = times.iloc[-max(1, round(len(times) * test))]
    before = _between(times, None, first)
    return first, newest - (times.iloc[before[-1]] if len(before) else first)  # as long as the step to it even for rows of one instant


def _between(times: pd.Series, first: datetime | None, last: datetime | None, window: timedelta | None = None) -> Rows:
    """Rows from `first` up to, not including, `last`; at most `window` back from it."""
    earliest = first if window is None or last is None else last - window
    start = 0 if earliest is None else int(times.searchsorted(pd.Timestamp(earliest)))
    return np.arange(start, len(times) if last is None else int(times.searchsorted(pd.Timestamp(last))))


def _rolling_folds(
    times: pd.Series, end: datetime, wanted: timedelta, gap: timedelta, settings: SplitSettings
) -> tuple[tuple[Fold, ...], timedelta]:
    """Folds that score one span each, the last one up to `end`, and the length of a span.

    They are shortened so that the first one trains on at least half of the history, less the gap, that there is.
    Spans without a row to train on or to score are left out.
    """
    length: timedelta = min(wanted, (end - times.iloc[0] - gap) / (2 * settings.folds))
    starts = [end - number * length for number in range(settings.folds, 0, -1)] if length > timedelta(0) else []
    folds = [Fold(_between(times, None, start - gap, settings.training_window), _between(times, start, start + length)) for start in starts]
    return tuple(fold for fold in folds if len(fold.train) and len(fold.valid)), length


def _days(length: timedelta) -> str:
    return f"{length / timedelta(days=1):.3g} days"


def _by_hash(table: Table, settings: SplitSettings, truth: Floats, champion: Champion | None) -> Split:
    """Test bucket by a threshold on the hash; folds dealt out in its order, by class or by group."""
    if isinstance(settings.test, timedelta):
        raise DataRejected("split.test: a length of time needs a time column")
    names, by = _hashed(table.columns, settings)
    _require_whole_queries(table, settings)
    place = _places(table.frame[names])
    in_test = (place >> np.uint64(11)) * 2.0**-53 < settings.test  # the 53 bits that a float holds
    test, train = np.flatnonzero(in_test), np.flatnonzero(~in_test)
    folds: tuple[Fold, ...] = ()
    grouped = settings.group or table.columns.query
    if len(train):
        strata = np.zeros(len(train)) if grouped else truth[train] if table.columns.target.classes else _deciles(truth[train])
        bucket = _deal(place[train], strata, settings.folds)
        folds = tuple(Fold(train[bucket != k], train[bucket == k]) for k in range(settings.folds))
    if not len(test) or not folds or any(not len(fold.valid) for fold in folds):
        what = f"{len(np.unique(place)):,} groups by {grouped}" if grouped else f"{len(place):,} rows"
        wish = f"{settings.folds} folds and a test share of {settings.test:g}"
        raise DataRejected(f"split: {what} are too few for {wish}; lower split.folds, raise split.test, or wait for more data")
    kind = f"grouped by {grouped}" if grouped else "stratified"
    note = f"{kind}: {settings.folds} folds, {settings.test:.0%} of the rows as test bucket by a hash of {by} ({len(test):,} rows)"
    same_sides = champion is not None and champion.trained_through is None and champion.sides == sides(table.columns, settings)
    return Split(folds, train, test, note, unseen=champion is None or same_sides)


def sides(columns: Columns, settings: SplitSettings) -> str:
    """What decides a row's side in a table without time: the same text, the same sides. 1 is the version of the hash."""
    return f"1/{settings.test}/{','.join(_hashed(columns, settings)[0])}"


def _hashed(columns: Columns, settings: SplitSettings) -> tuple[list[str], str]:
    """The columns whose values decide a row's side, and what to call them."""
    if settings.group:
        return [settings.group], "the group"
    if columns.query:
        return [columns.query], "the query"
    if columns.key:
        return list(columns.key), "the key"
    return [*columns.features, columns.target.column], "the row's values"


def _require_whole_queries(table: Table, settings: SplitSettings) -> None:
    """DataRejected when rows of one query belong to several groups: they would be torn apart."""
    if settings.group is None or table.columns.query is None:
        return
    groups = table.frame.groupby(table.columns.query)[settings.group].nunique(dropna=False)
    if torn := int((groups > 1).sum()):
        raise DataRejected(
            f"split.group: {torn:,} queries ({table.columns.query}) have rows in several groups by {settings.group}; "
            "leave group out, and each query is a group"
        )


def _places(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """64 bits of hash of each row: the same for the same values, today, in the next retrain, and in another dtype."""
    canonical = pd.DataFrame({name: _canonical(frame[name]) for name in frame})
    return np.asarray(pd.util.hash_pandas_object(canonical, index=False), dtype=np.uint64)


def _canonical(values: pd.Series) -> pd.Series:
    """Numbers as float64 (a column of whole numbers that gets a missing one becomes float), dates in UTC, all else as text."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    content = content_of(values)
    if content in ("number", "true/false"):
        return pd.Series(pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan), index=values.index)
    if content == "date":
        return pd.to_datetime(values, utc=True).dt.as_unit("us")
    codes, distinct = pd.factorize(values)
    texts = np.array([*map(category_text, distinct), None], dtype=object)  # a missing value has code -1
    return pd.Series(texts[codes], index=values.index)


def _deciles(truth: Floats) -> Floats:
    return np.searchsorted(np.quantile(truth, np.arange(1, 10) / 10), truth).astype(np.float64)


def _deal(place: NDArray[np.uint64], strata: Floats, folds: int) -> Rows:
    """Each row's fold: dealt out in the hash's order within each stratum, rows of one place (equal rows, a group) as one."""
    order = np.lexsort((place, strata))
    another = (np.diff(place[order]) != 0) | (np.diff(strata[order]) != 0)
    turn = np.concatenate([[0], np.cumsum(another)])
    bucket = np.empty(len(place), dtype=np.int64)
    bucket[order] = turn % folds
    return bucket
