from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from tasks.errors import TrainingFailed
from tasks.explaining import Change, explain_change, find_change, nothing_to_explain
from tasks.metrics import METRICS
from tasks.models.recipes import Recipe
from tasks.records import Attribution, Columns, Floats, Rows, Split, Table, Target
from tests.moving import A_DAY, DAYS, START, STRONG, WEAK, champion, cut, evaluated, fit, rows_of_days, shop

TABLE = shop()
METRIC = METRICS["log_loss"]


class Fits:
    """Real fits, and which were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Recipe, Rows]] = []

    def __call__(self, recipe: Recipe, rows: Rows) -> Callable[[Any], Floats]:
        self.asked.append((recipe, rows))
        return fit(TABLE, recipe, rows).predict


def predicted(recipe: Recipe, rows: Rows, split: Split) -> Floats:
    return fit(TABLE, recipe, rows).predict(TABLE.frame.iloc[split.test])


def explain(change: Change, split: Split, kind: str = "champion") -> tuple[Attribution | None, Fits]:
    """With the champion itself, trained on the old rows, or with its settings on the new ones as stand-in."""
    rival = predicted(change.old, change.old_rows if kind == "champion" else change.new_rows, split)
    evaluation = evaluated(TABLE, split, predicted(change.new, change.new_rows, split), rival, kind)
    fits = Fits()
    return explain_change(change, TABLE, split, evaluation, METRIC, fits), fits


@pytest.mark.parametrize("kind", ["champion", "stand-in"])
def test_the_four_models_are_fitted_and_scored_on_the_test_rows(kind: str) -> None:
    split, old_rows = cut(unseen=kind == "champion"), rows_of_days(0, 20)
    found, fits = explain(Change(WEAK, STRONG, old_rows, split.train), split, kind)
    truth = TABLE.frame["sold"].iloc[split.test] == "yes"
    losses = {
        (settings, data): log_loss(truth, predicted(recipe, rows, split))
        for settings, recipe in (("old", WEAK), ("new", STRONG))
        for data, rows in (("old", old_rows), ("new", split.train))
    }
    assert found is not None
    assert found.old_settings_old_data == pytest.approx(losses["old", "old"])
    assert found.old_settings_new_data == pytest.approx(losses["old", "new"])
    assert found.new_settings_old_data == pytest.approx(losses["new", "old"])
    assert found.new_settings_new_data == pytest.approx(losses["new", "new"])
    assert found.data + found.settings == pytest.approx(losses["new", "new"] - losses["old", "old"])
    assert len(fits.asked) == 2


def test_rows_that_teach_how_customers_have_changed_are_worth_more_than_noise() -> None:
    split = cut()
    found, _ = explain(Change(WEAK, STRONG, rows_of_days(0, 20), split.train), split)
    assert found is not None
    assert found.data < -2 * found.noise
    assert 0 < found.noise < math.inf


def test_models_that_are_there_already_are_not_fitted_again() -> None:
    split, old_rows = cut(), rows_of_days(0, 20)
    change = Change(WEAK, STRONG, old_rows, split.train)
    for kind, left in (("champion", (WEAK, split.train)), ("stand-in", (WEAK, old_rows))):
        _, fits = explain(change, split, kind)
        assert [recipe for recipe, _ in fits.asked] == [left[0], STRONG]
        assert [len(rows) for _, rows in fits.asked] == [len(left[1]), len(old_rows)]
        assert not any(np.isin(rows, split.test).any() for _, rows in fits.asked)


@pytest.mark.parametrize(("kind", "fits_needed"), [("champion", 0), ("stand-in", 1)])
def test_the_same_settings_have_no_effect(kind: str, fits_needed: int) -> None:
    split = cut()
    found, fits = explain(Change(WEAK, WEAK, rows_of_days(0, 20), split.train), split, kind)
    assert found is not None
    assert found.settings == pytest.approx(0, abs=1e-12)
    assert found.data < 0
    assert len(fits.asked) == fits_needed


@pytest.mark.parametrize("kind", ["champion", "stand-in"])
def test_the_same_data_have_no_effect(kind: str) -> None:
    split = cut()
    found, fits = explain(Change(WEAK, STRONG, split.train, split.train), split, kind)
    assert found is not None
    assert found.data == 0
    assert found.settings < 0
    assert fits.asked == []


@pytest.mark.parametrize("fault", [TrainingFailed("training lightgbm failed"), ValueError("a column is gone"), MemoryError()])
def test_a_fit_that_fails_costs_the_explanation_not_the_run(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    split = cut()
    prediction = np.full(len(split.test), 0.5)

    def failing(recipe: Recipe, rows: Rows) -> Callable[[Any], Floats]:
        raise fault

    change = Change(WEAK, STRONG, rows_of_days(0, 20), split.train)
    with caplog.at_level(logging.WARNING, "evertune"):
        assert explain_change(change, TABLE, split, evaluated(TABLE, split, prediction, prediction), METRIC, failing) is None
    assert "why the score moved could not be told" in caplog.text
    assert str(fault) in caplog.text


def test_what_interrupts_is_not_swallowed() -> None:
    split = cut()
    prediction = np.full(len(split.test), 0.5)

    def interrupted(recipe: Recipe, rows: Rows) -> Callable[[Any], Floats]:
        raise KeyboardInterrupt

    change = Change(WEAK, STRONG, rows_of_days(0, 20), split.train)
    with pytest.raises(KeyboardInterrupt):
        explain_change(change, TABLE, split, evaluated(TABLE, split, prediction, prediction), METRIC, interrupted)


def test_old_rows_are_those_the_champion_was_trained_on() -> None:
    change = find_change(champion(through_day=20), WEAK, STRONG, TABLE, cut(), None)
    assert change.old_rows.tolist() == rows_of_days(0, 20).tolist()
    assert change.new_rows.tolist() == cut().train.tolist()
    assert not change.same_data
    assert not change.same_settings


def test_old_rows_go_back_as_far_as_a_training_window_did() -> None:
    change = find_change(champion(through_day=20), WEAK, STRONG, TABLE, cut(), timedelta(days=5))
    assert change.old_rows.tolist() == rows_of_days(15, 20).tolist()


def test_a_champion_of_the_gap_keeps_its_rows_and_a_stand_in_has_none_of_them() -> None:
    """45 days are before the test window; nobody may be trained on the last 5 of them, but an older champion was."""
    through = champion(through_day=43)
    assert find_change(through, WEAK, STRONG, TABLE, cut(gap=5), None).old_rows.tolist() == rows_of_days(0, 43).tolist()
    stood_in = find_change(through, WEAK, STRONG, TABLE, cut(unseen=False, gap=5), None)
    assert stood_in.old_rows.tolist() == rows_of_days(0, 40).tolist()
    assert stood_in.same_data


def test_a_champion_that_saw_test_rows_has_no_row_of_its_own() -> None:
    change = find_change(champion(through_day=55), WEAK, WEAK, TABLE, cut(unseen=False), None)
    assert change.same_data
    assert change.same_settings


@pytest.mark.parametrize("through_day", [1, 33, 45, 50, 60])
@pytest.mark.parametrize("unseen", [True, False])
def test_no_test_row_is_ever_an_old_one(through_day: int, unseen: bool) -> None:
    split = cut(unseen, gap=2)
    old_rows = find_change(champion(through_day=through_day), WEAK, STRONG, TABLE, split, timedelta(days=30)).old_rows
    assert len(old_rows)
    assert not np.isin(old_rows, split.test).any()


def test_a_query_is_old_as_of_its_first_row() -> None:
    frame = TABLE.frame.assign(search=np.arange(DAYS * A_DAY) // 30)  # a day and a half each
    ranked = Table(frame, Columns(Target("sold", "ranking"), {"price": "number"}, "time", query="search"), "digest", ())
    old_rows = find_change(champion(through_day=10), WEAK, STRONG, ranked, cut(), None).old_rows
    first = frame.groupby("search")["time"].transform("min")
    assert old_rows.tolist() == np.flatnonzero(first < pd.Timestamp(START) + timedelta(days=10)).tolist()
    assert len(old_rows) == 7 * 30  # the seventh search begins on the tenth day and ends on the eleventh


def test_there_is_nothing_to_explain_without_a_champion_a_score_or_time() -> None:
    split = cut()
    half = np.full(len(split.test), 0.5)
    scored, untimed = evaluated(TABLE, split, half, half), replace(TABLE, columns=replace(TABLE.columns, time=None))
    assert nothing_to_explain(champion(), TABLE, scored) == ""
    assert nothing_to_explain(None, TABLE, scored) == "there is no champion to compare with"
    assert nothing_to_explain(champion(), TABLE, evaluated(TABLE, split, half, None)) == "the champion could not be scored"
    assert nothing_to_explain(champion(), untimed, scored) == "without a time column nobody can tell old rows from new ones"
    timeless = nothing_to_explain(champion(trained_through=None), TABLE, scored)
    assert timeless == "champion v3 does not say through when it was trained"
