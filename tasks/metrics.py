"""Metrics by name. Each keeps its natural value; the direction lives here, and nowhere else.

A prediction is what a model says before anything is decided: for a binary task the probability of the positive
class, shape (rows,); for a multiclass task the probabilities, shape (rows, classes); for a regression the value,
shape (rows,). The truth is the class's position, or the value, as float64 of shape (rows,). A measure that the rows
do not define (a ranking where all are of one class) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.errors import ConfigError
from tasks.records import Floats, Scores
from tasks.settings import Task
from tasks.wording import did_you_mean

Measure = Callable[[Floats, Floats], float]


@dataclass(frozen=True)
class Metric:
    """`measure(truth, prediction)` in the metric's own units; `decides` says that it looks at labels, not at probabilities."""

    name: str
    greater_is_better: bool
    tasks: frozenset[Task]
    measure: Measure
    decides: bool = False

    def loss(self, value: float) -> float:
        """The value turned so that less is better; what a search minimizes."""
        return -value if self.greater_is_better else value

    def is_worse(self, value: float, than: float, by: float = 0.0) -> bool:
        """Whether `value` is behind `than` by more than `by` (in the metric's units); what is not a number cannot be said not to be."""
        return not self.loss(value) - self.loss(than) <= by


def labels(prediction: Floats) -> Floats:
    """Probabilities -> the likeliest class's position (binary: at one half)."""
    if prediction.ndim == 2:
        return np.asarray(prediction.argmax(axis=1), dtype=np.float64)
    return np.asarray(prediction >= 0.5, dtype=np.float64)


def _scikit(name: str, **arguments: object) -> Measure:
    def measure(truth: Floats, prediction: Floats) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, name)(truth, prediction, **arguments))

    return measure


def _ranked(name: str) -> Measure:
    """A measure of ranking; over several classes the mean of one against the rest, leaving out classes the rows lack."""
    binary = _scikit(name)

    def measure(truth: Floats, prediction: Floats) -> float:
        against_rest = [(truth, prediction)] if prediction.ndim == 1 else [(truth == k, column) for k, column in enumerate(prediction.T)]
        scores = [binary(is_class, scores) for is_class, scores in against_rest if 0 < np.sum(is_class) < len(is_class)]
        return float(np.mean(scores)) if scores else math.nan

    return measure


def _log_loss(truth: Floats, prediction: Floats) -> float:
    """Mean of -log(the true class's probability), which counts as at least the float's epsilon, as scikit-learn has it."""
    chosen = (
        prediction[np.arange(len(truth)), truth.astype(int)] if prediction.ndim == 2 else np.where(truth == 1, prediction, 1 - prediction)
    )
    return float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, None)).mean())


def _brier(truth: Floats, prediction: Floats) -> float:
    """Binary: mean squared error of the probability. Multiclass: its sum over the classes (0 to 2), as Brier defined it."""
    if prediction.ndim == 1:
        return float(np.mean((prediction - truth) ** 2))
    return float(np.mean(np.sum((prediction - np.eye(prediction.shape[1])[truth.astype(int)]) ** 2, axis=1)))


def _balanced_accuracy(truth: Floats, decided: Floats) -> float:
    """Mean recall of the classes that the rows hold; scikit-learn's warns about every other class that is predicted."""
    return float(np.mean([np.mean(decided[truth == k] == k) for k in np.unique(truth)]))


def _r2(truth: Floats, prediction: Floats) -> float:
    return _scikit("r2_score")(truth, prediction) if len(truth) > 1 else math.nan


BINARY, MULTICLASS, REGRESSION = frozenset[Task]({"binary"}), frozenset[Task]({"multiclass"}), frozenset[Task]({"regression"})
CLASSES = BINARY | MULTICLASS

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("log_loss", False, CLASSES, _log_loss),
        Metric("roc_auc", True, CLASSES, _ranked("roc_auc_score")),
        Metric("average_precision", True, BINARY, _ranked("average_precision_score")),
        Metric("brier", False, CLASSES, _brier),
        Metric("accuracy", True, CLASSES, _scikit("accuracy_score"), decides=True),
        Metric("balanced_accuracy", True, CLASSES, _balanced_accuracy, decides=True),
        Metric("f1", True, BINARY, _scikit("f1_score", zero_division=0), decides=True),
        Metric("f1_macro", True, CLASSES, _scikit("f1_score", average="macro", zero_division=0), decides=True),
        Metric("precision", True, BINARY, _scikit("precision_score", zero_division=0), decides=True),
        Metric("recall", True, BINARY, _scikit("recall_score", zero_division=0), decides=True),
        Metric("rmse", False, REGRESSION, _scikit("root_mean_squared_error")),
        Metric("mae", False, REGRESSION, _scikit("mean_absolute_error")),
        Metric("median_absolute_error", False, REGRESSION, _scikit("median_absolute_error")),
        Metric("mape", False, REGRESSION, _scikit("mean_absolute_percentage_error")),
        Metric("r2", True, REGRESSION, _r2),
    )
}
DEFAULTS: dict[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "roc_auc", "average_precision", "brier", "accuracy"),
    "multiclass": ("log_loss", "roc_auc", "accuracy", "f1_macro"),
    "regression": ("rmse", "mae", "r2"),
}


def find_metric(name: str, task: Task | None = None) -> Metric:
    """The metric of that name; ConfigError naming the nearest one, or those that fit the task."""
    metric = METRICS.get(name)
    if metric is None:
        hint = did_you_mean(name, METRICS) or f"there are {', '.join(METRICS)}"
        raise ConfigError(f"no metric is called {name!r}; {hint}")
    if task is not None and task not in metric.tasks:
        fitting = ", ".join(other.name for other in METRICS.values() if task in other.tasks)
        raise ConfigError(f"metric {name} does not fit a {task} task; these do: {fitting}")
    return metric


def score(names: tuple[str, ...], truth: Floats, prediction: Floats) -> Scores:
    """Every named metric on the same rows."""
    return {name: METRICS[name].measure(truth, labels(prediction) if METRICS[name].decides else prediction) for name in names}
