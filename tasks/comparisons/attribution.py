"""Why the score moved: how much of the change in loss is the data's, and how much the settings'.

Four models, {old, new settings} x {old, new data}, are scored on the same test rows. What a change is worth depends on
which comes first, so each effect is its mean over both orders. Source: Shapley, A value for n-person games (1953).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.comparisons.intervals import paired_interval
from tasks.metrics import Metric
from tasks.records import Attribution, Floats, Rows

CONFIDENCE = 0.95
"""Of an interval of which only the standard error is used."""


@dataclass(frozen=True)
class FourPredictions:
    """Raw predictions of the test rows, shape (rows,) or (rows, classes) each, by settings and training data."""

    old_settings_old_data: Floats
    old_settings_new_data: Floats
    new_settings_old_data: Floats
    new_settings_new_data: Floats


def attribute(metric: Metric, truth: Floats, predictions: FourPredictions, blocks: Rows, query: Rows | None = None) -> Attribution:
    """Losses of the four models, and the change from the first to the last as an effect of data and one of settings.

    Both effects add up to the whole change exactly; below 0 is better. Raises ArithmeticError when a model has no score.
    """

    def loss(prediction: Floats) -> float:
        return metric.loss(metric.of(truth, prediction, query))

    before, data_only = loss(predictions.old_settings_old_data), loss(predictions.old_settings_new_data)
    settings_only, now = loss(predictions.new_settings_old_data), loss(predictions.new_settings_new_data)
    if not np.isfinite([before, data_only, settings_only, now]).all():
        raise ArithmeticError(f"{metric.name} is not a finite number for each of the four models")
    return Attribution(
        before,
        data_only,
        settings_only,
        now,
        data=((data_only - before) + (now - settings_only)) / 2,
        settings=((settings_only - before) + (now - data_only)) / 2,
        noise=_noise(metric, truth, predictions, blocks, query),
    )


def _noise(metric: Metric, truth: Floats, predictions: FourPredictions, blocks: Rows, query: Rows | None) -> float:
    """Standard error of the whole change: how far other days would have moved it; NaN where the rows say nothing of it."""
    now, before = predictions.new_settings_new_data, predictions.old_settings_old_data
    return paired_interval(truth, now, before, metric, blocks, CONFIDENCE, query).standard_error
