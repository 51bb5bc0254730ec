from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.gate import judge_candidate
from tasks.metrics import METRICS
from tasks.records import Champion, Check, Evaluation, GoldenRow, Interval, ServingCost, SliceScore, Slide, Suspect, Verdict
from tasks.settings import GateSettings, LeakageSettings
from tests.benchmarks.gate import CONFIDENCE, SCENES, count_promoted

ROWS = np.zeros(2)
SUSPECT = Suspect("dep_delay", "predicts late nearly perfectly on its own", 0.9)


def around(now: float, before: float, metric: str = "log_loss", reach: float = 0.001, error: float = 0.0005) -> Interval:
    """The challenger's loss less the rival's, and as far to either end."""
    loss = METRICS[metric].loss
    difference = loss(now) - loss(before)
    return Interval(difference, difference - reach, difference + reach, error, 0.95, 28, 27.0)


def evaluation(
    now: float,
    before: float | None = None,
    metric: str = "log_loss",
    kind: Any = None,
    note: str = "",
    reach: float = 1e-9,
    told: dict[str, Any] | None = None,
    **more: float,
) -> Evaluation:
    """Scores, and an interval that reaches so far to either side; `told` is what else the evaluation found."""
    champion = {} if before is None else {metric: before}
    kind = kind or ("nobody" if before is None else "champion")
    interval = None if before is None or not math.isfinite(before) else around(now, before, metric, reach, reach)
    found = Evaluation(metric, {metric: now, **more}, champion, 1234, kind, note, ROWS, ROWS, interval=interval)
    return replace(found, **(told or {}))


def judge(
    scored: Evaluation,
    suspects: tuple[Suspect, ...] = (),
    action: str = "block",
    live: Champion | None = None,
    forbidden: tuple[str, ...] = (),
    **settings: Any,
) -> Verdict:
    leakage = LeakageSettings(action=action)  # type: ignore[arg-type]
    return judge_candidate(scored, GateSettings(**settings), suspects, leakage, live, forbidden)


def check_of(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


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
    ("metric", "now", "before", "reach", "words"),
    [
        (
            "log_loss",
            0.44,
            0.45,
            0.001,
            "log_loss 0.4400 is better than the champion's 0.4500 on 1,234 rows, at least 0.009 better (95 % sure)",
        ),
        ("log_loss", 0.45, 0.45, 0, "log_loss 0.4500 is as good as the champion's 0.4500 on 1,234 rows"),
        (
            "log_loss",
            0.45,
            0.45,
            0.002,
            "log_loss 0.4500 is as good as the champion's 0.4500 on 1,234 rows, "
            "at most 0.002 worse (95 % sure), within the margin of 0.0045",
        ),
        (
            "log_loss",
            0.453,
            0.45,
            0.001,
            "log_loss 0.4530 is worse than the champion's 0.4500 on 1,234 rows, "
            "between 0.002 and 0.004 worse (95 % sure of each), within the margin of 0.0045",
        ),
        (
            "roc_auc",
            0.75,
            0.74,
            0.002,
            "roc_auc 0.7500 is better than the champion's 0.7400 on 1,234 rows, at least 0.008 better (95 % sure)",
        ),
        (
            "roc_auc",
            0.739,
            0.74,
            0.002,
            "roc_auc 0.7390 is worse than the champion's 0.7400 on 1,234 rows, "
            "at most 0.003 worse (95 % sure), within the margin of 0.0074",
        ),
        (
            "r2",
            -0.502,
            -0.5,
            0.0025,
            "r2 -0.5020 is worse than the champion's -0.5000 on 1,234 rows, at most 0.0045 worse (95 % sure), within the margin of 0.005",
        ),
    ],
)
def test_what_is_shown_to_be_within_the_margin_is_promoted(metric: str, now: float, before: float, reach: float, words: str) -> None:
    verdict = judge(evaluation(now, before, metric, reach=reach), margin=0.01)
    assert verdict.answer == "promote"
    assert verdict.reason == words
    assert verdict.margin == pytest.approx(0.01 * abs(before))


