"""Tables of validation: suspects, failed and passed checks, rows that policies left out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from tasks.records import Finding, Story, Table
from tasks.reports.chapters.page import Cell, Grid, Row
from tasks.wording import NOTHING, say_count, say_number

SEVERITIES = ("critical", "warning", "info")
HEADINGS = ("Check", "Column", "Severity", "Policy", "Expected", "Observed", "Rows", "Examples")
POLICIES = {"stop": "stop", "drop": "drop the rows", "forbid": "forbid promotion", "warn": "warn"}
MOST_ROWS, MOST_COLUMNS, LONGEST = 10, 6, 160


def all_findings(story: Story) -> tuple[Finding, ...]:
    """The validation table, from wherever the run got to; critical checks first."""
    findings = story.findings or (story.table.findings if story.table else ())
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def count_checks(findings: tuple[Finding, ...]) -> str:
    failed = Counter[str](finding.severity for finding in findings if not finding.passed)
    if not failed:
        return f"All {say_count(len(findings), 'check')} passed."
    kinds = ", ".join(f"{failed[severity]} {severity}" for severity in SEVERITIES if failed[severity])
    return f"{failed.total()} of {say_count(len(findings), 'check')} failed ({kinds})."


def tell_suspects(table: Table | None) -> Grid | None:
    rows: tuple[Row, ...] = tuple(
        (Cell(suspect.column, code=True), Cell(say_number(suspect.score, zeros=True), number=True), Cell(suspect.reason))
        for suspect in (table.suspects if table else ())
    )
    return Grid(("Column", "Score alone", "Why it is suspect"), rows, "Leakage suspects") if rows else None


def tell_failed(findings: tuple[Finding, ...]) -> Grid | None:
    rows = tuple(_finding_row(finding) for finding in findings if not finding.passed)
    return Grid(HEADINGS, rows, "Failed checks") if rows else None


def tell_passed(findings: tuple[Finding, ...]) -> Grid | None:
    rows = tuple((*row[:3], *row[4:6]) for row in (_finding_row(finding) for finding in findings if finding.passed))
    return Grid((*HEADINGS[:3], *HEADINGS[4:6]), rows, f"Passed checks ({len(rows)})", folded=True) if rows else None


def tell_dropped(table: Table | None) -> Grid | None:
    """The first rows that policies left out, each with its place in the source, why, and its key."""
    if table is None or table.dropped is None or table.dropped.empty:
        return None
    dropped = table.dropped
    names = [str(name) for name in dropped.columns[:MOST_COLUMNS]]
    rows = tuple(
        (Cell(_say(place), number=True), *(Cell(_say(value), code=True) for value in values))
        for place, values in zip(dropped.index[:MOST_ROWS], dropped.iloc[:MOST_ROWS, :MOST_COLUMNS].to_numpy(dtype=object), strict=True)
    )
    title = (
        f"Rows left out by policy (the first {MOST_ROWS} of {len(dropped):,})" if len(dropped) > MOST_ROWS else "Rows left out by policy"
    )
    return Grid((str(dropped.index.name or "row").capitalize(), "Why", *names[1:]), rows, title, folded=True)


def _finding_row(finding: Finding) -> Row:
    critical = finding.severity == "critical" and not finding.passed
    check = finding.check.removeprefix("expect_").replace("_", " ") if finding.check.startswith("expect_") else finding.check
    policy = finding.policy or ("stop" if finding.severity == "critical" else "warn")
    return (
        Cell(check),
        Cell(finding.column or NOTHING, code=bool(finding.column)),
        Cell(finding.severity, tone="bad" if critical else "plain"),
        Cell(POLICIES[policy]),
        Cell(finding.expected or NOTHING),
        Cell(finding.observed or NOTHING),
        Cell(f"{finding.failed_rows:,}" if finding.failed_rows else NOTHING, number=True),
        Cell(", ".join(finding.examples) or NOTHING, code=bool(finding.examples)),
    )


def _say(value: Any) -> str:
    """A value of a row as it is, short; whole numbers are names here, not amounts."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "missing"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
