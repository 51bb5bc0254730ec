"""Stage: challenger and champion on the same rows, which neither was trained on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from tasks.comparisons.blocks import FEWEST as FEWEST_DAYS
from tasks.comparisons.blocks import MOST, block_rows
from tasks.comparisons.churn import measure_churn
from tasks.comparisons.costs import measure_cost
from tasks.comparisons.golden import ask_golden
from tasks.comparisons.intervals import paired_interval
from tasks.comparisons.slices import compare_slices
from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.metrics import Metric, score
from tasks.models.model import Fitted
from tasks.records import Evaluation, Floats, Fold, Rows, Split, Table
from tasks.settings import GateSettings
from tasks.stage import stage
from tasks.targets import encode, queries

log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Rival:
    """What the challenger is compared with; `predict` maps raw columns to raw predictions and may fail."""

    kind: Literal["champion", "stand-in"]
    note: str
    predict: Callable[[Any], Floats]


@stage("evaluate")
def evaluate_model(
    fitted: Fitted,
    rival: Rival | None,
    table: Table,
    split: Split,
    metric: Metric,
    metrics: tuple[str, ...],
    gate: GateSettings,
    group: str | None = None,
) -> Evaluation:
    """Everything the gate weighs of challenger and rival on the test rows: scores and how sure they are, slices, golden rows, cost.

    `group` is the column by which a table without time is split, if there is one: its rows are alike, as a day's are. A rival
    that cannot be scored is said so in the note. What it costs to answer is measured where the gate has a limit on it.
    Raises TrainingFailed when the challenger does not answer with numbers, or its main metric is none; ConfigError for a
    slice's column or golden rows that cannot be had.
    """
    frame = table.frame.iloc[split.test]
    truth, query = encode(fitted.target, frame[fitted.target.column]), queries(table.columns, frame)
    names = tuple(dict.fromkeys((metric.name, *metrics)))
    try:
        prediction = _predict(fitted.predict, frame)
        challenger = _score(names, truth, prediction, query)
    except Exception as error:  # a library's own error, of whatever class it chose
        raise TrainingFailed(f"the challenger cannot be scored on the test rows: {_say(error)}") from error
    evaluation = Evaluation(
        metric.name,
        challenger,
        {},
        len(frame),
        "nobody",
        "there is no champion to compare with",
        truth,
        prediction,
        blocks=_blocks(table, split, query, group),
        golden=ask_golden(fitted, gate),
        cost=measure_cost(fitted, frame) if gate.weighs_cost else None,
    )
    if rival is not None:
        evaluation = _compare(evaluation, rival, frame, names, query)
    return _doubt(evaluation, fitted, frame, metric, query, gate)


def _compare(ours: Evaluation, rival: Rival, frame: pd.DataFrame, names: tuple[str, ...], query: Rows | None) -> Evaluation:
    """With the rival's scores, or a note that it has none."""
    try:
        theirs = _predict(rival.predict, frame)
        if theirs.shape != ours.prediction.shape:
            raise ValueError(f"it answers in the shape {theirs.shape}, the challenger in {ours.prediction.shape}")
        champion = _score(names, ours.truth, theirs, query)
    except ServiceUnavailable:
        raise
    except Exception as error:  # an old model may fail in any way; that must not promote the new one
        log.warning("the champion could not be scored", exc_info=error)
        who = "the champion" if rival.kind == "champion" else "the champion's settings, refitted,"
        return replace(ours, compared_with=rival.kind, note=f"{who} could not be scored: {_say(error)}")
    return replace(ours, champion=champion, compared_with=rival.kind, note=rival.note, champion_prediction=theirs)


def _doubt(
    evaluation: Evaluation, fitted: Fitted, frame: pd.DataFrame, metric: Metric, query: Rows | None, gate: GateSettings
) -> Evaluation:
    """With how sure the difference is, on all rows and on slices of them, and how many predictions it changes."""
    truth, ours, theirs, blocks = evaluation.truth, evaluation.prediction, evaluation.champion_prediction, evaluation.blocks
    assert blocks is not None
    slices = compare_slices(frame, gate, truth, ours, theirs, blocks, metric, query)
    if theirs is None:
        return replace(evaluation, slices=slices)
    interval = paired_interval(truth, ours, theirs, metric, blocks, gate.confidence, query)
    return replace(evaluation, slices=slices, interval=interval, churn=measure_churn(fitted.target, ours, theirs))


def _blocks(table: Table, split: Split, query: Rows | None, group: str | None) -> Rows:
    """The block of each test row. A few days stay days here: slices of a day share its weather, and would look too sure."""
    blocks = block_rows(table, Fold(split.test[:0], split.test))
    frame, time = table.frame.iloc[split.test], table.columns.time
    if time is None:
        return blocks if group is None else _groups(frame[group])
    days = np.asarray(pd.factorize(frame[time].dt.floor("D"))[0], dtype=np.int64)
    if days.max() + 1 >= FEWEST_DAYS:
        return blocks
    return days if query is None else days[np.unique(query, return_index=True)[1]][query]


def _groups(values: pd.Series) -> Rows:
    """A group's rows go together, and over MOST groups in even runs of whole ones."""
    groups = np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.int64)
    count = int(groups.max()) + 1
    return groups if count <= MOST else groups * MOST // count


def _predict(predict: Callable[[Any], Floats], frame: Any) -> Floats:
    """A raw prediction; ArithmeticError when not all of it is finite."""
    prediction = np.asarray(predict(frame), dtype=np.float64)
    rows = np.asarray(np.isfinite(prediction).reshape(len(prediction), -1).all(axis=1))
    if not rows.all():
        raise ArithmeticError(f"it predicts no finite number for {int((~rows).sum()):,} of {len(rows):,} rows")
    return prediction


def _score(names: tuple[str, ...], truth: Floats, prediction: Floats, query: Rows | None) -> dict[str, float]:
    """The metrics by name; ArithmeticError when the first, which decides, is no finite number."""
    scores = score(names, truth, prediction, query)
    if not math.isfinite(scores[names[0]]):
        raise ArithmeticError(f"{names[0]} is {scores[names[0]]}, not a finite number")
    return scores


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
