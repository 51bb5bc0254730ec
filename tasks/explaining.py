"""Stage: why the score moved."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from tasks.comparisons.attribution import FourPredictions, attribute
from tasks.metrics import Metric
from tasks.models.recipes import Recipe
from tasks.records import Attribution, Champion, Evaluation, Floats, Rows, Split, Table
from tasks.stage import stage
from tasks.targets import queries

Fit = Callable[[Recipe, Rows], Callable[[Any], Floats]]
"""Fits a recipe on these rows of the table; what comes out maps raw columns to raw predictions."""
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Change:
    """What is other than when the champion was trained: its settings, its training rows, or both."""

    old: Recipe
    new: Recipe
    old_rows: Rows
    """Of today's table, those that the champion was trained on, as far as its `trained_through` tells; never a test row."""
    new_rows: Rows

    @property
    def same_settings(self) -> bool:
        return self.old == self.new

    @property
    def same_data(self) -> bool:
        return np.array_equal(self.old_rows, self.new_rows)


@stage("explain")
def explain_change(change: Change, table: Table, split: Split, evaluation: Evaluation, metric: Metric, fit: Fit) -> Attribution | None:
    """The change of the score since the champion, taken apart into one by new data and one by new settings.

    Challenger and rival are two of the four models that this takes, and what is the same is fitted once: at most two
    more fits. A fit that fails costs the explanation, not the run: it is logged, and None comes out.
    """
    frame = table.frame.iloc[split.test]
    assert evaluation.blocks is not None
    try:
        predictions = _predictions(change, evaluation, lambda recipe, rows: fit(recipe, rows)(frame))
        return attribute(metric, evaluation.truth, predictions, evaluation.blocks, queries(table.columns, frame))
    except Exception as error:  # a library's own error, of whatever class it chose: old settings may fail on old rows in any way
        log.warning("why the score moved could not be told: %s: %s", type(error).__name__, error, exc_info=error)
        return None


def nothing_to_explain(champion: Champion | None, table: Table, evaluation: Evaluation) -> str:
    """Why there is no change to take apart; empty where there may be one."""
    if champion is None:
        return "there is no champion to compare with"
    if evaluation.champion_prediction is None or evaluation.blocks is None:
        return "the champion could not be scored"
    if table.columns.time is None:
        return "without a time column nobody can tell old rows from new ones"
    if champion.trained_through is None:
        return f"champion v{champion.version} does not say through when it was trained"
    return ""


def find_change(champion: Champion, old: Recipe, new: Recipe, table: Table, split: Split, window: timedelta | None) -> Change:
    """What changed since the champion, whose `trained_through` is known; `window` is the length of training windows, if they have one.

    Old rows are those of today's table up to `trained_through`, and none that is tested; where the champion has seen
    test rows its settings stand in for it, and of rows in the gap before them, which no model may see then, none either.
    A ranking's query counts as of its first row.
    """
    assert table.columns.time is not None
    assert champion.trained_through is not None
    times = table.frame[table.columns.time]
    if table.columns.query is not None:
        times = times.groupby(table.frame[table.columns.query]).transform("min")
    last = pd.Timestamp(champion.trained_through)
    if not split.unseen:
        last = min(last, times.iloc[split.train].max())
    seen = times <= last
    if window is not None:
        seen &= times > last - window
    return Change(old, new, np.setdiff1d(np.flatnonzero(seen), split.test), split.train)


def _predictions(change: Change, evaluation: Evaluation, predict: Callable[[Recipe, Rows], Floats]) -> FourPredictions:
    """The four models' predictions of the test rows: those that are there already, and at most two of new fits."""
    now, rival = evaluation.prediction, evaluation.champion_prediction
    assert rival is not None
    if evaluation.compared_with == "stand-in":
        data_only = rival
        before = data_only if change.same_data else _numbers(predict(change.old, change.old_rows))
    else:
        before = rival
        data_only = now if change.same_settings else before if change.same_data else _numbers(predict(change.old, change.new_rows))
    settings_only = before if change.same_settings else now if change.same_data else _numbers(predict(change.new, change.old_rows))
    return FourPredictions(before, data_only, settings_only, now)


def _numbers(prediction: Floats) -> Floats:
    return np.asarray(prediction, dtype=np.float64)
