"""Chapter: challenger and champion on the same rows."""

from __future__ import annotations

from tasks.records import Evaluation, Story
from tasks.reports.chapters.intervals import say_interval
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row
from tasks.reports.chapters.slices import tell_slices
from tasks.reports.chapters.verdict import compare
from tasks.reports.dimensions import known_metric
from tasks.wording import NOTHING, end_sentence, say_count, say_difference, say_number

CURVES = ("roc", "precision_recall", "calibration", "confusion", "classes", "residuals", "residual_distribution")
PLOTS = ("slices", *CURVES, "lift", "thresholds", "importance")


def tell_scores(story: Story) -> Chapter | None:
    """Every metric, the better side marked; nothing when no model was scored."""
    evaluation = story.evaluation
    if evaluation is None:
        return None
    sentences = (_sentence(story, evaluation), *_slide(evaluation))
    grids = (_table(evaluation), tell_slices(evaluation))
    return Chapter("Scores", sentences, grids=tuple(grid for grid in grids if grid is not None), plots=PLOTS)


def _sentence(story: Story, evaluation: Evaluation) -> str:
    """On how many rows, compared with whom; the evaluation's own note says more where it has one."""
    rows, note = say_count(evaluation.rows, "row"), evaluation.note
    champion = f"champion v{story.champion.version}" if story.champion else "the champion"
    if not evaluation.champion:
        return end_sentence(f"The challenger alone, on {rows} that it was not trained on" + (f"; {note}" if note else ""))
    if evaluation.compared_with == "stand-in":
        return end_sentence(f"The challenger against a stand-in ({rows}): {note or f'the settings of {champion}, refitted'}")
    return end_sentence(f"The challenger, this retrain's model, against {note or f'{champion} on rows that neither has seen'} ({rows})")


def _slide(evaluation: Evaluation) -> tuple[str, ...]:
    """Against the last version that was clearly better than the one before it: small losses, each within the margin, add up."""
    if (slide := evaluation.slide) is None:
        return ()
    settings = f"Against the settings of v{slide.version}, the last clear improvement, refitted ({say_number(slide.score, zeros=True)})"
    return (end_sentence(f"{settings}: {say_interval(slide.interval)}"),)


def _table(evaluation: Evaluation) -> Grid:
    names = sorted(evaluation.challenger, key=lambda name: name != evaluation.metric)
    if not evaluation.champion:
        rows: tuple[Row, ...] = tuple((_name(name, evaluation), _value(evaluation.challenger[name])) for name in names)
        return Grid(("Metric", "Challenger"), rows)
    compared = tuple(_compared(name, evaluation) for name in names)
    other = "Stand-in" if evaluation.compared_with == "stand-in" else "Champion"
    return Grid(("Metric", "Challenger", other, "Change", "Challenger is"), compared)


def _compared(name: str, evaluation: Evaluation) -> Row:
    now, before = evaluation.challenger[name], evaluation.champion.get(name)
    if before is None:
        return _name(name, evaluation), _value(now), _value(None), Cell(NOTHING, number=True), Cell("")
    tone = compare(name, now, before)
    word = {"good": "better", "bad": "worse"}.get(tone, "as good" if now == before else "")
    better, worse = tone == "good", tone == "bad"
    return (
        _name(name, evaluation),
        _value(now, strong=better),
        _value(before, strong=worse),
        Cell(say_difference(now - before), number=True),
        Cell(word, tone=tone),
    )


def _name(name: str, evaluation: Evaluation) -> Cell:
    metric = known_metric(name)
    direction = "" if metric is None else "more is better" if metric.greater_is_better else "less is better"
    return Cell(name, note=direction, strong=name == evaluation.metric)


def _value(value: float | None, strong: bool = False) -> Cell:
    return Cell(say_number(value, zeros=True), number=True, strong=strong)
