"""Chapter: what was read, what was left out and why, how it was split, and how validation went."""

from __future__ import annotations

from collections import Counter

from tasks.records import Columns, Finding, Story, Table
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row, name_some
from tasks.wording import NOTHING, end_sentence, say_count, say_moment, say_number, say_share, say_size

SEVERITIES = ("critical", "warning", "info")
HEADINGS = ("Check", "Column", "Severity", "Expected", "Observed", "Rows", "Examples")


def tell_data(story: Story) -> Chapter | None:
    """Suspects, checks, rows, columns, in this order; nothing when the run never read anything."""
    findings = all_findings(story)
    if story.source is None and not findings:
        return None
    grids = (_suspects(story.table), _failed(findings), _facts(story), _rows(story), _left_out(story.table), _passed(findings))
    sentences = ((_count_checks(findings),) if findings else ()) + (_repair(story),)
    return Chapter("Data", tuple(filter(None, sentences)), grids=tuple(grid for grid in grids if grid is not None))


def all_findings(story: Story) -> tuple[Finding, ...]:
    """The validation table, from wherever the run got to; critical checks first."""
    findings = story.findings or (story.table.findings if story.table else ())
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def _facts(story: Story) -> Grid | None:
    """What was read and made of it, one fact a line."""
    facts = []
    if story.source is not None:
        source = story.source
        shape = f"{say_count(source.rows, 'row')} of {say_count(source.columns, 'column')}, {say_size(source.bytes)} in memory"
        kind = "" if source.kind in source.location else f" ({source.kind})"
        facts += [("Source", f"{source.location}{kind}"), ("Size", shape), ("Digest", source.digest)]
    if story.table is not None:
        facts += _describe_columns(story.table.columns)
        facts += [("Newest row", say_moment(story.table.newest))] if story.table.newest is not None else []
    if story.split is not None:
        facts.append(("Split", end_sentence(story.split.note)))
    rows = tuple((Cell(name, tone="quiet"), Cell(value)) for name, value in facts)
    return Grid(("", ""), rows, "What was read") if rows else None


def _describe_columns(columns: Columns) -> list[tuple[str, str]]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(columns.features.values()).most_common())
    return [("Target", f"{columns.target.column} ({columns.target.task})"), ("Features", f"{len(columns.features):,} ({kinds or 'none'})")]


def _count_checks(findings: tuple[Finding, ...]) -> str:
    failed = Counter[str](finding.severity for finding in findings if not finding.passed)
    if not failed:
        return f"All {say_count(len(findings), 'check')} passed."
    kinds = ", ".join(f"{failed[severity]} {severity}" for severity in SEVERITIES if failed[severity])
    return f"{failed.total()} of {say_count(len(findings), 'check')} failed ({kinds})."


def _repair(story: Story) -> str:
    if story.result.verdict != "data_rejected":
        return ""
    return "Mend the data at its source, or, where the data is right, what the config expects of it; then run the same command again."


def _suspects(table: Table | None) -> Grid | None:
    rows: tuple[Row, ...] = tuple(
        (Cell(suspect.column, code=True), Cell(say_number(suspect.score, zeros=True), number=True), Cell(suspect.reason))
        for suspect in (table.suspects if table else ())
    )
    return Grid(("Column", "Score alone", "Why it is suspect"), rows, "Leakage suspects") if rows else None


def _failed(findings: tuple[Finding, ...]) -> Grid | None:
    rows = tuple(_finding_row(finding) for finding in findings if not finding.passed)
    return Grid(HEADINGS, rows, "Failed checks") if rows else None


def _passed(findings: tuple[Finding, ...]) -> Grid | None:
    rows = tuple(_finding_row(finding)[:5] for finding in findings if finding.passed)
    return Grid(HEADINGS[:5], rows, f"Passed checks ({len(rows)})", folded=True) if rows else None


def _finding_row(finding: Finding) -> Row:
    critical = finding.severity == "critical" and not finding.passed
    check = finding.check.removeprefix("expect_").replace("_", " ") if finding.check.startswith("expect_") else finding.check
    return (
        Cell(check),
        Cell(finding.column or NOTHING, code=bool(finding.column)),
        Cell(finding.severity, tone="bad" if critical else "plain"),
        Cell(finding.expected or NOTHING),
        Cell(finding.observed or NOTHING),
        Cell(f"{finding.failed_rows:,}" if finding.failed_rows else NOTHING, number=True),
        Cell(", ".join(finding.examples) or NOTHING, code=bool(finding.examples)),
    )


def _rows(story: Story) -> Grid | None:
    """From what was read down to what was tested on; steps that took nothing away are left out."""
    if story.source is None or story.table is None:
        return None
    counts = [("read", story.source.rows, "")]
    left = (("later than the as-of date", story.table.after_cut), ("without a label", story.table.unlabelled))
    counts += [(what, count, "left out") for what, count in left if count]
    counts += [("used", len(story.table.frame), "")]
    if story.split is not None:
        used = len(story.split.train) + len(story.split.test)
        counts += [("to train on", len(story.split.train), ""), ("to test on", len(story.split.test), "")]
        counts += [("in neither of them", rest, "")] if (rest := len(story.table.frame) - used) > 0 else []
    return Grid(("Rows", "Count", "Share of what was read"), tuple(_count_row(*row, story.source.rows) for row in counts), "Rows")


def _count_row(what: str, count: int, note: str, whole: int) -> Row:
    share = count / whole if whole else 0.0
    return Cell(what, note=note), Cell(f"{count:,}", number=True), Cell(say_share(share), share=min(0.75 * share, 0.75))


def _left_out(table: Table | None) -> Grid | None:
    """Columns that are not used, those with the same reason on one line."""
    reasons: dict[str, list[str]] = {}
    for column, why in (table.columns.left_out if table else {}).items():
        reasons.setdefault(why, []).append(column)
    rows: tuple[Row, ...] = tuple((Cell(name_some(columns), code=True), Cell(why)) for why, columns in reasons.items())
    count = sum(map(len, reasons.values()))
    return Grid(("Column", "Why"), rows, f"Columns left out ({count})", folded=len(rows) > 8) if rows else None
