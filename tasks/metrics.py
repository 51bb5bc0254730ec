"""Metrics by name. Each keeps its natural value; the direction lives here, and nowhere else.

A prediction is what a model says before anything is decided: for a binary task the probability of the positive
class, shape (rows,); for a multiclass task the probabilities, shape (rows, classes); for a regression the value, for a
ranking the score, shape (rows,). The truth is the class's position, the value or the relevance, as float64 of shape
(rows,). A measure that the rows do not define (an area under the curve where all are of one class) is NaN.

A search measures after every round of boosting, so what is here costs a few sorts of the rows at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tasks.errors import ConfigError
from tasks.records import Floats, Rows, Scores
from tasks.settings import Task
from tasks.wording import did_you_mean

Measure = Callable[[Floats, Floats], float]
EPSILON = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Metric:
    """`formula(truth, prediction)` in the metric's own units; `decides` says that it looks at labels, not at probabilities.

    `by_query`: its formula takes the rows' queries too, whole numbers of shape (rows,), and is a mean over them.
    """

    name: str
    greater_is_better: bool
    tasks: frozenset[Task]
    formula: Callable[..., float]
    decides: bool = False
    by_query: bool = False

    def measure(self, truth: Floats, prediction: Floats, query: Rows | None = None) -> float:
        """The metric of what a model answers: labels where it `decides`. Raises ValueError for a ranking without queries."""
        if not self.by_query:
            return self.formula(truth, prediction)
        if query is None:
            raise ValueError(f"{self.name} is a mean over queries, and the rows come without theirs")
        return self.formula(truth, prediction, query)

    def of(self, truth: Floats, raw: Floats, query: Rows | None = None) -> float:
        """The metric of a raw prediction, decided first where that is what it looks at."""
        return self.measure(truth, labels(raw) if self.decides else raw, query)

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


def _area(positive: Floats, negative: Floats) -> float:
    """Area under the ROC curve: the share of pairs that stand in the right order, a tie counting half. Both are sorted."""
    below = np.searchsorted(negative, positive, "left").sum() + np.searchsorted(negative, positive, "right").sum()
    return float(below / (2 * len(positive) * len(negative)))


def _average_precision(positive: Floats, negative: Floats) -> float:
    """The mean over positive rows of the precision at their own score. Both are sorted."""
    found = len(positive) - np.searchsorted(positive, positive)
    return float(np.mean(found / (found + len(negative) - np.searchsorted(negative, positive))))


def _ranked(measure: Measure) -> Measure:
    """A measure of how classes are told apart; over several the mean of one against the rest, leaving out classes the rows lack."""

    def ranked(truth: Floats, prediction: Floats) -> float:
        against_rest = (
            [(truth == 1, prediction)] if prediction.ndim == 1 else [(truth == k, column) for k, column in enumerate(prediction.T)]
        )
        scores = [measure(np.sort(scores[one]), np.sort(scores[~one])) for one, scores in against_rest if one.any() and not one.all()]
        return float(np.mean(scores)) if scores else math.nan

    return ranked


def _log_loss(truth: Floats, prediction: Floats) -> float:
    """Mean of -log(the true class's probability), which counts as at least the float's epsilon, as scikit-learn has it."""
    chosen = (
        prediction[np.arange(len(truth)), truth.astype(int)] if prediction.ndim == 2 else np.where(truth == 1, prediction, 1 - prediction)
    )
    return float(-np.log(np.clip(chosen, EPSILON, None)).mean())


def _brier(truth: Floats, prediction: Floats) -> float:
    """Binary: mean squared error of the probability. Multiclass: its sum over the classes (0 to 2), as Brier defined it."""
    if prediction.ndim == 1:
        return float(np.mean((prediction - truth) ** 2))
    return float(np.mean(np.sum((prediction - np.eye(prediction.shape[1])[truth.astype(int)]) ** 2, axis=1)))


def _accuracy(truth: Floats, decided: Floats) -> float:
    return float(np.mean(truth == decided))


def _balanced_accuracy(truth: Floats, decided: Floats) -> float:
    """Mean recall of the classes that the rows hold; scikit-learn's warns about every other class that is predicted."""
    return float(np.mean([np.mean(decided[truth == k] == k) for k in np.unique(truth)]))


def _precision(truth: Floats, decided: Floats) -> float:
    return _ratio(np.sum((truth == 1) & (decided == 1)), np.sum(decided == 1))


def _recall(truth: Floats, decided: Floats) -> float:
    return _ratio(np.sum((truth == 1) & (decided == 1)), np.sum(truth == 1))


def _f1(truth: Floats, decided: Floats, positive: float = 1.0) -> float:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); 0 where there is nothing positive."""
    true, said = truth == positive, decided == positive
    return _ratio(2 * np.sum(true & said), np.sum(true) + np.sum(said))


def _f1_macro(truth: Floats, decided: Floats) -> float:
    """Mean F1 of the classes that the rows hold, or that are predicted."""
    return float(np.mean([_f1(truth, decided, k) for k in np.union1d(truth, decided)]))


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0


def _rmse(truth: Floats, prediction: Floats) -> float:
    return math.sqrt(np.mean((truth - prediction) ** 2))


def _mae(truth: Floats, prediction: Floats) -> float:
    return float(np.mean(np.abs(truth - prediction)))


def _r2(truth: Floats, prediction: Floats) -> float:
    return _scikit("r2_score")(truth, prediction) if len(truth) > 1 else math.nan


def _pinball(truth: Floats, prediction: Floats, alpha: float) -> float:
    """What a quantile's prediction costs: alpha a unit below the truth, 1 - alpha a unit above it (Koenker and Bassett, 1978)."""
    short = truth - prediction
    return float(np.mean(np.maximum(alpha * short, (alpha - 1) * short)))


