from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.gate import judge_candidate
from tasks.metrics import METRICS
from tasks.records import Champion, Evaluation, Suspect, Verdict
from tasks.settings import GateSettings, LeakageSettings

ROWS = np.zeros(2)
SUSPECT = Suspect("dep_delay", "predicts late nearly perfectly on its own", 0.9)


def evaluation(
    now: float, before: float | None = None, metric: str = "log_loss", kind: Any = None, note: str = "", **more: float
) -> Evaluation:
    champion = {} if before is None else {metric: before}
    kind = kind or ("nobody" if before is None else "champion")
    return Evaluation(metric, {metric: now, **more}, champion, 1234, kind, note, ROWS, ROWS)


def judge(
    scored: Evaluation, suspects: tuple[Suspect, ...] = (), action: str = "block", live: Champion | None = None, **settings: Any
) -> Verdict:
    return judge_candidate(scored, GateSettings(**settings), suspects, LeakageSettings(action=action), live)  # type: ignore[arg-type]


def live_champion(through: datetime | None) -> Champion:
    return Champion("shop", "7", "models:/x", "run", through, "c", "d", "s", "lightgbm", {}, {})


def test_the_first_version_is_judged_on_limits_alone() -> None:
    verdict = judge(evaluation(0.4, roc_auc=0.7), floors={"roc_auc": 0.6})
    assert verdict.passed
    assert verdict.reason == "the first version; it passed every absolute condition"
    assert [check.name for check in verdict.checks] == ["roc_auc floor", "leakage"]


def test_a_first_version_without_any_limit_says_so() -> None:
    assert judge(evaluation(0.4)).reason == "the first version; no floor or ceiling is set"


def test_a_first_version_below_its_floor_is_not_promoted() -> None:
    verdict = judge(evaluation(0.4, roc_auc=0.55), floors={"roc_auc": 0.6})
    assert not verdict.passed
    assert verdict.reason == "roc_auc 0.5500 is below its floor 0.6000"


@pytest.mark.parametrize(
    ("kind", "value", "limit", "passed", "words"),
    [
        ("floors", 0.6, 0.6, True, "accuracy 0.6000 reaches its floor 0.6000"),
        ("floors", 0.59999, 0.6, False, "accuracy 0.59999 is below its floor 0.60000"),
        ("floors", math.nan, 0.6, False, "accuracy nan is below its floor 0.6000"),
        ("ceilings", 75.0, 75.0, True, "accuracy 75.00 keeps to its ceiling 75.00"),
        ("ceilings", 123_456.7, 75.0, False, "accuracy 123,457 is above its ceiling 75"),
        ("ceilings", math.nan, 75.0, False, "accuracy nan is above its ceiling 75.0000"),
        ("ceilings", -0.5, 0.0, True, "accuracy -0.5000 keeps to its ceiling 0.0000"),
    ],
)
def test_a_limit_holds_up_to_itself(kind: str, value: float, limit: float, passed: bool, words: str) -> None:
    check = judge(evaluation(0.4, accuracy=value), **{kind: {"accuracy": limit}}).checks[0]
    assert (check.passed, check.detail) == (passed, words)


@pytest.mark.parametrize(
    ("metric", "now", "before", "words"),
    [
        ("log_loss", 0.44, 0.45, "log_loss 0.4400 is better than the champion's 0.4500 on 1,234 rows"),
        ("log_loss", 0.45, 0.45, "log_loss 0.4500 is as good as the champion's 0.4500 on 1,234 rows"),
        ("log_loss", 0.453, 0.45, "log_loss 0.4530 is worse, but within the margin, than the champion's 0.4500 on 1,234 rows"),
        ("roc_auc", 0.75, 0.74, "roc_auc 0.7500 is better than the champion's 0.7400 on 1,234 rows"),
        ("roc_auc", 0.735, 0.74, "roc_auc 0.7350 is worse, but within the margin, than the champion's 0.7400 on 1,234 rows"),
        ("rmse", 41_000.4, 41_000.3, "rmse 41,000.4 is worse, but within the margin, than the champion's 41,000.3 on 1,234 rows"),
        ("r2", -0.502, -0.5, "r2 -0.5020 is worse, but within the margin, than the champion's -0.5000 on 1,234 rows"),
        ("r2", 0.1, -0.5, "r2 0.1000 is better than the champion's -0.5000 on 1,234 rows"),
    ],
)
def test_what_is_not_worse_by_the_margin_is_promoted(metric: str, now: float, before: float, words: str) -> None:
    verdict = judge(evaluation(now, before, metric), margin=0.01)
    assert verdict.passed
    assert verdict.reason == words