@pytest.mark.parametrize(
    ("metric", "now", "before", "words"),
    [
        (
            "log_loss",
            0.46,
            0.45,
            "log_loss 0.4600 is worse than the champion's 0.4500 on 1,234 rows, "
            "between 0.008 and 0.012 worse (95 % sure of each), more than the margin of 0.0045",
        ),
        (
            "roc_auc",
            0.70,
            0.74,
            "roc_auc 0.7000 is worse than the champion's 0.7400 on 1,234 rows, "
            "between 0.038 and 0.042 worse (95 % sure of each), more than the margin of 0.0074",
        ),
        (
            "r2",
            -0.001,
            0.0,
            "r2 -0.001000 is worse than the champion's 0.000000 on 1,234 rows, at most 0.003 worse (95 % sure), more than the margin of 0",
        ),
    ],
)
def test_what_is_worse_by_more_is_kept_back(metric: str, now: float, before: float, words: str) -> None:
    verdict = judge(evaluation(now, before, metric, reach=0.002), margin=0.01, unsure="promote")
    assert verdict.answer == "keep"
    assert verdict.reason == words


@pytest.mark.parametrize("unsure", ["ask", "keep", "promote"])
def test_what_the_rows_cannot_tell_is_left_to_the_config(unsure: Any) -> None:
    verdict = judge(evaluation(0.453, 0.45, reach=0.0035), margin=0.01, unsure=unsure)
    assert verdict.answer == unsure
    assert verdict.reason == (
        "log_loss 0.4530 is worse than the champion's 0.4500 on 1,234 rows, at most 0.0065 worse (95 % sure); "
        f"the margin is 0.0045, so these rows cannot tell (gate.unsure is {unsure})"
    )
    assert [(check.passed, check.unsure) for check in verdict.checks if check.name == "champion"] == [(False, True)]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            {"interval": Interval(-0.01, math.nan, math.nan, math.nan, 0.95, 3)},
            "; 3 blocks of rows (days) cannot say how sure that is; the margin is",
        ),
        ({"interval": None}, "; these rows do not say how sure that is; the margin is"),
    ],
)
def test_without_an_interval_even_a_better_model_is_not_surely_one(told: dict[str, Any], words: str) -> None:
    verdict = judge(evaluation(0.44, 0.45, told=told))
    assert verdict.answer == "ask"
    assert words in verdict.reason
    assert judge(evaluation(0.47, 0.45, told=told)).answer == "keep"


@pytest.mark.parametrize(
    ("now", "reach", "answer", "words"),
    [
        (0.44, 0.009, "promote", "at least 0.001 better (95 % sure)"),
        (0.44, 0.011, "ask", "at most 0.001 worse (95 % sure); gate.rule is superior, so these rows cannot tell"),
        (0.44, 0.01, "ask", "gate.rule is superior, so these rows cannot tell"),
        (0.45, 0.0, "keep", "as good as the champion's 0.4500 on 1,234 rows, and gate.rule is superior"),
        (0.451, 0.1, "keep", "and gate.rule is superior"),
    ],
)
def test_a_superior_model_is_shown_to_be_better(now: float, reach: float, answer: str, words: str) -> None:
    scored = evaluation(now, 0.45)
    difference = round(now - 0.45, 12)
    interval = Interval(difference, difference - reach, round(difference + reach, 12), reach / 2, 0.95, 28, 27.0)
    verdict = judge(replace(scored, interval=interval), rule="superior", margin=0.5)
    assert verdict.answer == answer
    assert words in verdict.reason
    assert verdict.margin == 0


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
    if abs(abs(gain) - allowed) > 1e-8:
        assert worse.answer == ("promote" if abs(gain) < allowed else "keep")


def test_no_margin_means_not_a_bit_worse() -> None:
    assert judge(evaluation(0.45, 0.45, reach=0), margin=0).passed
    assert judge(evaluation(float(np.nextafter(0.45, 1)), 0.45, reach=0), margin=0).answer == "keep"


@pytest.mark.parametrize("unsure", ["ask", "keep", "promote"])
@pytest.mark.parametrize("before", [math.nan, math.inf, -math.inf])
def test_a_champion_without_a_number_is_replaced_by_a_person_or_not_at_all(before: float, unsure: Any) -> None:
    verdict = judge(evaluation(0.4, before), unsure=unsure)
    assert verdict.answer == ("keep" if unsure == "keep" else "ask")
    assert verdict.reason.startswith("the champion's log_loss is not a number")
    assert verdict.margin is None


def test_a_champion_that_could_not_be_scored_promotes_nobody() -> None:
    note = "the champion could not be scored: OSError: gone"
    assert judge(evaluation(0.4, kind="champion", note=note)).reason == f"{note} (gate.unsure is ask)"
    verdict = judge(evaluation(0.4, kind="champion", note=note), unsure="promote", rule="superior")
    assert (verdict.answer, verdict.reason) == ("ask", f"{note}; a champion without a score is replaced by a person, or not at all")


