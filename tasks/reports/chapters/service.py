"""Chapter: what changes for whoever asks the model: other answers, rows with known answers, time and size."""

from __future__ import annotations

from tasks.records import Evaluation, GoldenRow, ServingCost, Story
from tasks.reports.chapters.page import Cell, Chapter, Grid
from tasks.wording import say_count, say_number, say_share

MOST = 12


def tell_service(story: Story) -> Chapter | None:
    """Nothing when no candidate was looked at from this side."""
    evaluation = story.evaluation
    if evaluation is None:
        return None
    sentences = (*_churn(story, evaluation), *_golden(evaluation.golden), *_cost(evaluation.cost))
    failed = [row for row in evaluation.golden if not row.passed]
    grids = (_failed(failed),) if failed else ()
    return Chapter("In use", sentences, grids=grids) if sentences else None


def _churn(story: Story, evaluation: Evaluation) -> tuple[str, ...]:
    """The share of the answers that change, or by how much numbers do."""
    if evaluation.churn is None:
        return ()
    rival = "the stand-in" if evaluation.compared_with == "stand-in" else "the champion"
    task = story.table.columns.target.task if story.table is not None else "regression"
    if task in ("binary", "multiclass"):
        return (f"{say_share(evaluation.churn)} of the test rows get another answer than from {rival}.",)
    return (f"Answers differ from {rival}'s by {say_share(evaluation.churn)} of the spread of its answers, on average.",)


def _golden(rows: tuple[GoldenRow, ...]) -> tuple[str, ...]:
    if not rows:
        return ()
    whole = f"{sum(row.passed for row in rows):,} of {say_count(len(rows), 'golden row')}"
    return (f"{whole} {'is' if len(rows) == 1 else 'are'} answered rightly.",)


def _cost(cost: ServingCost | None) -> tuple[str, ...]:
    if cost is None:
        return ()
    times = f"One row takes {_say_ms(cost.one_row_ms)}, 1,000 rows take {_say_ms(cost.thousand_rows_ms)}"
    return (f"{times} on this machine; the saved model has {say_number(cost.megabytes, digits=3)} MB.",)


def _say_ms(milliseconds: float) -> str:
    return f"{say_number(milliseconds, digits=2)} ms"


def _failed(failed: list[GoldenRow]) -> Grid:
    rows = tuple((Cell(f"{row.row:,}", number=True), Cell(row.expected, code=True), Cell(row.answered, code=True)) for row in failed[:MOST])
    count = f" (the first {MOST} of {len(failed):,})" if len(failed) > MOST else ""
    return Grid(("Row", "Must be", "Answered"), rows, f"Golden rows answered wrongly{count}")
