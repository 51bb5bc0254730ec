"""Stage: the gate. A candidate goes live only when every condition holds, and the rows can tell that it does."""

from __future__ import annotations

import math

from tasks.comparisons.intervals import surely_above
from tasks.metrics import METRICS
from tasks.records import Champion, Check, Evaluation, GoldenRow, Interval, ServingCost, SliceScore, Suspect, Verdict
from tasks.settings import GateSettings, LeakageSettings
from tasks.stage import stage
from tasks.wording import say_count, say_number, say_share

RIVALS = {"champion": "the champion's", "stand-in": "the champion's settings, refitted:"}
NAMED = 5
"""Slices or golden rows that a detail spells out; more are counted."""


@stage("gate")
def judge_candidate(
    evaluation: Evaluation,
    settings: GateSettings,
    suspects: tuple[Suspect, ...],
    leakage: LeakageSettings,
    live: Champion | None,
    forbidden: tuple[str, ...] = (),
) -> Verdict:
    """Promote, keep or ask, with the reason and every condition's outcome.

    `live` is the champion that the alias points at when it is later than this retrain's as-of date: a replay never
    replaces it. `forbidden` says in words why no model of these rows may go live. The first version has nothing to be
    compared with and is judged on absolute conditions alone. One failed condition keeps the champion; else one that
    the rows cannot tell leaves it to `gate.unsure`, but nobody takes the place of a champion that could not be scored
    without a person's word. What is not a number meets no condition.
    """
    checks = (
        *_limits(evaluation, settings),
        *_leakage(suspects, leakage),
        *(Check("data", False, reason) for reason in forbidden),
        *_champion(evaluation, settings),
        *_slide(evaluation, settings),
        *_slices(evaluation, settings),
        *_churn(evaluation, settings),
        *_golden(evaluation.golden, settings),
        *_cost(evaluation, settings),
        *_replay(live),
    )
    margin = _limit(evaluation, settings)
    failed, unsure = [check for check in checks if not check.passed and not check.unsure], [check for check in checks if check.unsure]
    if failed:
        return Verdict("keep", _details(failed), checks, margin)
    if not unsure:
        return Verdict("promote", _praise(evaluation, settings), checks, margin)
    if settings.unsure == "promote" and margin is None:
        return Verdict("ask", f"{_details(unsure)}; a champion without a score is replaced by a person, or not at all", checks)
    return Verdict(settings.unsure, f"{_details(unsure)} (gate.unsure is {settings.unsure})", checks, margin)


def _details(checks: list[Check]) -> str:
    return "; ".join(check.detail for check in checks)


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
    advice = "leave out what is not known before the event (columns: {name: ignore}), or name under validation.leakage.allow what is"
    warned = " (validation.leakage.action is warn)" if leakage.action == "warn" else ""
    return [Check("leakage", leakage.action == "warn", f"suspected leakage{warned}: {names}; {advice}")]


