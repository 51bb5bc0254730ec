from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle

from tasks.errors import ConfigError, TrainingFailed
from tasks.evaluation import Rival, evaluate_model
from tasks.features import build_features
from tasks.gate import judge_candidate
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitted, Fitting, Native
from tasks.records import Columns, Evaluation, Floats, Split, Table, Target
from tasks.settings import FeatureSettings, GateSettings, LeakageSettings
from tasks.training import train_model

BINARY, SEVERAL = Target("sold", "binary", ("no", "yes")), Target("sold", "multiclass", ("a", "b", "c"))
METRIC = METRICS["log_loss"]
SPLIT = Split((), np.arange(100), np.arange(100, 160), "")


def table_for(target: Target) -> Table:
    random = np.random.default_rng(0)
    price = random.normal(size=160)
    edges = [0.0] if len(target.classes) == 2 else [-0.5, 0.5]
    sold = np.array(target.classes)[np.digitize(price + 0.3 * random.normal(size=160), edges)]
    return Table(pd.DataFrame({"price": price, "sold": sold}), Columns(target, {"price": "number"}), "digest", ())


def trained(target: Target) -> Fitted:
    table = table_for(target)
    model = parse_model({"family": "lightgbm", "hyperparameters": {"num_iterations": 5}})
    features = build_features.plain(table.columns, FeatureSettings(), model.encoding)
    return train_model(table, SPLIT.train, features, model, Fitting(target, METRIC, 0, 1))


def evaluate(
    rival: Any = None,
    target: Target = BINARY,
    kind: Any = "champion",
    fitted: Fitted | None = None,
    metrics: Any = (),
    table: Table | None = None,
    group: str | None = None,
    **gate: Any,
) -> Evaluation:
    chosen, settings = None if rival is None else Rival(kind, "champion v3 on rows that neither has seen", rival), GateSettings(**gate)
    return evaluate_model(fitted or trained(target), chosen, table or table_for(target), SPLIT, METRIC, metrics, settings, group)


def even(frame: pd.DataFrame) -> Floats:
    return np.full(len(frame), 0.5)


def answering(answers: Any) -> Fitted:
    """A challenger that gives these answers."""
    fitted = trained(BINARY)
    return Fitted(fitted.model, fitted.features, Native(answers, lambda folder: None), BINARY)


def test_without_a_rival_there_is_nobody_to_compare_with() -> None:
    found = evaluate()
    assert (found.compared_with, found.champion, found.note) == ("nobody", {}, "there is no champion to compare with")


def test_both_are_scored_on_the_same_test_rows() -> None:
    found = evaluate(lambda frame: np.full(len(frame), 0.4), metrics=("roc_auc", "log_loss"))
    truth = (table_for(BINARY).frame["sold"].iloc[SPLIT.test] == "yes").to_numpy(dtype=float)
    assert found.rows == 60
    assert found.truth.tolist() == truth.tolist()
    assert list(found.challenger) == list(found.champion) == ["log_loss", "roc_auc"]
    assert found.challenger["roc_auc"] == pytest.approx(oracle.roc_auc_score(truth, found.prediction))
    assert found.champion["log_loss"] == pytest.approx(oracle.log_loss(truth, np.full(60, 0.4)))
    assert found.note == "champion v3 on rows that neither has seen"
    assert found.champion_prediction is not None


def broken(frame: pd.DataFrame) -> Floats:
    raise OSError("model.txt is gone")


@pytest.mark.parametrize(
    ("rival", "words"),
    [
        (broken, "OSError: model.txt is gone"),
        (lambda frame: frame["gone"], "KeyError: 'gone'"),
        (lambda frame: np.full(len(frame), np.nan), "it predicts no finite number for 60 of 60 rows"),
        (lambda frame: np.where(np.arange(len(frame)) == 7, np.inf, 0.5), "it predicts no finite number for 1 of 60 rows"),
        (lambda frame: np.full((len(frame), 3), 1 / 3), "it answers in the shape (60, 3), the challenger in (60,)"),
        (lambda frame: np.full(10, 0.5), "it answers in the shape (10,), the challenger in (60,)"),
        (lambda frame: None, "could not be scored"),
        (lambda frame: ["yes"] * 60, "ValueError: could not convert string to float"),
        (lambda frame: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_champion_that_cannot_be_scored_becomes_a_note(rival: Any, words: str) -> None:
    found = evaluate(rival)
    assert found.champion == {}
    assert found.champion_prediction is None
    assert found.compared_with == "champion"
    assert found.note.startswith("the champion could not be scored: ")
    assert words in found.note
    assert np.isfinite(found.challenger["log_loss"])


def test_a_stand_in_that_cannot_be_scored_is_called_one() -> None:
    assert evaluate(broken, kind="stand-in").note.startswith("the champion's settings, refitted, could not be scored: OSError")


def test_a_champion_of_other_classes_does_not_pass_for_one_of_these() -> None:
    found = evaluate(lambda frame: np.full((len(frame), 4), 0.25), SEVERAL)
    assert "it answers in the shape (60, 4), the challenger in (60, 3)" in found.note


def test_what_interrupts_is_not_swallowed() -> None:
    def interrupted(frame: pd.DataFrame) -> Floats:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(interrupted)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda values: np.full(len(values), np.nan), "it predicts no finite number for 60 of 60 rows"),
        (lambda values: values["x"], "IndexError"),
        (lambda values: values[:, 5], "IndexError"),
    ],
)
def test_a_challenger_that_cannot_be_scored_has_failed(answers: Any, words: str) -> None:
    with pytest.raises(TrainingFailed, match="the challenger cannot be scored on the test rows: ") as raised:
        evaluate(fitted=answering(answers))
    assert words in str(raised.value)


