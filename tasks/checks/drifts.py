"""Drift: which columns are distributed otherwise than they were, by the population stability index.

PSI is the sum over bins of (q - p) ln(q / p), with p and q the shares of the earlier and the later rows. Between samples
of one distribution it is about (1/n + 1/m) times a chi-square of bins - 1 degrees of freedom; its mean is taken off, so
that few rows do not look like drift. Source: Yurdakul, Statistical Properties of Population Stability Index (2018).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Columns

BINS = 10
CATEGORIES = 20
"""The most frequent ones have a bin each, all others one together."""
UNSTABLE = 0.25
"""The usual mark above which a population is said to have shifted."""
FEWEST_ROWS = 100
"""With fewer rows on either side nothing is said."""


def find_drift(frame: pd.DataFrame, columns: Columns, cut: datetime) -> dict[str, float]:
    """Feature -> PSI between the rows up to `cut` and those later, largest first; empty where nothing can be said.

    Dates are left out: a calendar always moves on. `frame` is in time order.
    """
    watched = {name: kind for name, kind in columns.features.items() if kind in ("number", "category") and name != columns.time}
    if columns.time is None or not watched:
        return {}
    first = int(frame[columns.time].searchsorted(pd.Timestamp(cut), side="right"))
    if min(first, len(frame) - first) < FEWEST_ROWS:
        return {}
    found = {name: stability_index(frame[name].iloc[:first], frame[name].iloc[first:], kind == "number") for name, kind in watched.items()}
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def stability_index(earlier: pd.Series, later: pd.Series, number: bool) -> float:
    """PSI less what chance alone brings, at least 0. Missing values are a bin of their own; every bin has half a row more."""
    binned = _by_quantile if number else _by_category
    before, since = binned(earlier, later)
    present = (before + since) > 0
    before, since = before[present], since[present]
    p, q = (before + 0.5) / (before.sum() + 0.5 * len(before)), (since + 0.5) / (since.sum() + 0.5 * len(since))
    chance = (len(before) - 1) * (1 / before.sum() + 1 / since.sum())
    return max(0.0, float(((q - p) * np.log(q / p)).sum() - chance))


def _by_quantile(earlier: pd.Series, later: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts by the earlier rows' deciles; values below every earlier one have a bin too."""
    before, since = (pd.to_numeric(part, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) for part in (earlier, later))
    known = before[~np.isnan(before)]
    inner = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf") if len(known) else np.zeros(0)
    lowest = [np.nextafter(known.min(), -np.inf)] if len(known) else []
    edges = np.unique([*lowest, *inner])
    return _count(before, edges), _count(since, edges)


def _count(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows in each bin, missing ones last; a bin includes its upper edge."""
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    return np.append(counts, missing.sum())


def _by_category(earlier: pd.Series, later: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of the most frequent categories of the earlier rows, of all others together, and of missing ones."""
    counts = earlier.value_counts()
    frequent = counts.index[counts > 0][:CATEGORIES]
    return _count_categories(earlier, frequent), _count_categories(later, frequent)


def _count_categories(values: pd.Series, frequent: pd.Index) -> NDArray[np.int64]:
    counts = values.value_counts()
    each = counts.reindex(frequent, fill_value=0).to_numpy(dtype=np.int64)
    return np.concatenate([each, [int(counts.sum()) - int(each.sum()), int(values.isna().sum())]])
