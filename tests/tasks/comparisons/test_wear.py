from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tasks.comparisons.wear import count_wear
from tasks.records import Decided

START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def decided(first: float, last: float, verdict: str = "kept") -> Decided:
    return Decided(day(last), day(first), day(last), verdict)


def uses(*earlier: Decided, first: float = 10, last: float = 20) -> int:
    return count_wear(earlier, day(first), day(last), 10).uses


@pytest.mark.parametrize(
    ("first", "last", "counts"),
    [(10, 20, 1), (0, 30, 1), (12, 17, 1), (0, 15, 1), (15, 40, 1), (0, 14.9, 0), (15.1, 40, 0), (0, 9, 0), (21, 30, 0), (13, 17, 0)],
)
def test_a_decision_counts_when_it_rests_on_half_of_the_window(first: float, last: float, counts: int) -> None:
    assert uses(decided(first, last)) == counts


def test_the_count_is_that_of_hours_shared() -> None:
    random = np.random.default_rng(0)
    windows = [tuple(sorted(random.integers(0, 30 * 24, 2) / 24)) for _ in range(200)]
    hours = np.arange(10 * 24, 20 * 24) + 0.5
    shared = [float(np.mean((hours / 24 > first) & (hours / 24 < last))) for first, last in windows]
    assert uses(*(decided(first, last) for first, last in windows)) == sum(share >= 0.5 for share in shared)


@pytest.mark.parametrize(
    ("verdict", "counts"), [("promoted", 1), ("kept", 1), ("ask", 1), ("unchanged", 0), ("data_rejected", 0), ("failed", 0)]
)
def test_only_what_was_scored_decided(verdict: str, counts: int) -> None:
    assert uses(decided(10, 20, verdict)) == counts


def test_a_window_of_one_instant_is_used_by_every_window_around_it() -> None:
    assert uses(decided(0, 10), decided(0, 9), decided(10, 20), first=10, last=10) == 2


def test_moments_without_a_zone_are_utc() -> None:
    bare = Decided(day(20), day(10).replace(tzinfo=None), day(20).replace(tzinfo=None), "kept")
    assert uses(bare) == 1
    assert count_wear((bare,), day(10).replace(tzinfo=None), day(20).replace(tzinfo=None), 10).uses == 1


def test_a_window_is_worn_from_the_limit_on() -> None:
    earlier = [decided(10, 20)] * 3
    assert count_wear(earlier, day(10), day(20), 3).worn
    assert not count_wear(earlier, day(10), day(20), 4).worn
    assert not count_wear((), day(10), day(20), 1).worn
