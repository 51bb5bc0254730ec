"""What a look at the champion says: sentences for states, events and notices, and a page in Markdown."""

from __future__ import annotations

from datetime import timedelta

from flows.events.decays import Decay
from tasks.drift import drift_rows, say_drift
from tasks.records import Champion, DriftReport
from tasks.settings import format_duration
from tasks.wording import end_sentence, escape_markdown, say_count, say_number, say_share

SHOWN = 20
"""Columns in the page's table, what drifted first."""
METHOD = (
    "The difference's lower end comes from drawing the days again (block bootstrap, one-sided); the score at promotion was "
    "measured on days too, and is taken to vary as much. Harder days and a staler model look alike here: a retrain tells them apart."
)


def say_decay(decay: Decay) -> str:
    """`log_loss 0.61 on 400 rows of 20 days, 0.41 at promotion: worse by 0.2, at least by 0.12 (95 %)`."""
    if decay.now is None or decay.then is None or decay.difference is None:
        return decay.note
    rows = f"{say_count(decay.rows, 'row')} of {say_count(decay.days, 'day')}"
    text = f"{decay.metric} {say_number(decay.now)} on {rows}, {say_number(decay.then)} at promotion"
    change = f"{'worse' if decay.difference > 0 else 'better'} by {say_number(abs(decay.difference), digits=3)}"
    if decay.low is None:
        return f"{text}: {change}; {decay.note}"
    sure = f"at least by {say_number(decay.low, digits=3)}" if decay.low > 0 else "which may be chance"
    return f"{text}: {change}, {sure} ({say_share(decay.confidence)} sure)" if decay.difference > 0 else f"{text}: {change}"


def say_age(age: timedelta, limit: timedelta | None) -> str:
    """`trained 40 days ago, the limit is 30d`."""
    hours = int(age.total_seconds() // 3600)
    ago = say_count(age.days, "day") if age.days else say_count(hours, "hour")
    return f"trained {ago} ago, " + (
        f"the limit is {format_duration(limit)}" if limit is not None else "without a limit (operation.max_age)"
    )


def tell_look(champion: Champion, drift: DriftReport, decay: Decay, age: str, mlflow: str) -> str:
    """The page, what matters most first."""
    verdict = "has decayed" if decay.decayed else "sees other data than it was trained on" if drift.drifted else "is as it was"
    parts = [
        f"## {escape_markdown(champion.name)} v{escape_markdown(champion.version)} {verdict}",
        f"**Score.** {end_sentence(escape_markdown(say_decay(decay)))}{_limit(decay)}",
        f"**Data.** {_sentence(_say_drift(drift))}",
        f"**Age.** {_sentence(age)}",
        _table(drift),
        f"*{METHOD}*" if decay.low is not None else "",
        f"[The curves in MLflow](<{mlflow}>)",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _limit(decay: Decay) -> str:
    if decay.margin is None or decay.low is None:
        return ""
    word = "More than" if decay.decayed else "Not shown to be more than"
    return f" {word} the margin of {say_number(decay.margin, digits=3)} (operation.events.decay.margin)."


def _say_drift(drift: DriftReport) -> str:
    if not (drift.columns or drift.target):
        return drift.note
    return f"{say_drift(drift)}; compared with {drift.since}" + (f"; {drift.note}" if drift.note else "")


def _table(drift: DriftReport) -> str:
    rows = drift_rows(drift)[:SHOWN]
    if not rows:
        return ""
    lines = [f"| {' | '.join(rows[0])} |", "|" + " --- |" * len(rows[0])]
    lines += [f"| {' | '.join(escape_markdown(value) for value in row.values())} |" for row in rows]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return end_sentence(escape_markdown(text[:1].upper() + text[1:]))
