from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import label_binarize

from tasks.errors import ConfigError
from tasks.metrics import DEFAULTS, METRICS, Metric, find_metric, labels, pinball, score
from tasks.records import Floats
from tasks.settings import Task

CLASSES = 4
CASES = [pytest.param(metric, task, id=f"{metric.name}-{task}") for metric in METRICS.values() for task in sorted(metric.tasks)]


def rows_of(task: Task, seed: int, count: int = 200) -> tuple[Floats, Floats]:
    """Truth and an imperfect prediction, in the shapes that metrics take; every class is there."""
    random = np.random.default_rng(seed)
    if task == "regression":
        truth = random.gamma(2, 5, count)
        return truth, truth * random.uniform(0.5, 1.5, count)
    if task == "ranking":
        truth = random.integers(0, 4, count).astype(np.float64)
        truth[:2] = [3, 0]
        return truth, truth + random.normal(0, 2, count).round(1)
    truth = random.permutation(np.arange(count) % (2 if task == "binary" else CLASSES)).astype(np.float64)
    if task == "binary":
        return truth, np.clip(0.3 * truth + random.uniform(0, 0.7, count), 0, 1)
    raw = random.uniform(0, 1, (count, CLASSES)) + 0.5 * np.eye(CLASSES)[truth.astype(int)]
    return truth, raw / raw.sum(axis=1, keepdims=True)


def queries(count: int = 200) -> Any:
    """Four queries of rows that do not stand side by side."""
    return np.arange(count) % 4


def mean_over_queries(first: int | None) -> Callable[[Floats, Floats], float]:
    def measure(truth: Floats, prediction: Floats) -> float:
        each = [(2.0 ** truth[queries(len(truth)) == k] - 1, prediction[queries(len(truth)) == k]) for k in range(4)]
        return float(np.mean([oracle.ndcg_score([gain], [scores], k=first) for gain, scores in each if gain.any()]))

    return measure


def scored(name: str, truth: Floats, prediction: Floats) -> float:
    return score((name,), truth, prediction, queries(len(truth)))[name]


def perfect(task: Task, truth: Floats) -> Floats:
    return np.eye(CLASSES)[truth.astype(int)] if task == "multiclass" else truth


def indicators(truth: Floats) -> Any:
    return label_binarize(truth, classes=range(CLASSES))


def ranking(name: str, **arguments: Any) -> Callable[[Floats, Floats], float]:
    return lambda truth, prediction: getattr(oracle, name)(truth, prediction, **(arguments if prediction.ndim == 2 else {}))


ORACLES: dict[str, Callable[[Floats, Floats], float]] = {
    "log_loss": lambda t, p: oracle.log_loss(t, p, labels=range(p.shape[1]) if p.ndim == 2 else [0, 1]),
    "roc_auc": ranking("roc_auc_score", multi_class="ovr", labels=range(CLASSES)),
    "average_precision": ranking("average_precision_score"),
    "brier": lambda t, p: oracle.brier_score_loss(t, p, **({"labels": range(CLASSES)} if p.ndim == 2 else {"pos_label": 1})),
    "accuracy": lambda t, p: oracle.accuracy_score(t, labels(p)),
    "balanced_accuracy": lambda t, p: oracle.balanced_accuracy_score(t, labels(p)),
    "f1": lambda t, p: oracle.f1_score(t, labels(p)),
    "f1_macro": lambda t, p: oracle.f1_score(t, labels(p), average="macro"),
    "precision": lambda t, p: oracle.precision_score(t, labels(p)),
    "recall": lambda t, p: oracle.recall_score(t, labels(p)),
    "rmse": lambda t, p: math.sqrt(np.mean((t - p) ** 2)),
    "mae": lambda t, p: float(np.mean(np.abs(t - p))),
    "median_absolute_error": lambda t, p: float(np.median(np.abs(t - p))),
    "mape": lambda t, p: float(np.mean(np.abs((t - p) / t))),
    "poisson_deviance": oracle.mean_poisson_deviance,
    "pinball_at_0.5": lambda t, p: oracle.mean_pinball_loss(t, p, alpha=0.5),
    "ndcg": mean_over_queries(None),
    "ndcg_at_5": mean_over_queries(5),
    "ndcg_at_10": mean_over_queries(10),
    "r2": lambda t, p: 1 - float(np.sum((t - p) ** 2) / np.sum((t - t.mean()) ** 2)),
}


