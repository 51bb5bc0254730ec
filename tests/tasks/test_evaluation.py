from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle

from tasks.errors import TrainingFailed
from tasks.evaluation import Rival, evaluate_model
from tasks.features import build_features
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitted, Fitting, Native
from tasks.records import Columns, Evaluation, Floats, Split, Table, Target
from tasks.settings import FeatureSettings
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
    rival: Any = None, target: Target = BINARY, kind: Any = "champion", fitted: Fitted | None = None, metrics: Any = ()
) -> Evaluation:
    chosen = None if rival is None else Rival(kind, "champion v3 on rows that neither has seen", rival)
    return evaluate_model(fitted or trained(target), chosen, table_for(target), SPLIT, METRIC, metrics)


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
        evaluate_model(trained(BINARY), None, table, SPLIT, METRICS["roc_auc"], ())
