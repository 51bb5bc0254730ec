"""Formulas: what each metric computes, in a few sorts or sums of the rows.

Truth, prediction and query are as `tasks.metrics` says; `decided` are labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.records import Floats, Rows

Measure = Callable[[Floats, Floats], float]
EPSILON = np.finfo(np.float64).eps


def scikit(name: str, **arguments: object) -> Measure:
    def measure(truth: Floats, prediction: Floats) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, name)(truth, prediction, **arguments))

    return measure


def area(positive: Floats, negative: Floats) -> float:
    """Area under the ROC curve: the share of pairs that stand in the right order, a tie counting half. Both are sorted."""
    below = np.searchsorted(negative, positive, "left").sum() + np.searchsorted(negative, positive, "right").sum()
    return float(below / (2 * len(positive) * len(negative)))


def average_precision(positive: Floats, negative: Floats) -> float:
    """The mean over positive rows of the precision at their own score. Both are sorted."""
    found = len(positive) - np.searchsorted(positive, positive)
    return float(np.mean(found / (found + len(negative) - np.searchsorted(negative, positive))))


def ranked(measure: Measure) -> Measure:
    """A measure of how classes are told apart; over several the mean of one against the rest, leaving out classes the rows lack."""

    def mean_of_classes(truth: Floats, prediction: Floats) -> float:
        against_rest = (
            [(truth == 1, prediction)] if prediction.ndim == 1 else [(truth == k, column) for k, column in enumerate(prediction.T)]
        )
        scores = [measure(np.sort(scores[one]), np.sort(scores[~one])) for one, scores in against_rest if one.any() and not one.all()]
        return float(np.mean(scores)) if scores else math.nan

    return mean_of_classes


def log_loss(truth: Floats, prediction: Floats) -> float:
    """Mean of -log(the true class's probability), which counts as at least the float's epsilon, as scikit-learn has it."""
    chosen = (
        prediction[np.arange(len(truth)), truth.astype(int)] if prediction.ndim == 2 else np.where(truth == 1, prediction, 1 - prediction)
    )
    return float(-np.log(np.clip(chosen, EPSILON, None)).mean())


def brier(truth: Floats, prediction: Floats) -> float:
    """Binary: mean squared error of the probability. Multiclass: its sum over the classes (0 to 2), as Brier defined it."""
    if prediction.ndim == 1:
        return float(np.mean((prediction - truth) ** 2))
    return float(np.mean(np.sum((prediction - np.eye(prediction.shape[1])[truth.astype(int)]) ** 2, axis=1)))


def accuracy(truth: Floats, decided: Floats) -> float:
    return float(np.mean(truth == decided))


def balanced_accuracy(truth: Floats, decided: Floats) -> float:
    """Mean recall of the classes that the rows hold; scikit-learn's warns about every other class that is predicted."""
    return float(np.mean([np.mean(decided[truth == k] == k) for k in np.unique(truth)]))


def precision(truth: Floats, decided: Floats) -> float:
    return ratio(np.sum((truth == 1) & (decided == 1)), np.sum(decided == 1))


def recall(truth: Floats, decided: Floats) -> float:
    return ratio(np.sum((truth == 1) & (decided == 1)), np.sum(truth == 1))


def f1(truth: Floats, decided: Floats, positive: float = 1.0) -> float:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); 0 where there is nothing positive."""
    true, said = truth == positive, decided == positive
    return ratio(2 * np.sum(true & said), np.sum(true) + np.sum(said))


def f1_macro(truth: Floats, decided: Floats) -> float:
    """Mean F1 of the classes that the rows hold, or that are predicted."""
    return float(np.mean([f1(truth, decided, k) for k in np.union1d(truth, decided)]))


def ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0


def rmse(truth: Floats, prediction: Floats) -> float:
    return math.sqrt(np.mean((truth - prediction) ** 2))


def mae(truth: Floats, prediction: Floats) -> float:
    return float(np.mean(np.abs(truth - prediction)))


def r2(truth: Floats, prediction: Floats) -> float:
    return scikit("r2_score")(truth, prediction) if len(truth) > 1 else math.nan


def pinball(truth: Floats, prediction: Floats, alpha: float) -> float:
    """What a quantile's prediction costs: alpha a unit below the truth, 1 - alpha a unit above it (Koenker and Bassett, 1978)."""
    short = truth - prediction
    return float(np.mean(np.maximum(alpha * short, (alpha - 1) * short)))


def poisson_deviance(truth: Floats, prediction: Floats) -> float:
    """Mean of 2 (y log(y / mean) - y + mean), the mean counting as at least the float's epsilon; NaN for truths below 0."""
    if (truth < 0).any():
        return math.nan
    mean = np.clip(prediction, EPSILON, None)
    return float(2 * np.mean(truth * np.log(np.where(truth > 0, truth, 1.0) / np.where(truth > 0, mean, 1.0)) - truth + mean))


def ndcg(truth: Floats, prediction: Floats, query: Rows, first: int | None = None) -> float:
    """Mean over queries of DCG / ideal DCG among the first rows (Jarvelin and Kekalainen, 2002), with gains 2 ** relevance - 1.

    Rows of one score share their places' discounts, so that no order of the table is rewarded. Queries without a
    relevant row have no ideal and are left out; NaN when none is left.
    """
    _, query = np.unique(query, return_inverse=True)
    gain = np.exp2(truth) - 1
    order = np.lexsort((-prediction, query))
    sizes = np.bincount(query)
    place = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    discount = np.where(place < (first or len(place)), 1 / np.log2(place + 2), 0.0)
    score = prediction[order]
    tie = np.concatenate([[0], np.cumsum((np.diff(score) != 0) | (np.diff(query[order]) != 0))])
    shared = (np.bincount(tie, discount) / np.bincount(tie))[tie]
    reached = np.bincount(query[order], gain[order] * shared)
    ideal = np.bincount(query[order], gain[np.lexsort((-gain, query))] * discount)
    return float(np.mean(reached[ideal > 0] / ideal[ideal > 0])) if (ideal > 0).any() else math.nan