def test_every_metric_has_an_oracle() -> None:
    assert set(ORACLES) == set(METRICS)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("metric", "task"), CASES)
def test_a_metric_agrees_with_its_oracle(metric: Metric, task: Task, seed: int) -> None:
    truth, prediction = rows_of(task, seed)
    assert scored(metric.name, truth, prediction) == pytest.approx(ORACLES[metric.name](truth, prediction), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "task"), [("roc_auc", "binary"), ("average_precision", "binary"), ("ndcg", "ranking"), ("ndcg_at_5", "ranking")]
)
@pytest.mark.parametrize("seed", range(5))
def test_rows_of_one_score_count_as_they_would_in_any_order(name: str, task: Task, seed: int) -> None:
    truth, prediction = rows_of(task, seed)
    coarse = prediction.round(1 if task == "binary" else 0)
    assert scored(name, truth, coarse) == pytest.approx(ORACLES[name](truth, coarse), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.9])
def test_a_quantile_is_judged_by_its_own_pinball_loss(alpha: float) -> None:
    truth, prediction = rows_of("regression", 0)
    metric = find_metric(pinball(alpha), "regression")
    assert metric.name in METRICS
    assert metric.measure(truth, prediction) == pytest.approx(oracle.mean_pinball_loss(truth, prediction, alpha=alpha))


@pytest.mark.parametrize(
    "name", ["pinball", "pinball@0.9", "pinball_at_1.5", "pinball_at_0.90", "pinball_at_nan", "ndcg@5", "ndcg_at_0", "ndcg_at_05"]
)
def test_a_metric_whose_number_is_none_is_told_how_it_is_written(name: str) -> None:
    assert name not in METRICS
    with pytest.raises(ConfigError, match=f"no metric is called '{name}'; write "):
        find_metric(name)


def test_the_first_rows_that_count_may_be_any_number() -> None:
    truth, prediction = rows_of("ranking", 0)
    assert scored("ndcg_at_3", truth, prediction) == pytest.approx(mean_over_queries(3)(truth, prediction))


def test_a_ranking_cannot_be_judged_without_its_queries() -> None:
    with pytest.raises(ValueError, match="ndcg is a mean over queries, and the rows come without theirs"):
        score(("ndcg",), *rows_of("ranking", 0))


def test_queries_without_a_relevant_row_say_nothing() -> None:
    truth, prediction = rows_of("ranking", 0)
    alone = np.where(queries() == 0, truth, 0.0)
    assert scored("ndcg", alone, prediction) == pytest.approx(oracle.ndcg_score([2 ** truth[::4] - 1], [prediction[::4]]))
    assert math.isnan(scored("ndcg", np.zeros(200), prediction))


def test_counts_below_nought_have_no_poisson_deviance_and_a_mean_of_nought_costs_much() -> None:
    assert math.isnan(METRICS["poisson_deviance"].measure(np.array([-1.0]), np.array([1.0])))
    assert 50 < METRICS["poisson_deviance"].measure(np.array([1.0]), np.array([-3.0])) < 100


@pytest.mark.parametrize(("metric", "task"), CASES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(8, 60))
def test_a_perfect_prediction_is_never_worse_than_another(metric: Metric, task: Task, seed: int, count: int) -> None:
    truth, prediction = rows_of(task, seed, count)
    best, other = (scored(metric.name, truth, each) for each in (perfect(task, truth), prediction))
    assert metric.loss(best) <= metric.loss(other) + 1e-9
    assert not metric.is_worse(best, other, by=1e-9)
    assert math.isfinite(best)


@pytest.mark.parametrize(("metric", "task"), [case for case in CASES if case.values[1] == "multiclass"])
def test_a_class_that_the_rows_lack_leaves_a_multiclass_metric_defined(metric: Metric, task: Task) -> None:
    truth, prediction = rows_of(task, 1)
    kept = truth != 2
    value = score((metric.name,), truth[kept], prediction[kept])[metric.name]
    assert math.isfinite(value)
    assert labels(prediction[kept]).tolist().count(2.0)  # it is predicted all the same


