"""Chapter: what was read, what was left out and why, how it was split, and how validation went."""

from __future__ import annotations

from tasks.chapters.page import Cell, Chapter, Grid, Row
from tasks.chapters.verdict import all_findings
from tasks.records import Finding, Story, Suspect, Table
from tasks.wording import NOTHING, say_count, say_moment, say_number, say_share

SEVERITIES = ("critical", "warning", "info")


def tell_data(story: Story) -> Chapter | None:
    """Rows, columns, checks; nothing when the run never read anything."""
    findings = all_findings(story)
    if story.source is None and not findings:
        return None
    grids = (_suspects(story.table), *_findings(findings), _rows(story), _left_out(story.table))
    return Chapter("Data", tuple(_sentences(story, findings)), tuple(grid for grid in grids if grid is not None))


def _sentences(story: Story, findings: tuple[Finding, ...]) -> list[str]:
    sentences = []
    if story.source is not None:
        sentences.append(f"Read from {story.source.location} ({story.source.kind}), content digest {story.source.digest}.")
    if story.split is not None:
        sentences.append(story.split.note)
    if findings:
        sentences.append(_count_checks(findings))
    if story.result.verdict == "data_rejected" and findings:
        sentences.append("To fix: mend the source, or change the expectation in the config if the data is right, and run again.")
    return sentences


def _count_checks(findings: tuple[Finding, ...]) -> str:
    failed = [finding for finding in findings if not finding.passed]
    if not failed:
        return f"All {say_count(len(findings), 'check')} passed."
    kinds = ", ".join(f"{count} {severity}" for severity in SEVERITIES if (count := sum(f.severity == severity for f in failed)))
    return f"{len(failed)} of {say_count(len(findings), 'check')} failed ({kinds})."


def _suspects(table: Table | None) -> Grid | None:
    suspects: tuple[Suspect, ...] = table.suspects if table else ()
    rows: tuple[Row, ...] = tuple(
        (Cell(s.column, code=True), Cell(say_number(s.score, zeros=True), number=True), Cell(s.reason)) for s in suspects
    )
    return Grid(("Column", "Score alone", "Why it is suspect"), rows, "Leakage suspects") if rows else None


def _findings(findings: tuple[Finding, ...]) -> tuple[Grid, ...]:
    ordered = sorted(findings, key=lambda f: SEVERITIES.index(f.severity))
    failed = tuple(_finding_row(f) for f in ordered if not f.passed)
    passed = tuple(_finding_row(f)[:5] for f in ordered if f.passed)
    headings = ("Check", "Column", "Severity", "Expected", "Observed", "Rows", "Examples")
    grids = []
    if failed:
        grids.append(Grid(headings, failed, "Failed checks"))
    if passed:
        grids.append(Grid(headings[:5], passed, f"Passed checks ({len(passed)})", folded=True))
    return tuple(grids)


def _finding_row(finding: Finding) -> Row:
    critical = finding.severity == "critical" and not finding.passed
    return (
        Cell(finding.check),
        Cell(finding.column or NOTHING, code=bool(finding.column)),
        Cell(finding.severity, tone="bad" if critical else "plain"),
        Cell(finding.expected),
        Cell(finding.observed),
        Cell(f"{finding.failed_rows:,}" if finding.failed_rows else NOTHING, number=True),
        Cell(", ".join(finding.examples) or NOTHING, code=bool(finding.examples)),
    )


def _rows(story: Story) -> Grid | None:
    if story.source is None:
        return None
    counts = [("read", story.source.rows)]
    if story.table is not None:
        counts += [("after the as-of cut, left out", story.table.after_cut), ("without a label, left out", story.table.unlabelled)]
        counts += [("used", len(story.table.frame))]
    if story.split is not None:
        counts += [("to train on", len(story.split.train)), ("to test on", len(story.split.test))]
    rows: tuple[Row, ...] = tuple(_count_row(what, count, story.source.rows) for what, count in counts)
    return Grid(("Rows", "Count", "Share"), rows, "Rows")


def _count_row(what: str, count: int, whole: int) -> Row:
    share = count / whole if whole else 0.0
    return Cell(what), Cell(f"{count:,}", number=True), Cell(say_share(share), number=True, share=min(share, 1.0))


def _left_out(table: Table | None) -> Grid | None:
    left_out = table.columns.left_out if table else {}
    rows: tuple[Row, ...] = tuple((Cell(column, code=True), Cell(why)) for column, why in left_out.items())
    return Grid(("Column", "Why"), rows, f"Columns left out ({len(rows)})") if rows else None


def describe_newest(table: Table) -> str:
    """When the newest row happened."""
    return say_moment(table.newest) if table.newest else NOTHING
