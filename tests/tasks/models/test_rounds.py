"""Boosting round by round: when it stops, and what it keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitting, Matrix
from tasks.models.rounds import Watched, boost, by_query
from tasks.records import Target

ASKED = Fitting(Target("y", "regression"), METRICS["mae"], 0, 1)
TRUTH = np.zeros(3)


def run(losses: list[float], most: int = 100, patience: int = 3, metric: str = "mae", **changes: Any) -> Any:
    """Boost where round k's answer is losses[k] for every row, in one buffer."""
    made, buffer = [0], np.empty(3)

    def update() -> int:
        made[0] += 1
        return made[0]

    def answer() -> Any:
        buffer[:] = losses[made[0] - 1]
        return buffer

    return boost(update, answer, Watched(TRUTH), Fitting(ASKED.target, METRICS[metric], 0, 1), most, patience, **changes)


def test_boosting_ends_once_patience_is_over_and_keeps_the_best_round() -> None:
    ended = run([5, 4, 3, 3.5, 3, 3.2, 1])
    assert (ended.rounds, ended.prediction.tolist()) == (3, [3.0] * 3)
    assert ended.curve.tolist() == pytest.approx([5, 4, 3, 3.5, 3, 3.2])


def test_boosting_ends_after_the_most_rounds_it_may_take() -> None:
    assert run([5, 4, 3, 2, 1], most=4).rounds == 4


def test_rounds_that_cannot_be_taken_back_are_all_kept() -> None:
    ended = run([5, 4, 3, 3.5, 3, 3.2, 1], whole=True)
    assert (ended.rounds, ended.prediction.tolist(), len(ended.curve)) == (6, [3.2] * 3, 6)


def test_what_is_not_a_number_never_counts_as_the_best() -> None:
    assert run([np.nan, 5, np.nan, 4, 4, 4, 4]).rounds == 4


def test_a_metric_that_is_never_a_number_ends_at_once_with_a_model() -> None:
    ended = run([np.nan] * 9)
    assert ended.rounds == 1
    assert len(ended.curve) == 4


def test_a_round_that_adds_nothing_is_no_round() -> None:
    sizes = iter([1, 1, 2, 2, 2, 2])
    ended = boost(lambda: next(sizes), lambda: np.ones(3), Watched(TRUTH), ASKED, 6, 5)
    assert len(ended.curve) == 2


def test_rows_of_a_query_come_to_stand_side_by_side_and_a_prediction_goes_back_to_where_they_were() -> None:
    query = np.array([7, 2, 7, 5, 2, 7])
    values = np.arange(6.0)[:, None]
    rows, sizes, order = by_query(Matrix(values, np.arange(6.0), ("a",), (), np.arange(6.0), query))
    assert sizes is not None
    assert sizes.tolist() == [2, 1, 3]
    assert rows.values[:, 0].tolist() == rows.truth.tolist() == rows.weight.tolist() == [1, 4, 3, 0, 2, 5]  # type: ignore[union-attr]
    np.testing.assert_array_equal(Watched(rows.truth, rows.query, order).as_given(rows.truth), np.arange(6.0))


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "lightgbm", "hyperparameters": {"boosting": "dart"}},
        {"family": "lightgbm", "hyperparameters": {"linear_tree": True}},
        {"family": "lightgbm", "hyperparameters": {"boosting": "rf", "bagging_fraction": 0.5}},
        {"family": "lightgbm", "hyperparameters": {"data_sample_strategy": "goss"}},
        {"family": "lightgbm", "hyperparameters": {"min_data_in_leaf": 400}},
        {"family": "xgboost", "hyperparameters": {"booster": "dart", "rate_drop": 0.5}},
        {"family": "xgboost", "hyperparameters": {"num_parallel_tree": 3, "subsample": 0.5}},
        {"family": "xgboost", "hyperparameters": {"min_child_weight": 400}},
    ],
    ids=str,
)
def test_whatever_the_booster_the_prediction_is_that_of_the_model_that_is_kept(settings: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(600, 3))
    rows = Matrix(values, values[:, 0] + values[:, 1] ** 2 + random.normal(size=600), ("a", "b", "c"), ())
    train, valid = (Matrix(rows.values[part], rows.truth[part], rows.names, ()) for part in (slice(0, 400), slice(400, 600)))
    model = parse_model({**settings, "max_rounds": 60, "early_stopping_rounds": 10})
    native = model.fit(model.prepare(train, valid, ASKED), ASKED)
    assert native.valid_prediction is not None
    assert native.curve is not None
    np.testing.assert_allclose(native.valid_prediction, native.predict(valid.values), atol=1e-5)
    assert METRICS["mae"].measure(valid.truth, native.valid_prediction) == pytest.approx(native.curve[(native.rounds or 0) - 1], rel=1e-9)
