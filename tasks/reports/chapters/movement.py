"""Chapter: why the score moved, by new data or by new settings."""

from __future__ import annotations

from tasks.records import Attribution, Story
from tasks.reports.chapters.page import Cell, Chapter, Grid
from tasks.reports.dimensions import known_metric
from tasks.wording import say_difference, say_number

PLOTS = ("attribution",)
BETTER, WORSE = "better", "worse"


def tell_movement(story: Story) -> Chapter | None:
    """What each would have done alone, all on the same test rows; nothing where it was not asked, or could not be told."""
    found, evaluation = story.attribution, story.evaluation
    if found is None or evaluation is None:
        return None
    metric = known_metric(evaluation.metric)
    sign = -1.0 if metric is not None and metric.greater_is_better else 1.0
    parts = (f"data {_say(found.data, sign)}", f"settings {_say(found.settings, sign)}", f"noise {say_number(found.noise, digits=2)}")
    sentences = tuple(filter(None, (f"{evaluation.metric}: {', '.join(parts)}.", _judge(found))))
    return Chapter("Why the score moved", sentences, grids=(_table(found, sign, evaluation.metric),), plots=PLOTS)


def _say(effect: float, sign: float) -> str:
    """`+0.004 (worse)`: the figure in the metric's own direction, the word in the reader's."""
    if not effect:
        return "0"
    return f"{say_difference(sign * effect)} ({WORSE if effect > 0 else BETTER})"


def _judge(found: Attribution) -> str:
    """Which of both is more than noise; the noise is one standard error of the whole."""
    if not found.noise >= 0:
        return "These rows do not tell how much of it is noise."
    effects = {"new data": found.data, "new settings": found.settings}
    clear = [name for name, effect in effects.items() if abs(effect) > 2 * found.noise]
    open_still = [name for name, effect in effects.items() if effect and name not in clear]
    sentences = [f"What {' and '.join(clear)} did is more than twice the noise."] if clear else []
    sentences += [f"What {' and '.join(open_still)} did is less than twice the noise, and may be chance."] if open_still else []
    return " ".join(sentences)


def _table(found: Attribution, sign: float, name: str) -> Grid:
    """Old and new settings, each trained on old and on new data."""
    scores = (
        ("old settings", found.old_settings_old_data, found.old_settings_new_data),
        ("new settings", found.new_settings_old_data, found.new_settings_new_data),
    )
    rows = tuple((Cell(what), *(Cell(say_number(sign * loss, zeros=True), number=True) for loss in losses)) for what, *losses in scores)
    return Grid((name, "Trained on old data", "Trained on new data"), rows)
