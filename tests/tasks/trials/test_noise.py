from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.metrics import METRICS
from tasks.records import Floats, FoldScore
from tasks.trials.noise import Difference, count_rows, paired_difference

LOSS, AUC = METRICS["log_loss"], METRICS["roc_auc"]


def scored(blocks: Floats | Sequence[float], rows: Floats | Sequence[int], fold: int = 0, share: float = 1.0) -> FoldScore:
    """A score whose value is the blocks' mean over rows, as it is for a mean over rows."""
    known = np.isfinite(blocks)
    value = float(np.average(np.asarray(blocks)[known], weights=np.asarray(rows)[known])) if known.any() else 0.0
    return FoldScore(fold, share, value, tuple(map(float, blocks)), rows=1000)


def compare(a: Floats, b: Floats, rows: Floats | None = None) -> Difference:
    """Folds by blocks, shape (folds, blocks)."""
    counts = [np.full(a.shape[1], 50) if rows is None else rows] * len(a)
    ours, theirs = ([scored(blocks, counts[0], fold) for fold, blocks in enumerate(trial)] for trial in (a, b))
    return paired_difference(ours, theirs, counts, LOSS)


def test_the_mean_and_its_error_are_those_of_a_sum_of_independent_blocks() -> None:
    """The error of a fold's mean is s / root of n, that of the mean of three folds a third of the root of the sum of squares."""
    random = np.random.default_rng(1)
    a, b = random.normal(0.45, 0.1, (3, 30)), random.normal(0.44, 0.1, (3, 30))
    found = compare(a, b)
    per_fold = (a - b).std(axis=1, ddof=1) / math.sqrt(30)
    assert found.mean == pytest.approx((a - b).mean())
    assert found.standard_error == pytest.approx(math.sqrt((per_fold**2).sum()) / 3, rel=0.05)


def test_what_makes_a_day_hard_for_both_is_no_noise() -> None:
    random = np.random.default_rng(2)
    hard, own = random.normal(0, 1.0, (3, 30)), random.normal(0, 0.01, (3, 30))
    assert compare(hard, hard + own).standard_error < 0.002
    assert compare(hard, random.permuted(hard, axis=1) + own).standard_error > 0.05


def test_blocks_count_by_their_rows() -> None:
    """The error of a ratio of sums: root of the sum of (n_i (d_i - mean))^2 over the sum of n (Cochran 1977, section 6.3)."""
    random = np.random.default_rng(3)
    rows = random.integers(5, 200, 40)
    a, b = random.normal(0, 0.1, (1, 40)), np.zeros((1, 40))
    found = compare(a, b, rows)
    mean = np.average(a[0], weights=rows)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(math.sqrt((((a[0] - mean) * rows) ** 2).sum() * 40 / 39) / rows.sum(), rel=0.1)


@pytest.mark.parametrize("gain", [0.0, 0.02])
def test_the_standard_error_covers_as_often_as_it_promises(gain: float) -> None:
    """Of many pairs with a known true difference, two standard errors hold it in about 95 of 100 (with 20 blocks a fold: t, not normal)."""
    random = np.random.default_rng(4)
    held = []
    for _ in range(400):
        day = random.normal(0, 0.1, (3, 20))
        found = compare(day + random.normal(-gain, 0.03, (3, 20)), day)
        held.append(abs(found.mean + gain) <= 2 * found.standard_error)
    assert 0.92 <= np.mean(held) <= 0.975


def test_the_probability_is_uniform_when_there_is_nothing_to_gain() -> None:
    random = np.random.default_rng(5)
    chances = [compare(random.normal(0, 0.03, (1, 30)), np.zeros((1, 30))).probability_better for _ in range(600)]
    for level in (0.1, 0.5, 0.9):
        assert np.mean(np.array(chances) <= level) == pytest.approx(level, abs=0.05)


def test_a_clear_gain_is_nearly_certain_and_a_clear_loss_nearly_excluded() -> None:
    random = np.random.default_rng(6)
    day, better = random.normal(0, 0.3, (2, 30)), random.normal(-0.05, 0.03, (2, 30))
    assert compare(day + better, day).probability_better > 0.99
    assert compare(day, day + better).probability_better < 0.01


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 4))
def test_swapping_the_two_turns_the_sign_and_nothing_else(seed: int, blocks: int, folds: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, folds, blocks))
    there, back = compare(a, b), compare(b, a)
    assert there.mean == pytest.approx(-back.mean)
    assert there.standard_error == pytest.approx(back.standard_error)
    assert there.probability_better == pytest.approx(1 - back.probability_better, abs=1e-3)


def test_a_trial_against_itself_is_even() -> None:
    a = np.random.default_rng(7).normal(size=(3, 10))
    assert compare(a, a) == Difference(0.0, 0.0, 0.5)


def test_more_of_a_score_is_better_where_the_metric_says_so() -> None:
    random = np.random.default_rng(8)
    rows = np.full(20, 30)
    high, low = scored(random.normal(0.80, 0.01, 20), rows), scored(random.normal(0.70, 0.01, 20), rows)
    as_ranking, as_loss = (paired_difference([high], [low], [rows], metric) for metric in (AUC, LOSS))
    assert as_ranking.mean < 0 < as_loss.mean
    assert (as_ranking.probability_better, as_loss.probability_better) == (1.0, 0.0)


def test_days_that_do_not_define_the_metric_for_either_are_left_out() -> None:
    random = np.random.default_rng(9)
    a, b = random.normal(size=(2, 12))
    gaps_a, gaps_b = a.copy(), b.copy()
    gaps_a[10], gaps_b[11] = math.nan, math.nan
    rows = np.full(12, 9)
    ours, theirs = scored(a[:10], rows[:10]), scored(b[:10], rows[:10])
    whole = paired_difference([ours], [theirs], [rows[:10]], AUC)
    with_gaps = [FoldScore(0, 1.0, value.value, tuple(blocks), 1000) for value, blocks in ((ours, gaps_a), (theirs, gaps_b))]
    assert paired_difference(with_gaps[:1], with_gaps[1:], [rows], AUC) == whole


def test_only_folds_that_both_have_are_compared() -> None:
    random = np.random.default_rng(10)
    a, b = random.normal(size=(2, 3, 10))
    rows = [np.full(10, 5)] * 3
    ours, theirs = ([scored(blocks, rows[0], fold) for fold, blocks in enumerate(trial)] for trial in (a, b))
    assert paired_difference(ours[:2], theirs, rows, LOSS) == paired_difference(ours[:2], theirs[:2], rows, LOSS)
    rung = scored(b[2], rows[0], fold=2, share=0.3)
    assert paired_difference(ours, [*theirs[:2], rung], rows, LOSS) == paired_difference(ours[:2], theirs[:2], rows, LOSS)


def test_a_single_block_tells_a_difference_and_nothing_of_its_noise() -> None:
    found = compare(np.array([[0.3]]), np.array([[0.4]]))
    assert found.mean == pytest.approx(-0.1)
    assert math.isnan(found.standard_error)
    assert math.isnan(found.probability_better)
    assert not found.mean <= found.standard_error
    nothing = paired_difference([], [scored([0.1], [1])], [np.ones(1, dtype=np.int64)], LOSS)
    assert math.isnan(nothing.mean)


def test_rows_are_counted_block_by_block() -> None:
    counted = count_rows([np.array([0, 1, 1, 0, 2]), np.array([0, 0])])
    assert [list(fold) for fold in counted] == [[2, 2, 1], [2]]