def test_a_challenger_without_a_main_metric_has_failed() -> None:
    table = table_for(BINARY)
    table = Table(table.frame.assign(sold="yes"), table.columns, "digest", ())
    with pytest.raises(TrainingFailed, match="roc_auc is nan, not a finite number"):
        evaluate_model(trained(BINARY), None, table, SPLIT, METRICS["roc_auc"], (), GateSettings())


def test_the_difference_comes_with_how_sure_it_is() -> None:
    found = evaluate(even)
    assert found.interval is not None
    assert found.interval.difference == pytest.approx(found.challenger["log_loss"] - math.log(2))
    assert found.interval.low < found.interval.difference < found.interval.high
    assert found.interval.blocks == 20
    assert found.churn == pytest.approx(np.mean((found.prediction >= 0.5) != 1.0))


def test_a_rival_without_a_score_leaves_nothing_to_be_sure_of() -> None:
    for found in (evaluate(), evaluate(broken)):
        assert (found.interval, found.churn, found.slide) == (None, None, None)
        assert found.blocks is not None
        assert found.blocks.shape == (60,)


def test_a_model_that_answers_as_the_champion_does_is_promoted() -> None:
    fitted = trained(BINARY)
    found = evaluate(fitted.predict, fitted=fitted)
    assert found.interval is not None
    assert (found.interval.difference, found.interval.high, found.churn) == (0, 0, 0)
    for rule, answer in (("non_inferior", "promote"), ("superior", "keep")):
        settings = GateSettings(rule=rule, margin=0)  # type: ignore[arg-type]
        assert judge_candidate(found, settings, (), LeakageSettings(), None).answer == answer


def dated(days: int) -> Table:
    """The test rows in time order over so many days, the training rows before them."""
    table = table_for(BINARY)
    when = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.maximum(np.arange(160) - 100, -1) * days // 60, unit="D")
    return replace(table, frame=table.frame.assign(when=when), columns=replace(table.columns, time="when"))


@pytest.mark.parametrize(("days", "sure"), [(1, False), (4, False), (5, True), (7, True), (12, True)])
def test_days_are_the_blocks_and_a_few_of_them_say_nothing(days: int, sure: bool) -> None:
    found = evaluate(even, table=dated(days))
    assert found.blocks is not None
    assert found.blocks.tolist() == (np.arange(60) * days // 60).tolist()
    assert found.interval is not None
    assert math.isfinite(found.interval.high) == sure


def test_a_query_that_spans_two_days_is_one_block() -> None:
    table = dated(3)
    table = replace(table, frame=table.frame.assign(search=np.arange(160) // 8), columns=replace(table.columns, query="search"))
    found = evaluate(even, table=table)
    assert found.blocks is not None
    assert (pd.Series(found.blocks).groupby(table.frame["search"].iloc[SPLIT.test].to_numpy()).nunique() == 1).all()


@pytest.mark.parametrize("groups", [3, 12, 70])
def test_without_time_the_groups_of_the_split_are_the_blocks(groups: int) -> None:
    table = table_for(BINARY)
    customer = np.random.default_rng(0).permutation(np.arange(160) % groups)
    table = replace(table, frame=table.frame.assign(customer=pd.Series(customer, dtype="Int64").mask(customer == 1)))
    found = evaluate(even, table=table, group="customer")
    assert found.blocks is not None
    assert (pd.Series(found.blocks).groupby(customer[SPLIT.test]).nunique() == 1).all()
    assert found.blocks.max() + 1 == min(groups, len(np.unique(customer[SPLIT.test])), 60)
    assert found.interval is not None
    assert math.isnan(found.interval.high) == (groups == 3)


def test_slices_are_scored_with_and_without_a_rival() -> None:
    table = table_for(BINARY)
    table = replace(table, frame=table.frame.assign(shop=np.where(np.arange(160) % 3, "north", "south")))
    found = evaluate(even, table=table, slices=["shop"], slice_min_rows=30)
    assert [(one.value, one.rows, one.interval is not None) for one in found.slices] == [("north", 40, True), ("south", 20, False)]
    assert all(one.champion is None for one in evaluate(table=table, slices=["shop"]).slices)


def test_a_slice_of_an_unknown_column_names_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"gate\.slices: the table has no column 'prise'; did you mean price\?"):
        evaluate(slices=["prise"])


def test_golden_rows_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "golden.csv"
    path.write_text("price,sold\n3.0,yes\n-3.0,yes\n")
    assert [row.passed for row in evaluate(golden=path).golden] == [True, False]
    assert evaluate().golden == ()


def test_what_it_costs_to_answer_is_measured_where_it_counts() -> None:
    assert evaluate().cost is None
    cost = evaluate(max_megabytes=1.0).cost
    assert cost is not None
    assert cost.one_row_ms > 0
    assert 0 < cost.megabytes < 1