def _champion(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    if evaluation.compared_with == "nobody":
        return []
    if (limit := _limit(evaluation, settings)) is None:
        return [Check("champion", False, evaluation.note or f"the champion's {evaluation.metric} is not a number", unsure=True)]
    before, rival = evaluation.champion[evaluation.metric], RIVALS[evaluation.compared_with]
    return [_compare("champion", rival, evaluation, before, evaluation.interval, settings.rule == "superior", limit)]


def _limit(evaluation: Evaluation, settings: GateSettings) -> float | None:
    """How much worse than its rival it may be, in the metric's units: a share of the rival's score, whatever its sign; None without one."""
    before = evaluation.champion.get(evaluation.metric, math.nan)
    if not math.isfinite(before):
        return None
    return 0.0 if settings.rule == "superior" else settings.margin * abs(before)


def _slide(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    """Not worse by the margin than an older version's settings: many losses within it would add up to more."""
    if (slide := evaluation.slide) is None:
        return []
    rival, limit = f"the settings of v{slide.version}, refitted:", settings.margin * abs(slide.score)
    return [_compare("slide", rival, evaluation, slide.score, slide.interval, False, limit)]


def _compare(
    name: str, rival: str, evaluation: Evaluation, before: float, interval: Interval | None, superior: bool, limit: float
) -> Check:
    """Shown by the end of the interval, missed by the difference itself, or neither."""
    metric, now = METRICS[evaluation.metric], evaluation.challenger[evaluation.metric]
    difference = metric.loss(now) - metric.loss(before)
    high = math.nan if interval is None else interval.high
    missed = difference >= limit if superior else difference > limit
    shown = not missed and (high < limit if superior else high <= limit)
    said = f"{_compared(metric.name, now, before, rival)} on {evaluation.rows:,} rows{_doubt(interval)}"
    if missed:
        said += ", and gate.rule is superior" if superior else f", more than the margin of {_short(limit)}"
    elif not shown:
        said += f"; {'gate.rule is superior' if superior else f'the margin is {_short(limit)}'}, so these rows cannot tell"
    elif high > 0:
        said += f", within the margin of {_short(limit)}"
    return Check(name, shown, said, unsure=not shown and not missed)


def _compared(name: str, now: float, before: float, rival: str) -> str:
    """`log_loss 0.4400 is better than the champion's 0.4500`."""
    loss = METRICS[name].loss
    words = "better than" if loss(now) < loss(before) else "as good as" if now == before else "worse than"
    ours, theirs = _say(now, before)
    return f"{name} {ours} is {words} {rival} {theirs}"


def _doubt(interval: Interval | None) -> str:
    """How much better or worse it is at least, or at most; nothing where the two answer alike."""
    if interval is None or not math.isfinite(interval.high):
        few = "these rows do not" if interval is None else f"{say_count(interval.blocks, 'block')} of rows (days) cannot"
        return f"; {few} say how sure that is"
    if interval.low == interval.high == 0:
        return ""
    sure = f"({say_share(interval.confidence)} sure)"
    if interval.high < 0:
        return f", at least {_short(interval.high)} better {sure}"
    if interval.low > 0:
        return f", between {_short(interval.low)} and {_short(interval.high)} worse ({say_share(interval.confidence)} sure of each)"
    return f", at most {_short(interval.high)} worse {sure}"


def _short(difference: float) -> str:
    return say_number(abs(difference), digits=3)


def _slices(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    """No slice is shown to be worse by more than its margin; several slices are several tests."""
    if not evaluation.slices or evaluation.compared_with == "nobody":
        return []
    judged = [(one, one.interval, abs(one.champion)) for one in evaluation.slices if one.interval is not None and one.champion is not None]
    limits = [settings.slice_margin * before for _, _, before in judged]
    found = surely_above([interval for _, interval, _ in judged], limits, settings.confidence)
    worse = [_say_slice(one, interval) for (one, interval, _), alarm in zip(judged, found, strict=True) if alarm]
    shown = f"shown to be worse by more than {say_share(settings.slice_margin)}"
    if worse:
        return [Check("slices", False, f"{say_count(len(worse), 'slice')} {shown}: {_list(worse)}")]
    left = len(evaluation.slices) - len(judged)
    unjudged = f"; {say_count(left, 'slice')} not judged" if left else ""
    return [Check("slices", True, f"of {say_count(len(judged), 'slice')} none is {shown}{unjudged}")]


def _say_slice(one: SliceScore, interval: Interval) -> str:
    before = math.nan if one.champion is None else one.champion
    now, then = _say(one.challenger, before)
    return f"{one.column} {one.value} ({now} against {then} on {one.rows:,} rows, worse by at least {_short(interval.low)})"


def _churn(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    if evaluation.churn is None or settings.max_churn is None:
        return []
    return [_at_most("churn", evaluation.churn, "prediction churn", "gate.max_churn", settings.max_churn)]


def _golden(rows: tuple[GoldenRow, ...], settings: GateSettings) -> list[Check]:
    if settings.golden is None:
        return []
    wrong = [f"row {row.row} ({row.expected}, answered {row.answered})" for row in rows if not row.passed]
    said = f"{len(wrong)} of {say_count(len(rows), 'golden row')} answered wrongly"
    return [Check("golden rows", bool(rows) and not wrong, said + (f": {_list(wrong)}" if wrong else ""))]


def _cost(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    cost = evaluation.cost or ServingCost(math.nan, math.nan, math.nan)
    limits = (
        ("one row", "max_one_row_ms", settings.max_one_row_ms, cost.one_row_ms, "ms to answer one row"),
        ("1,000 rows", "max_thousand_rows_ms", settings.max_thousand_rows_ms, cost.thousand_rows_ms, "ms to answer 1,000 rows"),
        ("size", "max_megabytes", settings.max_megabytes, cost.megabytes, "MB on disk"),
    )
    return [_at_most(name, value, what, f"gate.{key}", most) for name, key, most, value, what in limits if most is not None]


def _at_most(name: str, value: float, what: str, key: str, most: float) -> Check:
    """What was not measured is not known to keep to its limit."""
    if math.isnan(value):
        return Check(name, False, f"{what}: not measured, and {key} is {most:g}")
    return Check(name, value <= most, f"{say_number(value)} {what}, {'within' if value <= most else 'above'} {key} {most:g}")


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
    return next(check.detail for check in _champion(evaluation, settings))


def _list(texts: list[str]) -> str:
    return ", ".join(texts[:NAMED]) + (f" and {len(texts) - NAMED} more" if len(texts) > NAMED else "")


def _say(value: float, other: float) -> tuple[str, str]:
    """Both with four significant digits, or as many as tell them apart."""
    size = max(abs(value), abs(other))
    fewest = max(0, 3 - math.floor(math.log10(size))) if 0 < size < math.inf else 4
    for decimals in range(fewest, fewest + 13):
        texts = f"{value:,.{decimals}f}", f"{other:,.{decimals}f}"
        if texts[0] != texts[1] or value == other:
            break
    return texts