@pytest.mark.parametrize(
    ("metric", "now", "before", "words"),
    [
        ("log_loss", 0.46, 0.45, "log_loss 0.4600 is worse by more than the margin than the champion's 0.4500 (margin 0.0045)"),
        ("roc_auc", 0.70, 0.74, "roc_auc 0.7000 is worse by more than the margin than the champion's 0.7400 (margin 0.0074)"),
        ("r2", -0.51, -0.5, "r2 -0.5100 is worse by more than the margin than the champion's -0.5000 (margin 0.005)"),
        ("r2", -0.01, 0.0, "r2 -0.01000 is worse by more than the margin than the champion's 0.00000 (margin 0)"),
    ],
)
def test_what_is_worse_by_more_is_kept_back(metric: str, now: float, before: float, words: str) -> None:
    verdict = judge(evaluation(now, before, metric), margin=0.01)
    assert not verdict.passed
    assert verdict.reason == words


@given(
    metric=st.sampled_from(sorted(METRICS)),
    before=st.floats(-2, 2),
    gain=st.floats(1e-6, 1),
    margin=st.floats(0, 0.5),
)
def test_what_is_better_always_passes_and_what_is_worse_passes_only_by_the_margin(
    metric: str, before: float, gain: float, margin: float
) -> None:
    gain *= 1 if METRICS[metric].greater_is_better else -1
    assert judge(evaluation(before + gain, before, metric), margin=margin).passed
    worse = judge(evaluation(before - gain, before, metric), margin=margin)
    allowed = margin * abs(before)
    if abs(abs(gain) - allowed) > 1e-9:
        assert worse.passed == (abs(gain) < allowed)


def test_no_margin_means_not_a_bit_worse() -> None:
    assert judge(evaluation(0.45, 0.45), margin=0).passed
    assert not judge(evaluation(np.nextafter(0.45, 1), 0.45), margin=0).passed


@pytest.mark.parametrize("before", [math.nan, math.inf, -math.inf])
def test_a_champion_without_a_number_promotes_nobody(before: float) -> None:
    verdict = judge(evaluation(0.4, before))
    assert not verdict.passed
    assert verdict.reason == "the champion's log_loss is not a number"


def test_a_champion_that_could_not_be_scored_promotes_nobody() -> None:
    verdict = judge(evaluation(0.4, kind="champion", note="the champion could not be scored: OSError: gone"))
    assert not verdict.passed
    assert verdict.reason == "the champion could not be scored: OSError: gone"


def test_a_stand_in_is_called_one() -> None:
    verdict = judge(evaluation(0.44, 0.45, kind="stand-in"))
    assert verdict.reason == "log_loss 0.4400 is better than the champion's settings, refitted: 0.4500 on 1,234 rows"


def test_a_suspected_leak_blocks_a_promotion() -> None:
    verdict = judge(evaluation(0.44, 0.45), (SUSPECT,))
    assert not verdict.passed
    assert verdict.reason.startswith("suspected leakage: dep_delay (predicts late nearly perfectly on its own); leave it out")
    assert "validation.leakage.allow" in verdict.reason


def test_a_suspected_leak_may_be_warned_of_only() -> None:
    verdict = judge(evaluation(0.44, 0.45), (SUSPECT,), "warn")
    assert verdict.passed
    assert next(check for check in verdict.checks if check.name == "leakage").detail.startswith(
        "suspected leakage (validation.leakage.action is warn)"
    )


def test_a_suspected_leak_may_be_nobodys_business() -> None:
    assert [check.name for check in judge(evaluation(0.44, 0.45), (SUSPECT,), "off").checks] == ["champion"]


def test_nothing_suspicious_is_a_condition_that_held() -> None:
    assert all(check.passed for check in judge(evaluation(0.44, 0.45)).checks if check.name == "leakage")


def test_a_replay_never_replaces_a_later_champion() -> None:
    verdict = judge(evaluation(0.1, 0.45), live=live_champion(datetime(2024, 5, 1, tzinfo=UTC)))
    assert not verdict.passed
    assert verdict.reason == "champion v7 is trained through 2024-05-01, later than this as-of date; a replay never replaces it"


def test_every_condition_that_failed_is_in_the_reason() -> None:
    verdict = judge(
        evaluation(0.6, 0.45, roc_auc=0.5), (SUSPECT,), live=live_champion(None), floors={"roc_auc": 0.6}, ceilings={"log_loss": 0.5}
    )
    assert not any(check.passed for check in verdict.checks)
    assert [check.name for check in verdict.checks] == ["roc_auc floor", "log_loss ceiling", "leakage", "champion", "replay"]
    assert verdict.reason == "; ".join(check.detail for check in verdict.checks)