def _poisson_deviance(truth: Floats, prediction: Floats) -> float:
    """Mean of 2 (y log(y / mean) - y + mean), the mean counting as at least the float's epsilon; NaN for truths below 0."""
    if (truth < 0).any():
        return math.nan
    mean = np.clip(prediction, EPSILON, None)
    return float(2 * np.mean(truth * np.log(np.where(truth > 0, truth, 1.0) / np.where(truth > 0, mean, 1.0)) - truth + mean))


def _ndcg(truth: Floats, prediction: Floats, query: Rows, first: int | None = None) -> float:
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


BINARY, MULTICLASS, REGRESSION = frozenset[Task]({"binary"}), frozenset[Task]({"multiclass"}), frozenset[Task]({"regression"})
CLASSES, RANKING = BINARY | MULTICLASS, frozenset[Task]({"ranking"})


class _Metrics(dict[str, Metric]):
    """Metrics by name; those with a number in their name (`pinball_at_0.9`, `ndcg_at_3`) are made when they are asked for."""

    def __missing__(self, name: str) -> Metric:
        if (metric := _with_number(name)) is None:
            raise KeyError(name)
        return metric

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and _with_number(name) is not None)


METRICS: dict[str, Metric] = _Metrics(
    (metric.name, metric)
    for metric in (
        Metric("log_loss", False, CLASSES, _log_loss),
        Metric("roc_auc", True, CLASSES, _ranked(_area)),
        Metric("average_precision", True, BINARY, _ranked(_average_precision)),
        Metric("brier", False, CLASSES, _brier),
        Metric("accuracy", True, CLASSES, _accuracy, decides=True),
        Metric("balanced_accuracy", True, CLASSES, _balanced_accuracy, decides=True),
        Metric("f1", True, BINARY, _f1, decides=True),
        Metric("f1_macro", True, CLASSES, _f1_macro, decides=True),
        Metric("precision", True, BINARY, _precision, decides=True),
        Metric("recall", True, BINARY, _recall, decides=True),
        Metric("rmse", False, REGRESSION, _rmse),
        Metric("mae", False, REGRESSION, _mae),
        Metric("median_absolute_error", False, REGRESSION, _scikit("median_absolute_error")),
        Metric("mape", False, REGRESSION, _scikit("mean_absolute_percentage_error")),
        Metric("r2", True, REGRESSION, _r2),
        Metric("poisson_deviance", False, REGRESSION, _poisson_deviance),
        Metric("pinball_at_0.5", False, REGRESSION, partial(_pinball, alpha=0.5)),
        Metric("ndcg", True, RANKING, _ndcg, by_query=True),
        Metric("ndcg_at_5", True, RANKING, partial(_ndcg, first=5), by_query=True),
        Metric("ndcg_at_10", True, RANKING, partial(_ndcg, first=10), by_query=True),
    )
)
DEFAULTS: dict[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "roc_auc", "average_precision", "brier", "accuracy"),
    "multiclass": ("log_loss", "roc_auc", "accuracy", "f1_macro"),
    "regression": ("rmse", "mae", "r2"),
    "ranking": ("ndcg", "ndcg_at_5", "ndcg_at_10"),
}


def pinball(alpha: float) -> str:
    """The name of the metric that a quantile is judged on."""
    return f"pinball_at_{alpha:g}"


def _with_number(name: str) -> Metric | None:
    """`pinball_at_<alpha between 0 and 1>` or `ndcg_at_<rows, at least 1>`; None for anything else."""
    base, _, text = name.partition("_at_")
    try:
        if base == "pinball" and name == pinball(alpha := float(text)) and 0 < alpha < 1:
            return Metric(name, False, REGRESSION, partial(_pinball, alpha=alpha))
        if base == "ndcg" and name == f"ndcg_at_{(first := int(text))}" and first >= 1:
            return Metric(name, True, RANKING, partial(_ndcg, first=first), by_query=True)
    except ValueError:  # what stands for the number is none
        return None
    return None


def find_metric(name: str, task: Task | None = None) -> Metric:
    """The metric of that name; ConfigError naming the nearest one, or those that fit the task."""
    try:
        metric = METRICS[name]
    except KeyError:
        raise ConfigError(f"no metric is called {name!r}; {_hint(name, METRICS)}") from None
    if task is not None and task not in metric.tasks:
        fitting = ", ".join(other.name for other in METRICS.values() if task in other.tasks)
        raise ConfigError(f"metric {name} does not fit a {task} task; these do: {fitting}")
    return metric


def _hint(name: str, known: Collection[str]) -> str:
    if name.startswith("pinball"):
        return "write pinball_at_ and the quantile, such as pinball_at_0.9"
    if name.startswith("ndcg"):
        return "write ndcg, or ndcg_at_ and how many rows count, such as ndcg_at_10"
    return did_you_mean(name, known) or f"there are {', '.join(known)}"


def score(names: tuple[str, ...], truth: Floats, prediction: Floats, query: Rows | None = None) -> Scores:
    """Every named metric on the same rows; `query` says for a ranking which rows belong together."""
    return {name: METRICS[name].of(truth, prediction, query) for name in names}
