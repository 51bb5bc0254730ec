"""Findings: what a check found, worded for a terminal, a table and a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from tasks.errors import DataRejected
from tasks.records import Finding
from tasks.settings import Policy, Severity
from tasks.wording import clean, say_count, say_share

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
EXAMPLES = 5
LONGEST = 60
LONGEST_LINE = 1500


def rejection(findings: Sequence[Finding], where: str) -> DataRejected:
    """The error that names every failed critical check, one line each; `where` is the source. It carries all findings."""
    failed = [finding for finding in findings if is_rejecting(finding)]
    lines = [f"{where}: {say_count(len(failed), 'critical check')} failed", *(f"  {describe(finding)}" for finding in failed)]
    return DataRejected("\n".join(lines), tuple(findings))


def is_rejecting(finding: Finding) -> bool:
    return not finding.passed and policy_of(finding) == "stop"


def policy_of(finding: Finding) -> Policy:
    """What its failing means: as its policy says, else by severity."""
    return finding.policy or ("stop" if finding.severity == "critical" else "warn")


def describe(finding: Finding) -> str:
    """One line: column, check, what was expected, what was there, how many rows, a few of them."""
    name = f"{finding.column}: {finding.check}" if finding.column else finding.check
    examples = f"; such as {', '.join(finding.examples)}" if finding.examples else ""
    return clean(f"{name}: expected {finding.expected}; got {finding.observed}{examples}", LONGEST_LINE)


def finding_rows(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Flat rows for a table: text, whole numbers and nothing else. What failed comes first, the worst of it on top."""
    ranked = sorted(findings, key=lambda finding: (finding.passed, SEVERITIES.index(finding.severity)))
    return [
        {
            "result": "passed" if finding.passed else "failed",
            "severity": finding.severity,
            "policy": policy_of(finding),
            "column": clean(finding.column),
            "check": clean(finding.check),
            "expected": clean(finding.expected),
            "observed": clean(finding.observed),
            "failed rows": finding.failed_rows,
            "examples": clean(", ".join(finding.examples)),
        }
        for finding in ranked
    ]


def row_examples(frame: pd.DataFrame, labels: Iterable[Any], columns: Sequence[str], key: Sequence[str] = ()) -> tuple[str, ...]:
    """`400 (row 4, flight=1545)`: a few failing rows. `labels` are the frame's index, the rows' positions in the source from 0."""
    texts = []
    for label in list(labels)[:EXAMPLES]:
        values = " / ".join(say_value(frame.at[label, name]) for name in columns)
        names = [name for name in key if name in frame and name not in columns]
        place = ", ".join([f"row {int(label) + 1:,}", *(f"{name}={say_value(frame.at[label, name])}" for name in names)])
        texts.append(f"{values} ({place})" if values else place)
    return tuple(texts)


def say_value(value: object) -> str:
    """A value as one short harmless line."""
    missing = value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
    return "missing" if missing else clean(value, LONGEST)


def say_rows(count: int, total: int) -> str:
    """`12 of 300 rows (4.0 %)`."""
    return f"{count:,} of {say_count(total, 'row')}" + (f" ({say_share(count / total)})" if total else "")
