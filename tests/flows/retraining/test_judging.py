from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from configs.schema import RetrainConfig
from flows.retraining.judging import explain, find_rival, measure_slide
from tasks.comparisons.intervals import paired_interval
from tasks.metrics import METRICS
from tasks.models.recipes import Recipe
from tasks.records import Champion, Evaluation, Floats, Interval, Slide
from tasks.registry.versions import ITSELF, next_anchor
from tasks.stage import timed
from tests.moving import FITTING, STRONG, WEAK, champion, cut, evaluated, fit, recipe, rows_of_days, shop

TABLE, SPLIT = shop(), cut()
FRAME = TABLE.frame.iloc[SPLIT.test]
TRUTH = (FRAME["sold"] == "yes").to_numpy()


def config(**gate: Any) -> RetrainConfig:
    source = {"kind": "csv", "path": "shop.csv"}
    return RetrainConfig.model_validate({"name": "shop", "source": source, "target": "sold", "time": "time", "gate": gate})


def predicted(chosen: Recipe, rows: Any = SPLIT.train) -> Floats:
    return fit(TABLE, chosen, rows).predict(FRAME)


def scored(challenger: Recipe = STRONG, rival: Recipe | None = WEAK, kind: str = "champion") -> Evaluation:
    rows = SPLIT.train if kind == "stand-in" else rows_of_days(0, 20)
    return evaluated(TABLE, SPLIT, predicted(challenger), None if rival is None else predicted(rival, rows), kind)


def test_without_a_champion_there_is_no_rival() -> None:
    assert find_rival(None, TABLE, SPLIT, FITTING) is None


def test_a_champion_that_saw_no_test_row_is_the_rival_itself_and_loaded_only_when_asked() -> None:
    found = find_rival(champion(), TABLE, SPLIT, FITTING)
    assert found is not None
    assert (found.kind, found.note) == ("champion", "champion v3 on rows that neither has seen")


def test_the_settings_of_a_champion_that_saw_test_rows_stand_in_for_it() -> None:
    with timed() as timing:
        found = find_rival(champion(), TABLE, cut(unseen=False), FITTING)
    assert found is not None
    assert found.kind == "stand-in"
    assert found.note.startswith("champion v3 has seen rows of the test window: its settings, refitted")
    assert found.predict(FRAME).tolist() == predicted(WEAK).tolist()
    assert list(timing.seconds) == ["stand-in"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model": {"family": "forest"}},
        {"model": {"family": "lightgbm", "hyperparameters": {"no_such_parameter": 1}}},
        {"model": {"family": "lightgbm", "hyperparameters": {"num_leaves": -1}}},
        {"model": {"family": "lightgbm"}, "features": {"no_such_key": 1}},
        {"model": {"family": "lightgbm"}, "features": {"optional": {"gone": ["colour"]}}},
        {"model": {"family": "lightgbm"}, "weights": {"column": "gone"}},
    ],
)
def test_settings_that_train_no_more_fail_where_that_becomes_a_note(settings: dict[str, Any]) -> None:
    broken = replace(champion(), settings=settings)
    found = find_rival(broken, TABLE, cut(unseen=False), FITTING)
    assert found is not None
    assert found.kind == "stand-in"
    with pytest.raises(Exception, match=r"\w") as raised:
        found.predict(FRAME)
    assert type(raised.value).__module__ == "tasks.errors"


def slide(current: Champion | None, anchor: Champion | None, evaluation: Evaluation | None = None, **gate: Any) -> Slide | None:
    return measure_slide(current, anchor, evaluation or scored(), TABLE, SPLIT, config(**gate), FITTING)


def test_a_slide_is_measured_against_the_anchors_settings_on_the_challengers_rows() -> None:
    evaluation = scored(challenger=WEAK)
    found = slide(champion("5", settings=WEAK), champion("2", settings=STRONG), evaluation)
    theirs = predicted(STRONG)
    assert found is not None
    assert found.version == "2"
    assert found.score == pytest.approx(log_loss(TRUTH, theirs))
    assert evaluation.blocks is not None
    assert found.interval == paired_interval(evaluation.truth, predicted(WEAK), theirs, METRICS["log_loss"], evaluation.blocks, 0.95)


def test_many_small_losses_are_seen_from_the_anchor_though_none_is_seen_from_the_champion() -> None:
    """Each version learns a little less than the one before it; all but the first keep the first as their anchor."""
    recipes = [recipe(rounds) for rounds in (40, 30, 22, 16, 12)]
    current, anchor, steps = champion("1", settings=recipes[0], anchor="1"), champion("1", settings=recipes[0]), []
    for number, (before, now) in enumerate(itertools.pairwise(recipes), start=2):
        evaluation = scored(now, before, "stand-in")
        assert evaluation.blocks is not None
        last = paired_interval(
            evaluation.truth, evaluation.prediction, predicted(before), METRICS["log_loss"], evaluation.blocks, config().gate.confidence
        )
        steps.append(last.difference)
        found = slide(current, anchor, replace(evaluation, interval=last))
        current = champion(str(number), settings=now, anchor=next_anchor(last, current))
    assert current.anchor == "1"
    assert found is not None
    assert found.interval.low > 0
    assert found.interval.difference == pytest.approx(sum(steps))
    assert found.interval.difference > 2.5 * steps[-1]


