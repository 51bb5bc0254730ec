from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.comparisons.intervals import FEWEST, WAYS, Sample, _measured_again, count_effective, draw_blocks, paired_interval, surely_above
from tasks.metrics import METRICS
from tasks.records import Floats, Interval, Rows
from tasks.settings import Task

LOSS, AUC, MAE = METRICS["log_loss"], METRICS["roc_auc"], METRICS["mae"]
CASES = [pytest.param(metric.name, task, id=f"{metric.name}-{task}") for metric in METRICS.values() for task in sorted(metric.tasks)]

QUICK = [case for case in CASES if str(case.values[0]).partition("_at_")[0] in WAYS]


def rows_of(task: Task, seed: int = 0, count: int = 240) -> tuple[Floats, Floats, Floats]:
    """Truth and two imperfect predictions of it, rounded so that there are ties."""
    random = np.random.default_rng(seed)
    if task in ("regression", "ranking"):
        truth = random.integers(0, 4, count).astype(np.float64)
        return truth, *(np.abs(truth + random.normal(0, 1, count)).round(1) + 0.1 for _ in range(2))
    truth = random.integers(0, 2 if task == "binary" else 3, count).astype(np.float64)
    if task == "binary":
        return truth, *(np.clip(0.2 * truth + random.uniform(0.05, 0.75, count), 0, 1).round(2) for _ in range(2))
    raw = (random.uniform(0.1, 1, (count, 3)).round(2) + 0.5 * np.eye(3)[truth.astype(int)] for _ in range(2))
    return truth, *(one / one.sum(axis=1, keepdims=True) for one in raw)


