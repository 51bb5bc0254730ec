"""Decay: whether the champion has become worse than it was when it was promoted, once the labels of newer rows have arrived.

The method. The champion's own predictions are scored on the labelled rows later than its `trained_through`, by the metric of
its retrain, and that score is compared with the one of its test window at promotion. Both are of different rows, so there is
nothing to pair. The rows' days are drawn again with replacement (a block bootstrap, as in tasks.comparisons.intervals); the
spread of the drawn scores is the score's standard error e. The score at promotion was measured on days too: its variance is
taken to be that of as many days of now, so that the difference has a standard error of e * sqrt(1 + days now / days then).
Decayed is said where the one-sided lower end of the difference, by Student's t with the days in effect less one, exceeds the
margin. What it does not tell apart: a model that has gone stale, and days that are harder for any model; a retrain finds out.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tasks.baselines import FIRST_TAG, LAST_TAG, METRIC_TAG
from tasks.comparisons.intervals import FEWEST, FEWEST_IN_EFFECT, Sample, count_effective, draw_blocks, student, way_to_redraw
from tasks.errors import ConfigError, ServiceUnavailable
from tasks.metrics import Metric, find_metric
from tasks.records import Champion, Floats, Rows, Table
from tasks.registry import champion_predictor
from tasks.settings import GateSettings
from tasks.sources.source import mask
from tasks.targets import encode, queries
from tasks.wording import say_count

log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Promotion:
    """What the champion scored in its own retrain, on a test window of so many days; 0 days where nobody knows."""

    metric: str
    score: float
    days: int


@dataclass(frozen=True)
class Decay:
    """Figures are None where they are not known. `difference` and `low` are losses: above 0 where the champion is worse now."""

    note: str
    """Why nothing can be said, or what it rests on."""
    metric: str = ""
    then: float | None = None
    now: float | None = None
    rows: int = 0
    days: int = 0
    difference: float | None = None
    low: float | None = None
    """The difference is at least this with the probability `confidence`."""
    confidence: float = 0.0
    margin: float | None = None
    """In the metric's units."""

    @property
    def decayed(self) -> bool:
        return self.low is not None and self.margin is not None and self.low > self.margin


def read_promotion(run: Any) -> Promotion | None:
    """From the MLflow run that registered the champion; None where it does not say."""
    name = run.data.tags.get(METRIC_TAG, "")
    score = run.data.metrics.get(name)
    if score is None or not math.isfinite(score):
        return None
    try:
        first, last = (datetime.fromisoformat(run.data.tags[tag]) for tag in (FIRST_TAG, LAST_TAG))
    except (KeyError, ValueError):
        return Promotion(name, score, 0)
    return Promotion(name, score, (last.date() - first.date()).days + 1)


def measure_decay(champion: Champion, table: Table, promotion: Promotion | None, share: float, gate: GateSettings) -> Decay:
    """`share` of the score at promotion is the margin; `gate` says how many rows it takes and how sure is sure.

    A champion that cannot be scored is said so in the note. Raises ServiceUnavailable.
    """
    if promotion is None:
        return Decay(f"the run that registered v{champion.version} does not say what it scored")
    known = Decay("", promotion.metric, promotion.score)
    if table.columns.time is None or champion.trained_through is None:
        return replace(known, note="without a time column nobody can tell which rows the champion has not seen")
    rows = np.flatnonzero(table.frame[table.columns.time] > pd.Timestamp(champion.trained_through))
    if len(rows) < gate.min_rows:
        count = f"{say_count(len(rows), 'labelled row')} later than {champion.trained_through:%Y-%m-%d}"
        return replace(known, rows=len(rows), note=f"{count}; it takes {gate.min_rows:,} (gate.min_rows)")
    return _score(known, champion, table, rows, promotion, share, gate)


def _score(known: Decay, champion: Champion, table: Table, rows: Rows, promotion: Promotion, share: float, gate: GateSettings) -> Decay:
    frame, target = table.frame.iloc[rows], table.columns.target
    query, days = queries(table.columns, frame), _days(table, rows)
    known = replace(known, rows=len(rows), days=len(np.unique(days)))
    try:
        metric = find_metric(promotion.metric, target.task)
        truth, prediction = encode(target, frame[target.column]), np.asarray(champion_predictor(champion, target)(frame), dtype=np.float64)
        now = metric.of(truth, prediction, query)
    except (ServiceUnavailable, ConfigError):
        raise
    except Exception as error:  # an old model may fail in any way
        log.warning("the champion could not be scored", exc_info=error)
        return replace(known, note=f"champion v{champion.version} could not be scored: {type(error).__name__}: {mask(str(error))}")
    if not math.isfinite(now):
        return replace(known, note=f"{metric.name} is not defined on these rows")
    margin = share * abs(promotion.score)
    difference = metric.loss(now) - metric.loss(promotion.score)
    found = replace(known, now=now, difference=difference, margin=margin, confidence=gate.confidence)
    deviation, effective = _standard_error(truth, prediction, metric, days, query)
    if math.isnan(deviation):
        return replace(found, note=f"{say_count(known.days, 'day')} say too little of how much the score varies; it takes {FEWEST}")
    both = deviation * math.sqrt(1 + effective / (promotion.days or effective))
    return replace(found, low=difference - student(effective - 1, gate.confidence) * both)


def _standard_error(truth: Floats, prediction: Floats, metric: Metric, days: Rows, query: Rows | None) -> tuple[float, float]:
    """The score's standard error, by drawing days again, and the days in effect; NaN where they are too few."""
    _, block, counts = np.unique(days, return_inverse=True, return_counts=True)
    effective = count_effective(counts)
    if len(counts) < FEWEST or effective < FEWEST_IN_EFFECT:
        return math.nan, effective
    redraw, count = way_to_redraw(metric, len(truth))
    drawn = redraw(Sample(truth, block, counts, metric, query), prediction, draw_blocks(len(counts), count))
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < count / 2:
        return math.nan, effective
    return float(drawn.std(ddof=1)) * math.sqrt(effective / (effective - 1)), effective


def _days(table: Table, rows: Rows) -> Rows:
    """Each row's day, whole numbers; a query belongs to the day of its first row."""
    times = table.frame[str(table.columns.time)].iloc[rows]
    days = np.asarray(pd.factorize(times.dt.tz_localize(None).dt.floor("D"))[0], dtype=np.int64)
    query = queries(table.columns, table.frame.iloc[rows])
    return days if query is None else days[np.unique(query, return_index=True)[1]][query]