def test_the_gates_confidence_is_the_slides() -> None:
    wide, narrow = (slide(champion("5"), champion("2", settings=STRONG), scored(WEAK), confidence=share) for share in (0.99, 0.6))
    assert wide is not None
    assert narrow is not None
    assert wide.interval.high > narrow.interval.high


@pytest.mark.parametrize(
    ("current", "anchor", "gate"),
    [
        (None, None, {}),
        (champion("5"), None, {}),
        (champion("5"), champion("5"), {}),
        (champion("5", settings=STRONG), champion("2", settings=STRONG), {}),
        (champion("5"), champion("2", settings=STRONG), {"slide": False}),
    ],
)
def test_nothing_slides_where_there_is_nothing_to_slide_from(current: Any, anchor: Any, gate: dict[str, Any]) -> None:
    with timed() as timing:
        assert slide(current, anchor, **gate) is None
    assert timing.seconds == {}


def test_an_anchor_that_trains_no_more_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(champion("2"), settings={"model": {"family": "forest"}})
    with caplog.at_level(logging.WARNING, "evertune"):
        assert slide(champion("5"), broken) is None
    assert "a slow slide since v2 cannot be ruled out: TrainingFailed" in caplog.text


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 0.01, 0.95, 20)


@pytest.mark.parametrize(
    ("current", "found", "expected"),
    [
        (None, None, ITSELF),
        (champion("6", anchor="4"), interval(-0.03, -0.01), ITSELF),
        (champion("6", anchor="4"), interval(-0.03, 0.01), "4"),
        (champion("6", anchor="4"), interval(0.01, 0.02), "4"),
        (champion("6", anchor="4"), interval(-0.02, float("nan")), "4"),
        (champion("6", anchor="4"), None, "4"),
        (champion("6", anchor="6"), interval(-0.03, 0.01), "6"),
        (champion("6"), interval(-0.03, 0.01), "6"),
    ],
)
def test_the_anchor_moves_only_to_a_clearly_better_version(current: Any, found: Any, expected: str) -> None:
    assert next_anchor(found, current) == expected


def test_why_the_score_moved_is_told_by_fits_of_both_settings_on_both_data() -> None:
    with timed() as timing:
        found = explain(champion(), scored(), TABLE, SPLIT, STRONG, config(), FITTING)
    assert found is not None
    assert found.old_settings_new_data == pytest.approx(log_loss(TRUTH, predicted(WEAK)))
    assert found.new_settings_old_data == pytest.approx(log_loss(TRUTH, predicted(STRONG, rows_of_days(0, 20))))
    assert list(timing.seconds) == ["explain"]


@pytest.mark.parametrize(
    ("current", "evaluation", "gate", "words"),
    [
        (None, scored(rival=None), {}, "there is no champion to compare with"),
        (champion(), scored(rival=None), {}, "the champion could not be scored"),
        (champion(), scored(), {"explain": False}, "gate.explain is off"),
        (champion(through_day=45, settings=STRONG), scored(), {}, "settings and training rows are those of champion v3"),
        (replace(champion(), settings={"model": {"family": "forest"}}), scored(), {}, "no longer valid"),
        (replace(champion(), settings={}), scored(), {}, "the settings of v3 are valid no more: KeyError: 'model'"),
    ],
)
def test_what_cannot_be_told_is_skipped_with_a_reason(
    current: Any, evaluation: Evaluation, gate: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "evertune"), timed() as timing:
        assert explain(current, evaluation, TABLE, SPLIT, STRONG, config(**gate), FITTING) is None
    assert "explain skipped: " in caplog.text
    assert words in caplog.text
    assert timing.seconds == {}


def test_an_explanation_that_fails_costs_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    old = recipe(leaves=-1)  # LightGBM itself refuses it, once it is asked to fit
    with caplog.at_level(logging.WARNING, "evertune"):
        assert explain(champion(settings=old), scored(), TABLE, SPLIT, STRONG, config(), FITTING) is None
    assert "why the score moved could not be told: TrainingFailed" in caplog.text


def test_no_refit_learns_from_a_test_row() -> None:
    """With the test rows' answers turned around, every refit still says the same."""
    turned = TABLE.frame.copy()
    turned.loc[SPLIT.test, "sold"] = np.where(TRUTH, "no", "yes")
    found = [find_rival(champion(), replace(TABLE, frame=frame), cut(unseen=False), FITTING) for frame in (TABLE.frame, turned)]
    answers = [rival.predict(FRAME).tolist() for rival in found if rival is not None]
    assert answers[0] == answers[1]
