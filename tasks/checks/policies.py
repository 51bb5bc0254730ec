"""Policies: what follows when an expectation fails.

    stop    the data set is rejected
    drop    the rows that break it are left out, all else goes on with what is left
    forbid  a model is trained and judged, but never goes live
    warn    it is reported

`drop` comes first: what other expectations and the base suite judge is what is left, as is what a model is trained on.
Every row that breaks such an expectation goes, also while `mostly` holds (`mostly` then says no more than whether the table
calls it passed); of rows that break it together, such as two with one value that must be unique, all go. More rows than
`validation.max_dropped` reject the data set, and none is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from tasks.checks.expectations import Answer, check_expectations, run_expectations
from tasks.checks.findings import say_rows
from tasks.checks.outcomes import column_names
from tasks.records import Finding
from tasks.settings import Expectation, ValidationSettings
from tasks.wording import clean, say_share

LEFT_OUT = "few rows left out"
WHY = "why"


@dataclass(frozen=True)
class Screening:
    """The rows that are left, and what the expectations found; `dropped` and `forbids` as `Table` has them."""

    rows: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    dropped: pd.DataFrame | None = None
    forbids: tuple[str, ...] = ()
    raw: dict[str, Any] | None = None
    """Great Expectations' results, JSON-ready; None without an expectation."""


def screen_rows(frame: pd.DataFrame, settings: ValidationSettings, key: Sequence[str] = ()) -> Screening:
    """Ask every expectation, leave out the rows that policies leave out, say what forbids a promotion.

    `frame` has rows, and a unique index of positions in the source from 0, which what is left keeps.
    Raises ConfigError as `check_expectations` does.
    """
    expectations = settings.expectations
    if not expectations:
        return Screening(frame)
    check_expectations(settings)  # all of them, since an error names an entry by its place among all
    removing = {place: entry for place, entry in enumerate(expectations) if entry.policy == "drop"}
    answers = _ask(frame, removing, key, every_row=True)
    count = len({label for answer in answers.values() for label in answer.breaking})
    kept, dropped = frame, None
    if 0 < count <= settings.max_dropped * len(frame):
        why = _reasons(removing, answers)
        kept, dropped = frame.drop(index=list(why)), _set_aside(frame, why, key, [removing[place] for place in answers])
        answers = {place: _left_out(answer) for place, answer in answers.items()}
    others = {place: entry for place, entry in enumerate(expectations) if entry.policy != "drop"}
    answers |= _ask(kept, others, key)
    ordered = [answers[place] for place in range(len(expectations))]
    counted = (_count(count, len(frame), settings.max_dropped),) if removing else ()
    findings = (*(answer.finding for answer in ordered), *counted)
    return Screening(kept, findings, dropped, tuple(map(_forbid, filter(_forbids, findings))), _summarise(ordered))


def _ask(frame: pd.DataFrame, entries: Mapping[int, Expectation], key: Sequence[str], every_row: bool = False) -> dict[int, Answer]:
    return dict(zip(entries, run_expectations(frame, list(entries.values()), key, every_row), strict=True))


def _reasons(entries: Mapping[int, Expectation], answers: Mapping[int, Answer]) -> dict[Any, list[str]]:
    """Label of each row that breaks one of them -> each that it breaks, in words."""
    found: dict[Any, list[str]] = {}
    for place, answer in answers.items():
        finding = answer.finding
        words = clean(f"{finding.column}: {entries[place].type} ({finding.expected})")
        for label in answer.breaking:
            found.setdefault(label, []).append(words)
    return found


def _set_aside(frame: pd.DataFrame, why: Mapping[Any, list[str]], key: Sequence[str], entries: Sequence[Expectation]) -> pd.DataFrame:
    """The rows left out, in the source's order: why, the key, the columns that were looked at, all others. Indexed by row from 1."""
    labels = sorted(why)
    first = dict.fromkeys([*key, *(name for entry in entries for name in column_names(entry))])
    names = [*(name for name in first if name in frame), *(name for name in frame.columns if name not in first)]
    rows = frame.loc[labels, names].rename(columns={WHY: f"{WHY}_"} if WHY in names else {})
    rows.insert(0, WHY, pd.Series(["; ".join(why[label]) for label in labels], labels, dtype="str"))
    return rows.set_axis(pd.Index([int(label) + 1 for label in labels], name="row"))


def _left_out(answer: Answer) -> Answer:
    finding = answer.finding
    return replace(answer, finding=replace(finding, observed=f"{finding.observed}, left out")) if answer.breaking else answer


def _count(count: int, total: int, most: float) -> Finding:
    """Whether policies leave out few enough rows, taken together."""
    fine = count <= most * total
    expected = f"at most {say_share(most)} of the rows left out by policy (validation.max_dropped)"
    observed = say_rows(count, total) if count else "no row left out"
    return Finding(LEFT_OUT, "", "critical", fine, expected, observed, count, policy="stop")


def _forbids(finding: Finding) -> bool:
    return finding.policy == "forbid" and not finding.passed


def _forbid(finding: Finding) -> str:
    name = f"{finding.column}: {finding.check}" if finding.column else finding.check
    return clean(f"{name} ({finding.expected}) failed: {finding.observed}; its policy is forbid")


def _summarise(answers: Sequence[Answer]) -> dict[str, Any]:
    passed = sum(answer.finding.passed for answer in answers)
    results = [answer.raw for answer in answers]
    return {"success": passed == len(answers), "passed": passed, "failed": len(answers) - passed, "results": results}
