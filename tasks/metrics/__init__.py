"""Metrics by name. Each keeps its natural value; the direction lives here, and nowhere else.

A prediction is what a model says before anything is decided: for a binary task the probability of the positive
class, shape (rows,); for a multiclass task the probabilities, shape (rows, classes); for a regression the value, for a
ranking the score, shape (rows,). The truth is the class's position, the value or the relevance, as float64 of shape
(rows,). A measure that the rows do not define (an area under the curve where all are of one class) is NaN.

A search measures after every round of boosting, so what is here costs a few sorts of the rows at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np

from tasks.errors import ConfigError
from tasks.metrics import formulas
from tasks.records import Floats, Rows, Scores
from tasks.settings import Task
from tasks.wording import did_you_mean


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
        Metric("log_loss", False, CLASSES, formulas.log_loss),
        Metric("roc_auc", True, CLASSES, formulas.ranked(formulas.area)),
        Metric("average_precision", True, BINARY, formulas.ranked(formulas.average_precision)),
        Metric("brier", False, CLASSES, formulas.brier),
        Metric("accuracy", True, CLASSES, formulas.accuracy, decides=True),
        Metric("balanced_accuracy", True, CLASSES, formulas.balanced_accuracy, decides=True),
        Metric("f1", True, BINARY, formulas.f1, decides=True),
        Metric("f1_macro", True, CLASSES, formulas.f1_macro, decides=True),
        Metric("precision", True, BINARY, formulas.precision, decides=True),
        Metric("recall", True, BINARY, formulas.recall, decides=True),
        Metric("rmse", False, REGRESSION, formulas.rmse),
        Metric("mae", False, REGRESSION, formulas.mae),
        Metric("median_absolute_error", False, REGRESSION, formulas.scikit("median_absolute_error")),
        Metric("mape", False, REGRESSION, formulas.scikit("mean_absolute_percentage_error")),
        Metric("r2", True, REGRESSION, formulas.r2),
        Metric("poisson_deviance", False, REGRESSION, formulas.poisson_deviance),
        Metric("pinball_at_0.5", False, REGRESSION, partial(formulas.pinball, alpha=0.5)),
        Metric("ndcg", True, RANKING, formulas.ndcg, by_query=True),
        Metric("ndcg_at_5", True, RANKING, partial(formulas.ndcg, first=5), by_query=True),
        Metric("ndcg_at_10", True, RANKING, partial(formulas.ndcg, first=10), by_query=True),
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
            return Metric(name, False, REGRESSION, partial(formulas.pinball, alpha=alpha))
        if base == "ndcg" and name == f"ndcg_at_{(first := int(text))}" and first >= 1:
            return Metric(name, True, RANKING, partial(formulas.ndcg, first=first), by_query=True)
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
