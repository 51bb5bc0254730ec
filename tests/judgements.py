"""What is found of a challenger beside its scores, for the stories: intervals, slices, drift. Real figures where there are predictions."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from tasks.metrics import METRICS
from tasks.records import (
    Attribution,
    ColumnDrift,
    DriftReport,
    Evaluation,
    Floats,
    GoldenRow,
    Interval,
    PastScore,
    Rewriting,
    ServingCost,
    Shares,
    SliceScore,
    Slide,
)
from tasks.wording import say_count

BLOCKS = 20
CONFIDENCE = 0.95
"""At either end."""
MARGIN = 0.01
TOO_FEW = 20
CLINICS = ("North", "South", "Harbour & Dock <east>", "Hill")
REWRITING = Rewriting("the retrain of 2013-09-01", late=41, removed=3, rewritten_days=("2013-08-28", "2013-08-30"), rewritten_rows=96)


def judged(evaluation: Evaluation) -> Evaluation:
    """The same with its interval, slices, churn, golden rows, cost and slide; without a champion those of the challenger alone."""
    blocks = np.arange(evaluation.rows) * BLOCKS // evaluation.rows
    evaluation = replace(evaluation, blocks=blocks, golden=golden(), cost=ServingCost(1.92, 14.3, 0.412))
    if evaluation.champion_prediction is None:
        return replace(evaluation, interval=None, churn=None, slide=None, slices=_slices(evaluation))
    interval = interval_of(evaluation, np.full(evaluation.rows, True))
    halved = replace(interval, difference=interval.difference / 2, low=interval.low / 2, high=interval.high / 2)
    score = evaluation.champion[evaluation.metric]
    return replace(
        evaluation,
        interval=interval,
        slices=_slices(evaluation),
        churn=_churn(evaluation.prediction, evaluation.champion_prediction),
        slide=Slide("1", score, halved),
    )


def interval_of(evaluation: Evaluation, chosen: Any) -> Interval:
    """By the jackknife over the blocks of the chosen rows: another way than the project's own bootstrap."""
    metric = METRICS[evaluation.metric]
    assert evaluation.champion_prediction is not None
    assert evaluation.blocks is not None
    now, before, blocks = evaluation.prediction, evaluation.champion_prediction, evaluation.blocks

    def worse_by(rows: Any) -> float:
        found = [metric.loss(metric.of(evaluation.truth[rows], prediction[rows])) for prediction in (now, before)]
        return found[0] - found[1]

    present = np.unique(blocks[chosen])
    without = np.array([worse_by(chosen & (blocks != block)) for block in present])
    error = math.sqrt((len(present) - 1) / len(present) * ((without - without.mean()) ** 2).sum())
    difference, reach = worse_by(chosen), NormalDist().inv_cdf(CONFIDENCE) * error
    return Interval(difference, difference - reach, difference + reach, error, CONFIDENCE, len(present))


def clinics(rows: int) -> list[str]:
    """A category of the test rows; the last one is rare, and one row says nothing."""
    names = [CLINICS[row % 7 % 3] for row in range(rows)]
    return [CLINICS[3] if row % 60 == 7 else "" if row == 11 else name for row, name in enumerate(names)]


def _slices(evaluation: Evaluation) -> tuple[SliceScore, ...]:
    metric, where = METRICS[evaluation.metric], np.array(clinics(evaluation.rows))
    found = []
    for name in (*CLINICS, ""):
        chosen = where == name
        rows, few = int(chosen.sum()), chosen.sum() < TOO_FEW
        now = metric.of(evaluation.truth[chosen], evaluation.prediction[chosen])
        rival = evaluation.champion_prediction
        before = None if rival is None else metric.of(evaluation.truth[chosen], rival[chosen])
        note = f"{say_count(rows, 'row')}, fewer than gate.slice_min_rows" if few else ""
        interval = None if few or rival is None else interval_of(evaluation, chosen)
        found.append(SliceScore("clinic", name or "missing", rows, now, before, interval, note))
    return tuple(found)


def _churn(now: Floats, before: Floats) -> float:
    """As the record says: another class, or the mean change over the rival's spread."""
    if now.ndim == 2:
        return float((now.argmax(axis=1) != before.argmax(axis=1)).mean())
    if ((now < 0) | (now > 1)).any():
        return float(np.abs(now - before).mean() / before.std())
    return float(((now >= 0.5) != (before >= 0.5)).mean())


