"""Churn: how much of what users see changes with the model, whether or not it gets better."""

from __future__ import annotations

import math

import numpy as np

from tasks.metrics import labels
from tasks.records import Floats, Target


def measure_churn(target: Target, ours: Floats, theirs: Floats) -> float:
    """How far two raw predictions of the same rows, shape (rows,) or (rows, classes), lie apart: 0 when nothing changes.

    With classes the share of the rows that get another one, whatever the truth. Without, the mean absolute change over
    the standard deviation of the rival's predictions; infinite where the rival says the same to every row and the
    challenger something else. Source: Milani Fard et al., Launch and Iterate: Reducing Prediction Churn (2016).
    """
    if target.classes:
        return float(np.mean(labels(ours) != labels(theirs)))
    change, spread = float(np.mean(np.abs(ours - theirs))), float(np.std(theirs))
    if spread == 0:
        return math.inf if change else 0.0
    return change / spread
