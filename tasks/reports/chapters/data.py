"""Chapter: what was read, what was left out and why, what had changed, how it was split, and how validation went."""

from __future__ import annotations

from collections import Counter

from tasks.records import Columns, Rewriting, Story, Table
from tasks.reports.chapters.findings import all_findings, count_checks, tell_dropped, tell_failed, tell_passed, tell_suspects
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row, name_some
from tasks.wording import end_sentence, say_count, say_moment, say_share, say_size


def tell_data(story: Story) -> Chapter | None:
    """Suspects, checks, rows, columns, in this order; nothing when the run never read anything."""
    findings, table = all_findings(story), story.table
    if story.source is None and not findings:
        return None
    grids = (tell_suspects(table), tell_failed(findings), _facts(story), _rows(story), tell_dropped(table), _left_out(table))
    sentences = (
        count_checks(findings) if findings else "",
        _repair(story),
        *_forbids(table),
        say_rewriting(story.rewriting),
        _no_drift(story),
    )
    told = tuple(grid for grid in (*grids, tell_passed(findings)) if grid is not None)
    return Chapter("Data", tuple(filter(None, sentences)), grids=told)


def say_rewriting(rewriting: Rewriting | None, days: bool = True) -> str:
    """Rows that came, went or changed although the last retrain had seen their time; empty where nobody looked."""
    if rewriting is None:
        return ""
    if not rewriting.changed:
        return f"What {rewriting.since} had seen is as it was."
    named = f" ({name_some(list(rewriting.rewritten_days), 6)})" if days else ""
    found = [
        f"{say_count(rewriting.late, 'row')} came late" if rewriting.late else "",
        f"{say_count(rewriting.removed, 'row')} {'is' if rewriting.removed == 1 else 'are'} gone" if rewriting.removed else "",
        f"up to {say_count(rewriting.rewritten_rows, 'row')} were rewritten{named}" if rewriting.rewritten_days else "",
    ]
    return end_sentence(f"Since {rewriting.since}, of what it had seen: {', '.join(filter(None, found))}")


def _forbids(table: Table | None) -> list[str]:
    return [end_sentence(f"No model of these rows may go live: {why}") for why in (table.forbids if table else ())]


def _no_drift(story: Story) -> str:
    """Why there is no chapter on drift, where the run can say so."""
    drift = story.drift
    return end_sentence(f"Drift: {drift.note}") if drift and drift.note and not (drift.columns or drift.target) else ""


def _repair(story: Story) -> str:
    if story.result.verdict != "data_rejected":
        return ""
    return "Mend the data at its source, or, where the data is right, what the config expects of it; then run the same command again."


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
        facts.append(("Digest of the rows used", story.table.digest))
    if story.split is not None:
        facts.append(("Split", end_sentence(story.split.note)))
    rows = tuple((Cell(name, tone="quiet"), Cell(value)) for name, value in facts)
    return Grid(("", ""), rows, "What was read") if rows else None


def _describe_columns(columns: Columns) -> list[tuple[str, str]]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(columns.features.values()).most_common())
    return [("Target", f"{columns.target.column} ({columns.target.task})"), ("Features", f"{len(columns.features):,} ({kinds or 'none'})")]


def _rows(story: Story) -> Grid | None:
    """From what was read down to what was tested on; steps that took nothing away are left out."""
    if story.source is None or story.table is None:
        return None
    table, counts = story.table, [("read", story.source.rows, "")]
    dropped = 0 if table.dropped is None else len(table.dropped)
    left = (("later than the as-of date", table.after_cut), ("by a policy", dropped), ("without a label", table.unlabelled))
    counts += [(what, count, "left out") for what, count in left if count]
    counts += [("used", len(table.frame), "")]
    if story.split is not None:
        used = len(story.split.train) + len(story.split.test)
        counts += [("to train on", len(story.split.train), ""), ("to test on", len(story.split.test), "")]
        counts += [("in neither of them", rest, "")] if (rest := len(table.frame) - used) > 0 else []
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
