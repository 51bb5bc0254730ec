"""Stage: the gate. A candidate goes live only when every condition holds."""

from __future__ import annotations

import math

from tasks.metrics import METRICS
from tasks.records import Champion, Check, Evaluation, Suspect, Verdict
from tasks.settings import GateSettings, LeakageSettings
from tasks.stage import stage

RIVALS = {"champion": "the champion's", "stand-in": "the champion's settings, refitted:"}


@stage("gate")
def judge_candidate(
    evaluation: Evaluation, settings: GateSettings, suspects: tuple[Suspect, ...], leakage: LeakageSettings, live: Champion | None
) -> Verdict:
    """Promote or keep, with the reason and every condition's outcome.

    `live` is the champion that the alias points at when it is later than this retrain's as-of date: a replay never
    replaces it. The first version has nothing to be compared with and is judged on floors and ceilings alone. What is
    not a number meets no condition.
    """
    checks = [*_limits(evaluation, settings), *_leakage(suspects, leakage), *_no_worse(evaluation, settings), *_replay(live)]
    failed = [check for check in checks if not check.passed]
    if failed:
        return Verdict("keep", "; ".join(check.detail for check in failed), tuple(checks))
    return Verdict("promote", _praise(evaluation, settings), tuple(checks))


def _limits(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    checks = []
    for name, limit in settings.floors.items():
        passed = evaluation.challenger[name] >= limit
        value, least = _say(evaluation.challenger[name], limit)
        checks.append(Check(f"{name} floor", passed, f"{name} {value} {'reaches' if passed else 'is below'} its floor {least}"))
    for name, limit in settings.ceilings.items():
        passed = evaluation.challenger[name] <= limit
        value, most = _say(evaluation.challenger[name], limit)
        checks.append(Check(f"{name} ceiling", passed, f"{name} {value} {'keeps to' if passed else 'is above'} its ceiling {most}"))
    return checks


def _leakage(suspects: tuple[Suspect, ...], leakage: LeakageSettings) -> list[Check]:
    if leakage.action == "off":
        return []
    if not suspects:
        return [Check("leakage", True, "no column looks as if it were known only after the event")]
    names = ", ".join(f"{suspect.column} ({suspect.reason})" for suspect in suspects)
    advice = "leave it out (columns: {name: ignore}), or name it under validation.leakage.allow if it is known before the event"
    warned = " (validation.leakage.action is warn)" if leakage.action == "warn" else ""
    return [Check("leakage", leakage.action == "warn", f"suspected leakage{warned}: {names}; {advice}")]


def _no_worse(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    """The challenger's loss may exceed the champion's by the margin's share of the champion's score, whatever the sign of that."""
    if evaluation.compared_with == "nobody":
        return []
    metric = METRICS[evaluation.metric]
    now, before = evaluation.challenger[metric.name], evaluation.champion.get(metric.name, math.nan)
    if not math.isfinite(before):
        return [Check("champion", False, evaluation.note or f"the champion's {metric.name} is not a number")]
    margin = settings.margin * abs(before)
    passed = not metric.is_worse(now, before, margin)
    words = "better than" if metric.is_worse(before, now) else "within the margin of" if passed else "worse by more than the margin than"
    return [Check("champion", passed, f"{_compared(evaluation, words)} (margin {margin:.4g})")]


def _replay(live: Champion | None) -> list[Check]:
    if live is None:
        return []
    through = "rows that have no time" if live.trained_through is None else f"{live.trained_through:%Y-%m-%d}"
    detail = f"champion v{live.version} is trained through {through}, later than this as-of date; a replay never replaces it"
    return [Check("replay", False, detail)]


def _praise(evaluation: Evaluation, settings: GateSettings) -> str:
    if evaluation.compared_with == "nobody":
        limits = "it passed every absolute condition" if settings.named_metrics else "no floor or ceiling is set"
        return f"the first version; {limits}"
    metric = METRICS[evaluation.metric]
    now, before = evaluation.challenger[metric.name], evaluation.champion[metric.name]
    words = "better than" if metric.is_worse(before, now) else "as good as" if now == before else "worse, but within the margin, than"
    return f"{_compared(evaluation, words)} on {evaluation.rows:,} rows"


def _compared(evaluation: Evaluation, words: str) -> str:
    now, before = _say(evaluation.challenger[evaluation.metric], evaluation.champion[evaluation.metric])
    return f"{evaluation.metric} {now} is {words} {RIVALS[evaluation.compared_with]} {before}"


def _say(value: float, other: float) -> tuple[str, str]:
    """Both with four significant digits, or as many as tell them apart."""
    size = max(abs(value), abs(other))
    fewest = max(0, 3 - math.floor(math.log10(size))) if 0 < size < math.inf else 4
    for decimals in range(fewest, fewest + 13):
        texts = f"{value:,.{decimals}f}", f"{other:,.{decimals}f}"
        if texts[0] != texts[1] or value == other:
            break
    return texts
