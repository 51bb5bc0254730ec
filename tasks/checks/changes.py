"""Changes: columns that tell the target in old rows, whose labels have long been settled, and no more in the newest ones.

A column that is filled in or updated after the event (a status, a number of payments, a date of repair) looks useful in
every row but the newest, which it has not caught up with, and in none of those that the model will be asked about. The
relation is measured in windows of time: several of the older half of the rows, whose spread says how much it varies by
nature (seasons, quiet weeks), and the newest one. In each, the first half predicts the second and the other way round, so
that a column that merely tells one day from another (the weather) gains nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.checks.leakage import Codes, codes_of, guess_by_rates, outcome_of, score_guess
from tasks.records import Floats, Suspect, Table, Target
from tasks.settings import ColumnKind, LeakageSettings
from tasks.wording import say_count

WINDOWS = 6
"""Older windows, evenly over the older half of the rows."""
SHARE = 40
"""A window is this part of the rows, within the limits below."""
FEWEST_ROWS, MOST_ROWS = 400, 3000
CLEAR, DROP, LEFT = 0.35, 0.2, 1 / 3
"""An older relation must be at least so clear (the median), the newest so far below the weakest of the older ones, and at most so
much of the median left. With these a retrain on any day of the flights of 2013 has no suspect, a delay that the airline
reports two days late is found on each, and 1 in 2,000 tables of steady relations raises an alarm."""
BINS, BIN_ROWS = 16, 50


def find_changed(table: Table, settings: LeakageSettings) -> tuple[Suspect, ...]:
    """Features whose relation to the target has collapsed in the newest rows, the clearest first.

    Nothing is said without a time column, or of too few rows. A feature that has just broken looks the same: the reason says so.
    """
    windows = find_windows(len(table.frame))
    if settings.action == "off" or table.columns.time is None or not windows:
        return ()
    frame, target = table.frame, table.columns.target
    known = {suspect.column for suspect in table.suspects} | set(settings.allow)
    outcomes = [_ranked(outcome_of(frame[target.column].iloc[window], target), target) for window in windows]
    suspects = []
    for name, kind in table.columns.features.items():
        if name not in known and (found := _collapse(frame[name], kind, windows, outcomes, target)):
            before, now = found
            told = f"tells {target.column} in older rows and hardly in the newest {say_count(windows[0].stop - windows[0].start, 'row')}"
            suspects.append(Suspect(name, f"{told} ({now:.2f}): filled in or changed after the event, or broken since", before))
    return tuple(sorted(suspects, key=lambda suspect: (-suspect.score, suspect.column)))


def find_windows(rows: int) -> list[slice]:
    """The newest window of the rows in time order, then the older ones; none where there are too few rows."""
    size = min(MOST_ROWS, max(FEWEST_ROWS, rows // SHARE))
    if rows // 2 < size * WINDOWS // 2:
        return []
    starts = np.linspace(0, rows // 2 - size, WINDOWS).astype(int)
    return [slice(rows - size, rows), *(slice(int(start), int(start) + size) for start in starts)]


def _collapse(
    values: pd.Series, kind: ColumnKind, windows: list[slice], outcomes: list[Floats], target: Target
) -> tuple[float, float] | None:
    """The median score of the older windows and the newest's, where that one has collapsed; None elsewhere.

    Most columns are dismissed by the first window.
    """
    scores: list[float] = []
    for window, outcome in zip(windows[1:], outcomes[1:], strict=True):
        scores.append(_score(values.iloc[window], kind, outcome, target))
        if scores[-1] < DROP:
            return None
    before, least = float(np.median(scores)), min(scores)
    if before < CLEAR:
        return None
    now = _score(values.iloc[windows[0]], kind, outcomes[0], target)
    return (before, now) if now <= min(least - DROP, LEFT * before) else None


def _score(values: pd.Series, kind: ColumnKind, outcome: Floats, target: Target) -> float:
    """How well the halves of a window predict each other by this column alone."""
    codes = codes_of(values, kind)
    bins = codes if kind == "category" else _bins(codes)
    first = np.arange(len(bins)) < len(bins) // 2
    guess = np.empty_like(outcome)
    for train in (first, ~first):
        guess[~train] = guess_by_rates(bins[train], outcome[train], bins[~train])
    return score_guess(outcome, guess, target)


def _bins(codes: Codes) -> Codes:
    """Even bins of ordered codes, missing ones -1."""
    count = max(2, min(BINS, len(codes) // BIN_ROWS))
    there = codes >= 0
    bins = np.full(len(codes), -1, dtype=np.intp)
    if there.any():
        edges = np.unique(np.quantile(codes[there], np.arange(1, count) / count, method="inverted_cdf"))
        bins[there] = np.searchsorted(edges, codes[there], side="left")
    return bins


def _ranked(outcome: Floats, target: Target) -> Floats:
    """A regression's values as ranks, so that one outlier does not undo a window."""
    return outcome if target.classes else pd.DataFrame(outcome).rank().to_numpy()