def golden(failing: int = 0) -> tuple[GoldenRow, ...]:
    """Five rows, the first few of them wrong."""
    answers = ("malignant", "benign", "benign", "malignant", "benign")
    other = {"benign": "malignant", "malignant": "benign"}
    return tuple(
        GoldenRow(row, answer, other[answer] if row <= failing else answer, row > failing) for row, answer in enumerate(answers, start=1)
    )


def attribution_of(evaluation: Evaluation, same_settings: bool = False) -> Attribution:
    """A third of the way by new data with old settings, half of it by new settings with old data; all of it by data with the same ones."""
    assert evaluation.interval is not None
    loss = METRICS[evaluation.metric].loss
    old, new = loss(evaluation.champion[evaluation.metric]), loss(evaluation.challenger[evaluation.metric])
    if same_settings:
        return Attribution(old, new, old, new, new - old, 0.0, evaluation.interval.standard_error)
    data_alone, settings_alone = old - (new - old) / 3, old + (new - old) / 2
    data, settings = ((data_alone - old) + (new - settings_alone)) / 2, ((settings_alone - old) + (new - data_alone)) / 2
    return Attribution(old, data_alone, settings_alone, new, data, settings, evaluation.interval.standard_error)


def drift_of(frame: pd.DataFrame) -> DriftReport:
    """The first half of the rows against the second: some of the columns, a category, the most drifted first."""
    half = len(frame) // 2
    grown = frame.columns[0]
    frame = frame.assign(**{grown: frame[grown].where(np.arange(len(frame)) < half, 1.2 * frame[grown] + 0.01)})
    numbers = [_drift(str(name), _bins(frame[name].iloc[:half], frame[name]), half) for name in frame.columns[:6]]
    codes = np.array([row % 3 if row < half else row * row % 7 % 3 for row in range(len(frame))])
    category = _drift("clinic", (codes, (), CLINICS[:3]), half)
    target = _drift("benign", (np.arange(len(frame)) * 7 % 11 // 6, (), ("0", "1")), half)
    columns = sorted((*numbers, category), key=lambda one: -one.index)
    return DriftReport("the rows that champion v3 was trained on (through 2013-09-01)", tuple(columns), target)


def _bins(before: pd.Series, values: pd.Series) -> tuple[Any, tuple[float, ...], tuple[str, ...]]:
    edges = np.unique(np.quantile(before, np.linspace(0.1, 0.9, 9)))
    return np.searchsorted(edges, values.to_numpy()), tuple(map(float, edges)), ()


def _drift(column: str, binned: tuple[Any, tuple[float, ...], tuple[str, ...]], half: int) -> ColumnDrift:
    from scipy.stats import chi2_contingency

    codes, edges, values = binned
    bins = len(edges) + 1 if edges else len(values) + 1
    counts = np.array([np.bincount(part, minlength=bins + 1) for part in (codes[:half], codes[half:])])
    shares = counts / counts.sum(axis=1, keepdims=True)
    then, now = (np.maximum(part, 1e-4) for part in shares)
    index = float(((now - then) * np.log(now / then)).sum())
    p_value = float(chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue)
    kind: Any = "number" if edges else "category"
    told = [Shares(column, kind, int(row.sum()), tuple(map(float, part)), edges, values) for row, part in zip(counts, shares, strict=True)]
    return ColumnDrift(column, told[0], told[1], index, p_value, index > 0.25 and p_value < 0.05)


def past_scores(metric: str, around: float) -> tuple[PastScore, ...]:
    """Seven months: the first version, better and worse ones, a rejected data set that has no scores."""
    verdicts = ("promoted", "kept", "data_rejected", "ask", "kept", "promoted", "kept")
    found, live, version = [], None, 0
    for month, verdict in enumerate(verdicts, start=3):
        score = None if verdict == "data_rejected" else around * (1 + 0.06 * math.cos(2.3 * month))
        version += verdict in ("promoted", "ask")
        shown = str(version) if verdict in ("promoted", "ask") else None
        found.append(PastScore(f"2013-{month:02d}-01", verdict, shown, metric, score, live and live * 1.01, f"{month:032x}"))
        live = score if verdict == "promoted" else live
    return tuple(found)


def dropped_rows(count: int = 14) -> pd.DataFrame:
    """Rows that two policies left out, why first."""
    rows = np.arange(count)
    why = ["mean radius between 5 and 28" if row % 3 else "clinic is in the set <North, South>" for row in rows]
    left_out = {"why": why, "patient": 4_000 + 17 * rows, "mean radius": 28.1 + rows / 10, "clinic": ["Hill"] * count}
    return pd.DataFrame(left_out, pd.Index(7 + 31 * rows, name="row"))
