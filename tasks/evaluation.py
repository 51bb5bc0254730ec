"""Stage: challenger and champion on the same rows, which neither was trained on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from tasks.errors import TrainingFailed
from tasks.metrics import Metric, score
from tasks.models.model import Fitted
from tasks.records import Evaluation, Floats, Split, Table
from tasks.stage import stage
from tasks.targets import encode

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

    Raises TrainingFailed when the challenger's main metric is not a finite number.
    """
    frame = table.frame.iloc[split.test]
    truth = encode(fitted.target, frame[fitted.target.column])
    prediction = fitted.predict(frame)
    names = tuple(dict.fromkeys((metric.name, *metrics)))
    challenger = score(names, truth, prediction)
    if not math.isfinite(challenger[metric.name]):
        raise TrainingFailed(f"the challenger's {metric.name} on the test rows is {challenger[metric.name]}, not a finite number")
    ours = Evaluation(metric.name, challenger, {}, len(frame), "nobody", "there is no champion to compare with", truth, prediction)
    if rival is None:
        return ours
    try:
        theirs = rival.predict(frame)
        return replace(ours, champion=score(names, truth, theirs), compared_with=rival.kind, note=rival.note, champion_prediction=theirs)
    except Exception as error:  # an old model may fail in any way; that must not promote the new one
        log.warning("the champion could not be scored", exc_info=error)
        return replace(ours, compared_with=rival.kind, note=f"the champion could not be scored: {type(error).__name__}: {error}")