def days(count: int, blocks: int, seed: int = 0) -> Rows:
    """Blocks of unequal size, their rows not side by side."""
    random = np.random.default_rng(seed)
    return np.asarray(
        random.permutation(np.sort(np.concatenate([np.arange(blocks), random.integers(0, blocks, count - blocks) ** 2 // blocks])))
    )


def sample_of(name: str, truth: Floats, block: Rows) -> Sample:
    query = block * 5 + np.random.default_rng(1).integers(0, 5, len(block)) if METRICS[name].by_query else None
    return Sample(truth, block, np.bincount(block), METRICS[name], query)


@pytest.mark.parametrize(("name", "task"), QUICK)
def test_the_quick_way_of_a_metric_is_the_metric_of_the_drawn_rows(name: str, task: Task) -> None:
    way = WAYS[name.partition("_at_")[0]]
    truth, prediction, _ = rows_of(task)
    sample, draws = sample_of(name, truth, days(len(truth), 12)), draw_blocks(12, 40)
    np.testing.assert_allclose(way(sample, prediction, draws), _measured_again(sample, prediction, draws), rtol=1e-9)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_every_metric_has_an_interval_around_its_difference_and_the_same_one_again(name: str, task: Task) -> None:
    truth, ours, theirs = rows_of(task)
    sample = sample_of(name, truth, days(len(truth), 12))
    found, again = (paired_interval(truth, ours, theirs, METRICS[name], sample.block, 0.95, sample.query) for _ in range(2))
    metric = METRICS[name]
    assert found.difference == metric.loss(metric.of(truth, ours, sample.query)) - metric.loss(metric.of(truth, theirs, sample.query))
    assert found.low < found.difference < found.high
    assert (found.blocks, found.confidence) == (12, 0.95)
    assert found == again


@pytest.mark.parametrize(("name", "task"), CASES)
def test_models_that_answer_alike_differ_by_exactly_nothing(name: str, task: Task) -> None:
    truth, ours, _ = rows_of(task)
    sample = sample_of(name, truth, days(len(truth), 12))
    found = paired_interval(truth, ours, ours.copy(), METRICS[name], sample.block, 0.95, sample.query)
    assert (found.difference, found.low, found.high, found.standard_error) == (0, 0, 0, 0)


def test_of_equal_blocks_it_is_students_interval_of_their_means() -> None:
    random = np.random.default_rng(3)
    blocks, each = np.repeat(np.arange(20), 30), random.normal(0, 0.1, 20)
    each = np.concatenate([each, 2 * each.mean() - each])  # symmetric, so that nothing leans
    blocks = np.repeat(np.arange(40), 30)
    ours = np.abs(5 + each[blocks])
    found = paired_interval(np.zeros(1200), ours, np.full(1200, 5.0), MAE, blocks, 0.95)
    error = each.std(ddof=1) / math.sqrt(40)
    low, high = stats.t.interval(0.9, 39, each.mean(), error)
    assert found.difference == pytest.approx(each.mean())
    assert found.freedom == pytest.approx(39, rel=0.03)
    assert found.standard_error == pytest.approx(error, rel=0.05)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.1 * error), pytest.approx(high, abs=0.1 * error))


def test_the_error_of_an_area_is_delongs_where_every_row_is_a_block() -> None:
    """DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), of two areas on the same rows."""
    random = np.random.default_rng(4)
    truth = (random.random(300) < 0.4).astype(np.float64)
    signal = truth + random.normal(size=300)
    ours, theirs = signal + random.normal(size=300), signal + random.normal(size=300)

    def places(score: Floats) -> tuple[Floats, Floats]:
        below = (score[truth == 1][:, None] > score[truth == 0]).astype(np.float64)
        return below.mean(axis=1), below.mean(axis=0)

    (positive, negative), (their_positive, their_negative) = places(ours), places(theirs)
    variance = (positive - their_positive).var(ddof=1) / len(positive) + (negative - their_negative).var(ddof=1) / len(negative)
    found = paired_interval(truth, ours, theirs, AUC, np.arange(300), 0.95)
    assert found.difference == pytest.approx(their_positive.mean() - positive.mean())
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=0.08)


def test_what_makes_a_day_hard_for_both_is_no_noise() -> None:
    random = np.random.default_rng(5)
    blocks = np.repeat(np.arange(20), 50)
    hard, own = random.uniform(1, 9, 20)[blocks], random.normal(0, 0.1, 1000)
    assert paired_interval(np.zeros(1000), hard + own, hard, MAE, blocks, 0.95).standard_error < 0.01
    assert paired_interval(np.zeros(1000), hard + own, random.permutation(hard), MAE, blocks, 0.95).standard_error > 0.05


def test_rows_of_a_day_that_are_alike_say_less_than_rows_of_their_own() -> None:
    random = np.random.default_rng(6)
    ours = 5 + random.normal(0, 0.1, 20)[np.repeat(np.arange(20), 50)]
    by_day, by_row = (
        paired_interval(np.zeros(1000), ours, np.full(1000, 5.0), MAE, blocks, 0.95)
        for blocks in (np.arange(1000) // 50, np.arange(1000) % 50)
    )
    assert by_day.standard_error > 5 * by_row.standard_error


def test_a_greater_confidence_asks_for_a_wider_interval_and_none_for_none() -> None:
    truth, ours, theirs = rows_of("binary")
    half, most, more = (paired_interval(truth, ours, theirs, LOSS, days(240, 12), level) for level in (0.5, 0.9, 0.99))
    assert half.low <= half.difference <= half.high
    assert half.high - half.low < 0.2 * half.standard_error
    assert more.low < most.low < most.high < more.high


def test_a_few_very_bad_days_push_that_end_further_off_and_the_other_one_no_nearer() -> None:
    blocks = np.repeat(np.arange(20), 50)
    each = np.where(np.arange(20) % 10 == 0, 1.0, 0.0) + np.arange(20) / 1000
    found = paired_interval(np.zeros(1000), 5 + each[blocks], np.full(1000, 5.0), MAE, blocks, 0.95)
    reach = stats.t.ppf(0.95, found.freedom) * found.standard_error
    assert found.lean > 0.2
    assert found.high - found.difference > 1.2 * reach
    assert found.difference - found.low == pytest.approx(reach)
    mirrored = paired_interval(np.zeros(1000), np.full(1000, 5.0), 5 + each[blocks], MAE, blocks, 0.95)
    assert (mirrored.low, mirrored.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_large_days_make_fewer_blocks_in_effect() -> None:
    assert count_effective(np.full(30, 7)) == pytest.approx(30)
    assert count_effective(np.array([1000, 1, 1, 1])) == pytest.approx(1.006, abs=0.001)
    truth, ours, theirs = rows_of("binary")
    found = paired_interval(truth, ours, theirs, LOSS, days(240, 12), 0.95)
    assert 5 < found.freedom < 11


def is_unknown(interval: Interval) -> bool:
    return all(math.isnan(value) for value in (interval.low, interval.high, interval.standard_error))


@pytest.mark.parametrize("blocks", [np.zeros(240), np.arange(240) % (FEWEST - 1), np.maximum(np.arange(240) - 230, 0)])
def test_few_blocks_or_one_that_is_nearly_everything_say_nothing_of_noise(blocks: Any) -> None:
    truth, ours, theirs = rows_of("binary")
    found = paired_interval(truth, ours, theirs, LOSS, blocks.astype(np.int64), 0.95)
    assert is_unknown(found)
    assert found.blocks == len(np.unique(blocks))
    assert math.isfinite(found.difference)


def test_a_metric_that_the_rows_or_most_draws_do_not_define_has_no_noise() -> None:
    _, ours, theirs = rows_of("binary")
    assert is_unknown(paired_interval(np.zeros(240), ours, theirs, AUC, np.arange(240) % 12, 0.95))
    one_positive = (np.arange(240) == 5).astype(np.float64)  # in a third of the draws its block is missing
    assert not is_unknown(paired_interval(one_positive, ours, theirs, AUC, np.arange(240) % 12, 0.95))
    lonely = np.zeros(240)
    lonely[:20] = 1  # a class that is one whole block: two thirds of the draws have it, and nearly all have the other
    assert math.isfinite(paired_interval(lonely, ours, theirs, AUC, np.arange(240) // 20, 0.95).high)


def test_a_ranking_without_queries_is_refused() -> None:
    truth, ours, theirs = rows_of("ranking")
    with pytest.raises(ValueError, match="ndcg is a mean over queries"):
        paired_interval(truth, ours, theirs, METRICS["ndcg"], days(240, 12), 0.95)


def test_blocks_may_have_any_numbers() -> None:
    truth, ours, theirs = rows_of("binary")
    blocks = days(240, 12)
    assert paired_interval(truth, ours, theirs, LOSS, blocks * 7 - 3, 0.95) == paired_interval(truth, ours, theirs, LOSS, blocks, 0.95)


@pytest.mark.parametrize("metric", [LOSS, AUC])
def test_thirty_thousand_rows_take_less_than_a_second(metric: Any) -> None:
    truth, ours, theirs = rows_of("binary", count=30_000)
    blocks = days(30_000, 60)
    paired_interval(truth, ours, theirs, metric, blocks, 0.95)
    began = time.process_time()
    paired_interval(truth, ours, theirs, metric, blocks, 0.95)
    assert time.process_time() - began < 1


def interval(difference: float, error: float = 1.0, freedom: float = 19.0, lean: float = 0.0) -> Interval:
    return Interval(difference, math.nan, math.nan, error, 0.95, 20, freedom, lean)


def test_of_several_slices_each_must_be_surer() -> None:
    """Holm: the surest of m at alpha / m, the next at alpha / (m - 1), until one fails."""
    at = [stats.t.isf(chance, 19) for chance in (0.03, 0.012, 0.02, 0.5)]
    assert surely_above([interval(far) for far in at], [0.0] * 4, 0.95) == (False, True, False, False)
    assert surely_above([interval(far) for far in at[:3]], [0.0] * 3, 0.95) == (True, True, True)
    assert surely_above([interval(at[0])], [0.0], 0.95) == (True,)
    assert surely_above([], [], 0.95) == ()


def test_a_limit_is_taken_off_first_and_without_noise_the_difference_decides() -> None:
    assert surely_above([interval(5.0)], [4.0], 0.95) == (False,)
    assert surely_above([interval(5.0, error=0.0)], [4.9], 0.95) == (True,)
    assert surely_above([interval(5.0, error=0.0)], [5.0], 0.95) == (False,)
    assert surely_above([interval(5.0, error=math.nan, freedom=math.nan), interval(5.0)], [0.0, 0.0], 0.95) == (False, True)


@settings(max_examples=200, deadline=None)
@given(difference=st.floats(-3, 3), freedom=st.floats(2, 59), lean=st.floats(-0.6, 0.6), limit=st.floats(-3, 3))
def test_one_slice_alone_is_worse_when_its_low_end_is_above_the_limit(difference: float, freedom: float, lean: float, limit: float) -> None:
    far = float(stats.t.ppf(0.95, freedom))
    inverse = far if abs(lean) < 1e-6 else 3 / lean * (float(np.cbrt(1 + lean * (far - lean / 6))) - 1)
    low = difference - max(far, inverse)
    if abs(low - limit) > 1e-6 and not 0 < abs(lean) < 1e-6:
        assert surely_above([interval(difference, 1.0, freedom, lean)], [limit], 0.95) == (low > limit,)


def test_a_false_alarm_among_many_slices_is_as_rare_as_one_among_one() -> None:
    random = np.random.default_rng(7)
    blocks, alarms = np.repeat(np.arange(15), 20), 0
    for _ in range(120):
        found = [
            paired_interval(np.zeros(300), 5 + random.normal(0, 0.2, 15)[blocks], np.full(300, 5.0), MAE, blocks, 0.95) for _ in range(10)
        ]
        alarms += any(surely_above(found, [0.0] * 10, 0.95))
    assert alarms / 120 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 120)


def test_an_end_is_wrong_no_more_often_than_it_says_on_days_of_unequal_size() -> None:
    """Of made-up differences of mean zero either end is on the wrong side at most one time in twenty."""
    random = np.random.default_rng(8)
    wrong = np.zeros(2)
    for _ in range(1000):
        rows = np.maximum(2, 20 * np.exp(0.5 * random.normal(size=10))).astype(int)
        blocks = np.repeat(np.arange(10), rows)
        ours = 5 + random.normal(0, 0.2, 10)[blocks] + random.normal(0, 0.2, len(blocks))
        found = paired_interval(np.zeros(len(blocks)), ours, np.full(len(blocks), 5.0), MAE, blocks, 0.95)
        wrong += [found.high < 0, found.low > 0]
    assert (wrong / 1000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)).all()
    assert wrong.sum() > 0
