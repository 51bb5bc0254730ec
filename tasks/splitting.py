"""Stage: which rows train, which choose the hyperparameters, which judge."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from tasks.errors import DataRejected
from tasks.records import Champion, Floats, Fold, Rows, Split, Table
from tasks.settings import SplitSettings, format_duration
from tasks.stage import stage
from tasks.targets import encode, require_classes


@stage("split")
def split_table(table: Table, settings: SplitSettings, gap: timedelta, champion: Champion | None, min_rows: int) -> Split:
    """Cut the table into folds, training rows and test rows.

    With a time column: the test window is the newest rows, or of those the ones later than the champion's
    `trained_through` when there are at least `min_rows` of them; folds are rolling-origin spans before it; `gap` lies
    between training rows and whatever is scored. Without one: buckets by a hash of the key, the same row always on the
    same side. Raises DataRejected when history is too short, or a part holds a single class.
    """
    truth = encode(table.columns.target, table.frame[table.columns.target.column])
    cut = _by_time(table, settings, gap, champion, min_rows) if table.columns.time else _by_hash(table, settings, truth, champion)
    target = table.columns.target
    require_classes(target, truth, cut.test, "the test window")
    require_classes(target, truth, cut.train, "the training rows")
    for number, fold in enumerate(cut.folds, start=1):
        require_classes(target, truth, fold.train, f"the training rows of fold {number}")
        require_classes(target, truth, fold.valid, f"the scored rows of fold {number}")
    return cut


def _by_time(table: Table, settings: SplitSettings, gap: timedelta, champion: Champion | None, min_rows: int) -> Split:
    assert table.columns.time is not None
    times = table.frame[table.columns.time]
    start = _test_start(times, settings)
    unseen = champion is None or champion.trained_through is None
    if champion is not None and champion.trained_through is not None:
        later = times[(times >= start) & (times > champion.trained_through)]
        if unseen := len(later) >= min_rows:
            start = later.iloc[0]
    train = _between(times, None, start - gap, settings.training_window)
    test = np.flatnonzero(times >= start)
    if not len(train):
        raise DataRejected(f"split: no training rows before the test window, which begins {start:%Y-%m-%d %H:%M}; shorten split.test")
    length = _fold_length(times, train, test, settings)
    folds = _rolling_folds(times, times.iloc[train[-1]] + timedelta(microseconds=1), length, gap, settings)
    note = (
        f"rolling origin: {len(folds)} folds of {_days(length)}, test window {start:%Y-%m-%d} to {times.iloc[-1]:%Y-%m-%d}"
        f" ({len(test):,} rows)" + (f", gap of {format_duration(gap)}" if gap else "")
    )
    return Split(folds, train, test, note, unseen=unseen)


def _test_start(times: pd.Series, settings: SplitSettings) -> pd.Timestamp:
    """First instant of the test window; rows at one instant are never torn apart."""
    newest: pd.Timestamp = times.iloc[-1]
    if isinstance(settings.test, timedelta):
        return newest - settings.test + timedelta(microseconds=1)
    first: pd.Timestamp = times.iloc[int(len(times) * (1 - settings.test))]
    return first


def _between(times: pd.Series, first: datetime | None, last: datetime, window: timedelta | None = None) -> Rows:
    """Rows from `first` up to, not including, `last`; at most `window` back from it."""
    earliest = first if window is None else last - window
    inside = times < last
    return np.flatnonzero(inside if earliest is None else inside & (times >= earliest))


def _fold_length(times: pd.Series, train: Rows, test: Rows, settings: SplitSettings) -> timedelta:
    """The span one fold scores: as configured or the test window's, but all folds together within the newer half of history."""
    wanted = settings.fold or (settings.test if isinstance(settings.test, timedelta) else times.iloc[test[-1]] - times.iloc[test[0]])
    history = times.iloc[train[-1]] - times.iloc[train[0]]
    longest: timedelta = history / (2 * settings.folds)
    return min(wanted, longest)


def _rolling_folds(times: pd.Series, end: datetime, length: timedelta, gap: timedelta, settings: SplitSettings) -> tuple[Fold, ...]:
    folds = []
    for number in range(settings.folds):
        start = end - (settings.folds - number) * length
        fold = Fold(_between(times, None, start - gap, settings.training_window), _between(times, start, start + length))
        if len(fold.train) and len(fold.valid):
            folds.append(fold)
    if len(folds) < 2:
        raise DataRejected(
            f"split.folds: history is too short for {settings.folds} folds of {_days(length)} before the test window"
            + (f" with a gap of {format_duration(gap)}" if gap else "")
            + "; shorten split.test or the label delay, or wait for more data"
        )
    return tuple(folds)


def _days(length: timedelta) -> str:
    days = length / timedelta(days=1)
    return f"{days:.3g} days"


def _by_hash(table: Table, settings: SplitSettings, truth: Floats, champion: Champion | None) -> Split:
    """Test bucket by a threshold on the hash; folds stratified (by class, in the hash's order) or grouped."""
    if isinstance(settings.test, timedelta):
        raise DataRejected("split.test: a length of time needs a time column")
    names = [settings.group] if settings.group else list(table.columns.key) or [*table.columns.features, table.columns.target.column]
    place = _hash_share(table.frame[names])
    test, train = np.flatnonzero(place < settings.test), np.flatnonzero(place >= settings.test)
    bucket = _grouped(place[train], settings.folds) if settings.group else _stratified(place[train], truth[train], table, settings.folds)
    folds = tuple(Fold(train[bucket != k], train[bucket == k]) for k in range(settings.folds))
    if not len(test) or any(not len(fold.valid) for fold in folds):
        raise DataRejected(f"split: {len(table.frame):,} rows are too few for {settings.folds} folds and a test share of {settings.test:g}")
    kind = f"grouped by {settings.group}" if settings.group else "stratified"
    by = "the group" if settings.group else "the key" if table.columns.key else "the row's values"
    note = f"{kind}: {settings.folds} folds, {settings.test:.0%} of the rows as test bucket by a hash of {by} ({len(test):,} rows)"
    return Split(folds, train, test, note, unseen=champion is None or champion.split_digest == settings.digest())


def _hash_share(frame: pd.DataFrame) -> Floats:
    """Each row's place in [0, 1): the same for the same values, today and in the next retrain."""
    return pd.util.hash_pandas_object(frame, index=False).to_numpy(dtype=np.uint64) / float(2**64)


def _grouped(place: Floats, folds: int) -> Rows:
    """Rows of one group share a place, hence a fold; the fraction's low digits decide, since the test share took the high ones."""
    return ((place * 2**20) % 1.0 * folds).astype(np.int64)


def _stratified(place: Floats, truth: Floats, table: Table, folds: int) -> Rows:
    """Deal rows out in the hash's order within each class (within deciles of a regression's target)."""
    strata = truth if table.columns.target.classes else pd.qcut(pd.Series(truth), 10, labels=False, duplicates="drop").to_numpy()
    order = np.lexsort((place, strata))
    bucket = np.empty(len(place), dtype=np.int64)
    bucket[order] = np.arange(len(place)) % folds
    return bucket