def test_a_stand_in_is_called_one() -> None:
    verdict = judge(evaluation(0.44, 0.45, kind="stand-in"))
    assert verdict.reason.startswith("log_loss 0.4400 is better than the champion's settings, refitted: 0.4500 on 1,234 rows")


@pytest.mark.parametrize(
    ("score", "reach", "answer", "words"),
    [
        (0.449, 0.001, "promote", "log_loss 0.4480 is better than the settings of v3, refitted: 0.4490 on 1,234 rows"),
        (0.445, 0.001, "promote", "between 0.002 and 0.004 worse (95 % sure of each), within the margin of 0.00445"),
        (0.445, 0.003, "ask", "the margin is 0.00445, so these rows cannot tell"),
        (0.440, 0.001, "keep", "more than the margin of 0.0044"),
        (math.nan, math.nan, "ask", "so these rows cannot tell"),
    ],
)
@pytest.mark.parametrize("rule", ["non_inferior", "superior"])
def test_many_small_losses_are_seen_against_an_older_version(score: float, reach: float, answer: str, words: str, rule: str) -> None:
    slide = Slide("3", score, around(0.448, score, reach=reach))
    verdict = judge(evaluation(0.448, 0.45, told={"slide": slide}), margin=0.01, rule=rule)
    assert verdict.answer == answer
    assert words in check_of(verdict, "slide").detail


def sliced(worse_by: float, error: float, value: str = "north", rows: int = 400) -> SliceScore:
    """A slice whose true interval is `error` wide, worse by so much than a champion of 0.45."""
    far = 1.7 * error
    return SliceScore("shop", value, rows, 0.45 + worse_by, 0.45, Interval(worse_by, worse_by - far, worse_by + far, error, 0.95, 28, 27.0))


def test_a_slice_that_is_shown_to_be_worse_keeps_the_champion() -> None:
    slices = (sliced(0.05, 0.005), sliced(0.0, 0.005, "south"))
    verdict = judge(evaluation(0.44, 0.45, told={"slices": slices}), slices=("shop",), slice_margin=0.02)
    assert verdict.answer == "keep"
    assert verdict.reason == (
        "1 slice shown to be worse by more than 2.0 %: shop north (0.5000 against 0.4500 on 400 rows, worse by at least 0.0415)"
    )


def test_a_slice_that_may_be_worse_stops_nobody_and_one_of_few_rows_is_not_judged() -> None:
    few = SliceScore("shop", "west", 3, 0.9, 0.45, None, "3 rows are fewer than gate.slice_min_rows (200)")
    slices = (sliced(0.05, 0.05), sliced(0.0, 0.005, "south"), few)
    verdict = judge(evaluation(0.44, 0.45, told={"slices": slices}), slices=("shop",))
    assert verdict.passed
    assert check_of(verdict, "slices").detail == "of 2 slices none is shown to be worse by more than 2.0 %; 1 slice not judged"


def test_among_many_slices_one_must_stand_out_more() -> None:
    odd, others = sliced(0.02, 0.005), tuple(sliced(0.0, 0.005, f"shop {number}") for number in range(19))
    assert judge(evaluation(0.44, 0.45, told={"slices": (odd,)})).answer == "keep"
    assert judge(evaluation(0.44, 0.45, told={"slices": (odd, *others)})).answer == "promote"


def test_slices_of_a_first_version_are_no_condition() -> None:
    alone = SliceScore("shop", "north", 400, 0.5, None, None, "there is nobody to compare with")
    assert [check.name for check in judge(evaluation(0.44, told={"slices": (alone,)})).checks] == ["leakage"]


def test_many_failing_slices_are_counted() -> None:
    slices = tuple(sliced(0.3, 0.005, f"shop {number}") for number in range(8))
    reason = judge(evaluation(0.44, 0.45, told={"slices": slices})).reason
    assert reason.startswith("8 slices shown to be worse by more than 2.0 %: shop shop 0 (")
    assert reason.endswith(" and 3 more")


