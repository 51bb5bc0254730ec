from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.errors import DataRejected
from tasks.records import Columns, Floats, Target
from tasks.settings import WeightSettings
from tasks.weights import weigh

CLASSES = Target("sold", "multiclass", ("a", "b", "c"))
TRUTH = np.array([0.0, 0, 0, 0, 1, 1])
DAYS = pd.Series(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta([0, 2, 4, 6, 8, 10], "D"))


def weights_of(target: Target = CLASSES, importance: Any = (1, 2, 3, 4, 5, 6), **settings: Any) -> Floats | None:
    frame = pd.DataFrame({"importance": importance, "day": DAYS, "sold": TRUTH})
    return weigh(WeightSettings(**settings), frame, TRUTH, Columns(target, {}, "day"))


def weighed(**settings: Any) -> Floats:
    weights = weights_of(**settings)
    assert weights is not None
    assert weights.mean() == pytest.approx(1)
    return weights


def test_without_a_wish_every_row_counts_the_same() -> None:
    assert weights_of() is None


def test_a_column_says_how_much_a_row_counts() -> None:
    np.testing.assert_allclose(weighed(column="importance"), np.arange(1, 7) / 3.5)


def test_a_row_a_half_life_older_counts_half() -> None:
    weights = weighed(half_life=timedelta(days=2))
    np.testing.assert_allclose(weights[1:] / weights[:-1], 2)


def test_classes_count_alike_however_rare_and_one_that_is_absent_does_no_harm() -> None:
    weights = weighed(balance=True)
    assert weights[TRUTH == 0].sum() == pytest.approx(weights[TRUTH == 1].sum())


def test_wishes_multiply() -> None:
    both = weighed(column="importance", half_life=timedelta(days=2), balance=True)
    by_hand = np.arange(1, 7) * 2.0 ** np.arange(6) * np.array([1, 1, 1, 1, 2, 2])
    np.testing.assert_allclose(both, by_hand / by_hand.mean())


def test_values_have_no_balance() -> None:
    np.testing.assert_allclose(weighed(target=Target("sold", "regression"), balance=True), 1)


@pytest.mark.parametrize("wrong", [0, -1, np.nan, np.inf, "much", None])
def test_a_weight_that_is_no_number_above_nought_rejects_the_data(wrong: Any) -> None:
    with pytest.raises(DataRejected, match=r"weights.column: importance must be a finite number above 0, it is not in 2 rows"):
        weights_of(importance=[1, 2, wrong, 4, wrong, 6], column="importance")
