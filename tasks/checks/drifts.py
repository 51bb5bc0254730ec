"""Drift: which columns are distributed otherwise than they were.

How far: the population stability index. PSI is the sum over bins of (q - p) ln(q / p), with p and q the shares of the
earlier and the later rows. Between samples of one distribution it is about (1/n + 1/m) times a chi-square of bins - 1
degrees of freedom; its mean is taken off, so that few rows do not look like drift. Source: Yurdakul, Statistical
Properties of Population Stability Index (2018).

How surely: Pearson's chi-square of the counts. It takes rows for independent, but rows of a day are alike (the same
weather, the same campaign), so that a plain one finds drift in every large table. It is divided by the design effect,
estimated from the days: the trace of the days' covariance of shares over that of independent rows. Source: Rao and Scott,
On chi-squared tests for multiway contingency tables with cell proportions estimated from survey data (1984), in the
second-order form with an F reference that survey software uses (Thomas and Rao, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.checks.shares import Bins, Counts, count_in, counts_of, describe_values, place, shares_of, watched
from tasks.records import ColumnDrift, Columns, Rows, Shares
from tasks.settings import DriftSettings

UNSTABLE = 0.25
"""The usual mark above which a population is said to have shifted."""
FEWEST_ROWS = 100
"""With fewer rows on either side nothing is said."""


def find_drift(frame: pd.DataFrame, columns: Columns, cut: datetime) -> dict[str, float]:
    """Feature -> PSI between the rows up to `cut` and those later, largest first; empty where nothing can be said.

    Dates are left out: a calendar always moves on. `frame` is in time order.
    """
    names = watched(columns)
    if columns.time is None or not names:
        return {}
    first = int(frame[columns.time].searchsorted(pd.Timestamp(cut), side="right"))
    if min(first, len(frame) - first) < FEWEST_ROWS:
        return {}
    found = {}
    for name, kind in names.items():
        before = describe_values(frame[name].iloc[:first], name, kind)
        found[name] = stability_index(counts_of(before), counts_of(count_in(frame[name].iloc[first:], before)))
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def compare_columns(before: Sequence[Shares], frame: pd.DataFrame, days: Rows | None, settings: DriftSettings) -> tuple[ColumnDrift, ...]:
    """Each described column against the rows of `frame`, p-values adjusted for their number, in the order given.

    `days` numbers each row's day from 0, shape (rows,); None where every row stands for itself.
    """
    from scipy.stats import false_discovery_control

    if not before:
        return ()
    bins = [place(frame[shares.column], shares) for shares in before]
    chances = false_discovery_control([p_value(counts_of(shares), mine, days) for shares, mine in zip(before, bins, strict=True)])
    found = []
    for shares, mine, chance in zip(before, bins, chances, strict=True):
        now = shares_of(mine, shares)
        index = stability_index(counts_of(shares), counts_of(now))
        drifted = bool(index >= settings.index and chance <= settings.rate)
        found.append(ColumnDrift(shares.column, shares, now, index, float(chance), drifted))
    return tuple(found)


def stability_index(before: Counts, since: Counts) -> float:
    """PSI less what chance alone brings, at least 0. Counts by bin; every bin has half a row more."""
    present = (before + since) > 0
    before, since = before[present], since[present]
    p, q = (before + 0.5) / (before.sum() + 0.5 * len(before)), (since + 0.5) / (since.sum() + 0.5 * len(since))
    chance = (len(before) - 1) * (1 / before.sum() + 1 / since.sum())
    return max(0.0, float(((q - p) * np.log(q / p)).sum() - chance))


def p_value(before: Counts, since: Bins, days: Rows | None) -> float:
    """Chance of counts that differ as much if both are of one distribution; not adjusted. `since` has each row's bin."""
    from scipy.special import chdtrc, fdtrc  # the upper tails of chi-square and F

    counts = np.bincount(since, minlength=len(before))
    present = (before + counts) > 0
    freedom = int(present.sum()) - 1
    if freedom < 1:
        return 1.0
    statistic = chi_square(before[present], counts[present])
    if days is None:
        return float(chdtrc(freedom, statistic))
    effect, effective = design_effect(since, days)
    effective = min(effective, float(freedom))
    return float(fdtrc(effective, effective * max(int(days.max()), 1), statistic / (freedom * effect)))


def chi_square(before: Counts, since: Counts) -> float:
    """Pearson's statistic of the table of two rows; no bin is empty in both."""
    observed = np.vstack([before, since]).astype(np.float64)
    expected = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0) / observed.sum()
    return float(((observed - expected) ** 2 / expected).sum())


def design_effect(bins: Bins, days: Rows) -> tuple[float, float]:
    """How many rows make one independent row (at least 1), and the degrees of freedom the days' covariance amounts to.

    Means over the bins that there are: where a bin is empty nothing is known, and it counts as the others do. Of rows in
    a single bin, or of a single day, nothing is known either: 1, and no limit.
    """
    _, seen = np.unique(bins, return_inverse=True)
    kinds, count = int(seen.max()) + 1, int(days.max()) + 1
    if kinds < 2 or count < 2:
        return 1.0, np.inf
    table = np.bincount(days * kinds + seen, minlength=count * kinds).reshape(count, kinds).astype(np.float64)
    shares = table.sum(axis=0) / len(bins)
    away = (table - table.sum(axis=1, keepdims=True) * shares) / np.sqrt(shares * len(bins)) * np.sqrt(count / (count - 1))
    covariance = away.T @ away
    trace = float(np.trace(covariance))
    if trace <= kinds - 1:
        return 1.0, np.inf
    return trace / (kinds - 1), trace**2 / float((covariance**2).sum())
