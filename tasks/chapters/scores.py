"""Chapter: challenger and champion on the same rows."""

from __future__ import annotations

from tasks.chapters.page import Cell, Chapter, Grid, Row
from tasks.chapters.verdict import compare
from tasks.metrics import METRICS
from tasks.records import Evaluation, Story
from tasks.wording import say_count, say_difference, say_number

PLOTS = ("roc", "precision-recall", "calibration", "confusion", "residuals", "importance")


def tell_scores(story: Story) -> Chapter | None:
    """Every metric, the better side marked; nothing when no model was scored."""
    evaluation = story.evaluation
    if evaluation is None:
        return None
    return Chapter("Scores", _sentences(story, evaluation), (_table(evaluation),), PLOTS)


def _sentences(story: Story, evaluation: Evaluation) -> tuple[str, ...]:
    rows = say_count(evaluation.rows, "row")
    champion = f" v{story.champion.version}" if story.champion else ""
    against = {
        "nobody": f"The challenger alone, on {rows}.",
        "champion": f"Challenger and champion{champion} on the same {rows}.",
        "stand-in": f"Challenger and a stand-in for champion{champion} (its settings, refitted) on the same {rows}.",
    }
    return tuple(text for text in (against[evaluation.compared_with], evaluation.note) if text)


def _table(evaluation: Evaluation) -> Grid:
    names = sorted(evaluation.challenger, key=lambda name: name != evaluation.metric)
    if not evaluation.champion:
        rows: tuple[Row, ...] = tuple((_name(name), _value(evaluation.challenger[name])) for name in names)
        return Grid(("Metric", "Challenger"), rows)
    compared = tuple(_compared(name, evaluation.challenger[name], evaluation.champion.get(name)) for name in names)
    other = "Stand-in" if evaluation.compared_with == "stand-in" else "Champion"
    return Grid(("Metric", "Challenger", other, "Change", ""), compared)


def _compared(name: str, now: float, before: float | None) -> Row:
    if before is None:
        return _name(name), _value(now), _value(None), Cell(""), Cell("")
    tone = compare(name, now, before)
    word = {"good": "better", "bad": "worse"}.get(tone, "same" if now == before else "")
    return _name(name), _value(now), _value(before), Cell(say_difference(now - before), number=True, tone=tone), Cell(word, tone=tone)


def _name(name: str) -> Cell:
    metric = METRICS.get(name)
    return Cell(name + (" ↑" if metric and metric.greater_is_better else " ↓" if metric else ""))


def _value(value: float | None) -> Cell:
    return Cell(say_number(value, zeros=True), number=True)