def test_the_area_under_the_curve_of_several_classes_leaves_absent_ones_out() -> None:
    truth, prediction = rows_of("multiclass", 3)
    kept = truth != 2
    by_hand = [oracle.roc_auc_score(truth[kept] == k, prediction[kept, k]) for k in (0, 1, 3)]
    assert score(("roc_auc",), truth[kept], prediction[kept])["roc_auc"] == pytest.approx(np.mean(by_hand))


@pytest.mark.parametrize(("metric", "task"), [case for case in CASES if case.values[1] not in ("regression", "ranking")])
@pytest.mark.parametrize("only", [0.0, 1.0])
def test_rows_of_one_class_give_a_number_or_nan_but_no_warning(metric: Metric, task: Task, only: float) -> None:
    _, prediction = rows_of(task, 0)
    value = score((metric.name,), np.full(len(prediction), only), prediction)[metric.name]
    assert math.isnan(value) == (metric.name in ("roc_auc", "average_precision"))


def test_a_certain_and_wrong_prediction_costs_much_but_not_infinitely_much() -> None:
    truth, prediction = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    assert score(("log_loss",), truth, prediction)["log_loss"] == pytest.approx(-math.log(np.finfo(float).eps))
    assert oracle.log_loss(truth, prediction) == pytest.approx(-math.log(np.finfo(float).eps))


@given(
    truth=arrays(np.float64, 12, elements=st.sampled_from([0.0, 1.0])), certain=arrays(np.float64, 12, elements=st.sampled_from([0.0, 1.0]))
)
@settings(max_examples=50, deadline=None)
def test_probabilities_of_nought_and_one_are_as_good_as_any(truth: Floats, certain: Floats) -> None:
    truth[:2] = [0, 1]
    scores = score(tuple(name for name, metric in METRICS.items() if "binary" in metric.tasks), truth, certain)
    assert all(math.isfinite(value) for value in scores.values())
    assert scores["brier"] == pytest.approx(1 - scores["accuracy"])


@pytest.mark.parametrize(("metric", "task"), [case for case in CASES if case.values[1] == "regression"])
def test_one_row_gives_a_number_but_for_the_explained_variance(metric: Metric, task: Task) -> None:
    value = score((metric.name,), np.array([2.0]), np.array([3.0]))[metric.name]
    assert math.isnan(value) == (metric.name == "r2")


def test_one_half_counts_as_the_positive_class() -> None:
    assert labels(np.array([0.0, 0.49, 0.5, 1.0])).tolist() == [0, 0, 1, 1]
    assert labels(np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])).tolist() == [1, 0]


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_what_is_not_a_number_counts_as_worse(metric: Metric) -> None:
    assert metric.is_worse(math.nan, 0.5)
    assert metric.is_worse(0.5, math.nan)


def test_worse_by_less_than_the_margin_is_not_worse() -> None:
    assert METRICS["log_loss"].is_worse(0.51, 0.50)
    assert not METRICS["log_loss"].is_worse(0.51, 0.50, by=0.02)
    assert METRICS["r2"].is_worse(-0.60, -0.50, by=0.05)
    assert not METRICS["r2"].is_worse(-0.54, -0.50, by=0.05)


def test_an_unknown_metric_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no metric is called 'logloss'; did you mean log_loss\?"):
        find_metric("logloss")


def test_a_metric_nothing_is_like_is_told_all() -> None:
    with pytest.raises(ConfigError, match="there are log_loss, roc_auc"):
        find_metric("zzz")


def test_a_metric_of_another_task_is_told_those_that_fit() -> None:
    with pytest.raises(ConfigError, match=r"rmse does not fit a binary task; these do: log_loss, .*recall"):
        find_metric("rmse", "binary")


@pytest.mark.parametrize("task", DEFAULTS)
def test_the_default_metrics_fit_their_task(task: Task) -> None:
    assert [find_metric(name, task).name for name in DEFAULTS[task]] == list(DEFAULTS[task])