@pytest.mark.parametrize(
    ("settings", "told", "passed", "words"),
    [
        ({"max_churn": 0.1}, {"churn": 0.1}, True, "0.1 prediction churn, within gate.max_churn 0.1"),
        ({"max_churn": 0.1}, {"churn": 0.11}, False, "0.11 prediction churn, above gate.max_churn 0.1"),
        ({"max_churn": 0.1}, {"churn": math.inf}, False, "above gate.max_churn 0.1"),
        ({"max_churn": 0.1}, {"churn": math.nan}, False, "prediction churn: not measured, and gate.max_churn is 0.1"),
        ({"max_one_row_ms": 5}, {"cost": ServingCost(4.2, 80, 1.5)}, True, "4.2 ms to answer one row, within gate.max_one_row_ms 5"),
        ({"max_one_row_ms": 4}, {"cost": ServingCost(4.2, 80, 1.5)}, False, "4.2 ms to answer one row, above gate.max_one_row_ms 4"),
        ({"max_thousand_rows_ms": 79}, {"cost": ServingCost(4.2, 80, 1.5)}, False, "80 ms to answer 1,000 rows, above"),
        ({"max_megabytes": 1.5}, {"cost": ServingCost(4.2, 80, 1.5)}, True, "1.5 MB on disk, within gate.max_megabytes 1.5"),
        ({"max_megabytes": 1.5}, {}, False, "MB on disk: not measured, and gate.max_megabytes is 1.5"),
        ({"golden": "rows.csv"}, {"golden": (GoldenRow(1, "yes", "yes", True),) * 2}, True, "0 of 2 golden rows answered wrongly"),
        (
            {"golden": "rows.csv"},
            {"golden": (GoldenRow(1, "yes", "yes", True), GoldenRow(2, "yes", "no", False))},
            False,
            "1 of 2 golden rows answered wrongly: row 2 (yes, answered no)",
        ),
        ({"golden": "rows.csv"}, {}, False, "0 of 0 golden rows answered wrongly"),
    ],
)
@pytest.mark.parametrize("before", [None, 0.45])
def test_churn_cost_and_golden_rows_are_conditions(settings: Any, told: Any, passed: bool, words: str, before: float | None) -> None:
    verdict = judge(evaluation(0.44, before, told=told), **settings)
    assert verdict.passed == passed
    assert any(words in check.detail for check in verdict.checks if check.passed == passed)


def test_what_the_data_forbids_is_not_promoted() -> None:
    verdict = judge(evaluation(0.1, 0.45), forbidden=("price: 3 rows are below 0, and its policy is forbid", "shop drifted"))
    assert verdict.answer == "keep"
    assert verdict.reason == "price: 3 rows are below 0, and its policy is forbid; shop drifted"
    assert [check.name for check in verdict.checks if not check.passed] == ["data", "data"]


def test_a_failed_condition_keeps_the_champion_however_unsure_another_one_is() -> None:
    verdict = judge(evaluation(0.453, 0.45, reach=0.1, roc_auc=0.5), floors={"roc_auc": 0.6}, unsure="promote")
    assert verdict.answer == "keep"
    assert verdict.reason == "roc_auc 0.5000 is below its floor 0.6000"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_wrong_promotions_are_as_rare_as_promised_and_right_ones_are_not(scene: Any) -> None:
    """The whole gate on made-up days; `python -m tests.benchmarks.gate` does it at length."""
    tries, level, at_margin, at_zero, better = 150, 1 - CONFIDENCE, (1, "non_inferior"), (0, "superior"), (-3, "superior")
    shares = dict(zip((at_margin, at_zero, better), count_promoted(scene, 10, tries, 20, (at_margin, at_zero, better)), strict=True))
    most = level + 2 * math.sqrt(level * (1 - level) / tries)
    assert max(shares[at_margin], shares[at_zero]) <= most
    assert shares[better] > 3 * most


def test_a_suspected_leak_blocks_a_promotion() -> None:
    verdict = judge(evaluation(0.44, 0.45), (SUSPECT,))
    assert not verdict.passed
    assert verdict.reason.startswith("suspected leakage: dep_delay (predicts late nearly perfectly on its own); leave out")
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
        evaluation(0.6, 0.45, roc_auc=0.5),
        (SUSPECT,),
        live=live_champion(None),
        forbidden=("shop drifted",),
        floors={"roc_auc": 0.6},
        ceilings={"log_loss": 0.5},
    )
    assert not any(check.passed for check in verdict.checks)
    assert [check.name for check in verdict.checks] == ["roc_auc floor", "log_loss ceiling", "leakage", "data", "champion", "replay"]
    assert verdict.reason == "; ".join(check.detail for check in verdict.checks)
