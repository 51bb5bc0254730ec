"""Crossings: what is on both sides of the split and should not be, so that the test rows are partly known beforehand.

Only tables without a time column are looked at. With one, train and test are cut at an instant: a customer, a plane or a
shop that occurs before and after it is what the model will meet again, and so is a row like last month's; the key itself
is unique. Without one, a hash of the key decides the side, and two things can go wrong. The same row was entered twice
under different keys. Or a part of the key names an entity (a patient, a machine) whose rows are much alike, and stand on
both sides. Without a key, equal rows have equal hashes: they are never torn apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.checks.leakage import codes_of, guess_by_rates, outcome_of, score_guess
from tasks.records import Rows, Split, Suspect, Table
from tasks.settings import LeakageSettings
from tasks.wording import say_share

Hashes = NDArray[np.uint64]
WHOLE_ROWS = "whole rows"
"""Stands in a column's place; `validation.leakage.allow` may name it."""
MOST_SHARED = 0.05
"""Share of the test rows' distinct contents that may occur in the training rows. Source: deepchecks' default."""
ISOLATED = 0.9
FEWEST_ROWS = 20


def find_crossings(table: Table, split: Split, settings: LeakageSettings) -> tuple[Suspect, ...]:
    """Rows and entities on both sides of the split, the strongest first."""
    if settings.action == "off" or table.columns.time is not None:
        return ()
    found = [] if WHOLE_ROWS in settings.allow else [_copied_rows(table, split)]
    found += [_shared_entity(table, split, name, settings) for name in table.columns.key if name not in settings.allow]
    return tuple(sorted((suspect for suspect in found if suspect), key=lambda suspect: (-suspect.score, suspect.column)))


def _copied_rows(table: Table, split: Split) -> Suspect | None:
    """Test rows that equal a training row in every feature and the target, where that is no accident.

    In a table of a few categories every row has its equals, and nothing is wrong with that. There, each content has
    neighbours that differ from it in a single column; copies of rich rows have none. So all pairs of a test and a
    training content that agree in all columns but one must nearly always agree in that one too, whichever it is.
    """
    names = [*table.columns.features, table.columns.target.column]
    contents: Hashes = np.zeros(len(table.frame), dtype=np.uint64)
    for number, name in enumerate(names):
        contents = np.asarray(contents + _hashed(table.frame[name], number), dtype=np.uint64)
    test, train = _distinct(contents, split.test), _distinct(contents, split.train)
    shared = _pairs(contents[test], contents[train])
    if len(split.test) < FEWEST_ROWS or shared < MOST_SHARED * len(test):
        return None
    for number, name in enumerate(names):
        others = np.asarray(contents - _hashed(table.frame[name], number), dtype=np.uint64)
        if shared < ISOLATED * _pairs(others[test], others[train]):
            return None
    copies = float(np.isin(contents[split.test], contents[split.train]).mean())
    reason = f"{say_share(copies)} of the test rows are copies of training rows, in every feature and {table.columns.target.column}"
    return Suspect(WHOLE_ROWS, f"{reason}: drop the duplicates in the source, or give split.group a column that they share", copies)


def _hashed(values: pd.Series, number: int) -> Hashes:
    """64 bits for each value, to be summed over columns: the same value in another column has another hash."""
    hashes = np.asarray(pd.util.hash_pandas_object(values, index=False), dtype=np.uint64)
    return hashes * np.uint64(2 * int(np.random.default_rng(number).integers(2**62)) + 1)


def _distinct(contents: Hashes, rows: Rows) -> Rows:
    """One of the rows for each content."""
    return rows[np.unique(contents[rows], return_index=True)[1]]


def _pairs(test: Hashes, train: Hashes) -> int:
    """Pairs of one of each side that are equal."""
    left, right = np.unique(test, return_counts=True), np.unique(train, return_counts=True)
    _, mine, theirs = np.intersect1d(left[0], right[0], assume_unique=True, return_indices=True)
    return int((left[1][mine] * right[1][theirs]).sum())


def _shared_entity(table: Table, split: Split, name: str, settings: LeakageSettings) -> Suspect | None:
    """A part of the key whose other rows, on the training side, nearly tell the target of those on the test side."""
    codes, target = codes_of(table.frame[name], "category"), table.columns.target
    asked = split.test[np.isin(codes[split.test], codes[split.train])]
    if len(asked) < max(FEWEST_ROWS, MOST_SHARED * len(split.test)):
        return None
    rows = np.concatenate([split.train, asked])
    outcome = outcome_of(table.frame[target.column].iloc[rows], target)
    known, wanted = outcome[: len(split.train)], outcome[len(split.train) :]
    score = score_guess(wanted, guess_by_rates(codes[split.train], known, codes[asked], smoothing=1.0), target)
    if score < settings.threshold:
        return None
    shared = f"{say_share(len(asked) / len(split.test))} of the test rows have a {name} that training rows have too"
    return Suspect(name, f"{shared}, and these nearly tell {target.column}; give split.group: {name} to keep them together", score)
