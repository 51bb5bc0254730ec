"""Blocks of scored rows: what paired differences are taken over. A day, where there is time; a slice, where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Fold, Rows, Table

FEWEST, MOST, SLICES = 8, 60, 20


def block_rows(table: Table, fold: Fold) -> NDArray[np.int64]:
    """The block of each scored row, whole numbers from 0 without a gap, shape (scored rows,).

    A ranking's queries are not torn: all rows of one belong to the block of its first.
    Rows of a day are alike (the same weather, the same strike), so days are drawn whole. Over MOST days go together in
    even runs; under FEWEST say too little about noise, and even slices of the rows in time order take their place.
    """
    blocks = _stretches(table, fold)
    if table.columns.query is None:
        return blocks
    _, first, query = np.unique(pd.factorize(table.frame[table.columns.query].iloc[fold.valid])[0], return_index=True, return_inverse=True)
    return np.unique(blocks[first[query]], return_inverse=True)[1]


def _stretches(table: Table, fold: Fold) -> NDArray[np.int64]:
    """Days or slices, in the rows' order."""
    if table.columns.time is not None:
        days = _days(table.frame[table.columns.time].iloc[fold.valid])
        count = int(days[-1]) + 1
        if count >= FEWEST:
            return days if count <= MOST else days * MOST // count
    return np.arange(len(fold.valid)) * min(SLICES, len(fold.valid)) // max(len(fold.valid), 1)


def _days(times: pd.Series) -> Rows:
    """Days with a row, numbered from 0; the rows are in time order."""
    days = times.dt.tz_localize(None).dt.floor("D").to_numpy()  # with a zone every time would become an object
    return np.concatenate([[0], np.cumsum(days[1:] != days[:-1])]).astype(np.int64)
