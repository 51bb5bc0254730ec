"""Stage: challenger and champion on the same rows, which neither was trained on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from tasks.errors import TrainingFailed
from tasks.metrics import Metric, score
from tasks.models.model import Fitted
from tasks.records import Evaluation, Floats, Rows, Split, Table
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
def evaluate_model(fitted: Fitted, rival: Rival | None, table: Table, split: Split, metric: Metric, metrics: tuple[str, ...]) -> Evaluation:
    """Every metric for challenger and rival on the test rows; a rival that cannot be scored is said so in the note.

    Raises TrainingFailed when the challenger does not answer with numbers, or its main metric is none.
    """
    frame = table.frame.iloc[split.test]
    truth, query = encode(fitted.target, frame[fitted.target.column]), queries(table.columns, frame)
    names = tuple(dict.fromkeys((metric.name, *metrics)))
    try:
        prediction = _predict(fitted.predict, frame)
        challenger = _score(names, truth, prediction, query)
    except Exception as error:  # a library's own error, of whatever class it chose
        raise TrainingFailed(f"the challenger cannot be scored on the test rows: {_say(error)}") from error
    ours = Evaluation(metric.name, challenger, {}, len(frame), "nobody", "there is no champion to compare with", truth, prediction)
    if rival is None:
        return ours
    try:
        theirs = _predict(rival.predict, frame)
        if theirs.shape != prediction.shape:
            raise ValueError(f"it answers in the shape {theirs.shape}, the challenger in {prediction.shape}")
        champion = _score(names, truth, theirs, query)
    except Exception as error:  # an old model may fail in any way; that must not promote the new one
        log.warning("the champion could not be scored", exc_info=error)
        who = "the champion" if rival.kind == "champion" else "the champion's settings, refitted,"
        return replace(ours, compared_with=rival.kind, note=f"{who} could not be scored: {_say(error)}")
    return replace(ours, champion=champion, compared_with=rival.kind, note=rival.note, champion_prediction=theirs)


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
