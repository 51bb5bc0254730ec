from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.comparisons.golden import NOT_A_NUMBER, ask_golden
from tasks.errors import ConfigError, TrainingFailed
from tasks.features import build_features
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitted, Fitting, Native
from tasks.records import Columns, GoldenRow, Table, Target
from tasks.settings import FeatureSettings, GateSettings
from tasks.training import train_model

YES, TRUE, ONE = Target("sold", "binary", ("no", "yes")), Target("sold", "binary", (False, True)), Target("sold", "binary", (0, 1))
SEVERAL, NUMBER = Target("sold", "multiclass", ("a", "b", "c")), Target("sold", "regression")


def fit(target: Target) -> Fitted:
    """A model that has learned: high prices in the north mean the last class, or a number of 10 times the price."""
    random = np.random.default_rng(0)
    price, shop = random.uniform(-1, 1, 600), random.choice(["north", "south"], 600)
    signal = price + np.where(shop == "north", 0.2, -0.2)
    sold: Any = 10 * signal
    if target.classes:
        edges = [0.0] if len(target.classes) == 2 else [-0.4, 0.4]
        sold = np.array(target.classes)[np.digitize(signal, edges)]
    frame = pd.DataFrame({"price": price, "shop": shop, "sold": sold})
    table = Table(frame, Columns(target, {"price": "number", "shop": "category"}), "digest", ())
    model = parse_model({"family": "lightgbm", "hyperparameters": {"num_iterations": 60, "min_data_in_leaf": 5}})
    metric = METRICS["log_loss" if target.classes else "rmse"]
    features = build_features.plain(table.columns, FeatureSettings(), model.reads)
    return train_model(table, np.arange(600), features, model, Fitting(target, metric, 0, 1))


def ask(target: Target, path: Path, tolerance: float = 0.0) -> tuple[GoldenRow, ...]:
    return ask_golden(fit(target), GateSettings(golden=path, golden_tolerance=tolerance))


def write(folder: Path, text: str, name: str = "golden.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, target: Target = YES) -> str:
    with pytest.raises(ConfigError) as raised:
        ask(target, path)
    return str(raised.value)


def test_no_file_no_rows() -> None:
    assert ask_golden(fit(YES), GateSettings()) == ()


def test_each_row_is_asked_and_counted_from_one(tmp_path: Path) -> None:
    path = write(tmp_path, "shop,sold,price,why\nnorth,yes,0.9,dear\nsouth,no,-0.9,cheap\nsouth,yes,-0.9,wrong\n")
    assert ask(YES, path) == (
        GoldenRow(1, "yes", "yes", True),
        GoldenRow(2, "no", "no", True),
        GoldenRow(3, "yes", "no", False),
    )


@pytest.mark.parametrize(
    ("target", "answers", "said"),
    [
        (TRUE, ("True", "False"), ("True", "False")),
        (TRUE, ("true", "FALSE"), ("True", "False")),
        (ONE, ("1", "0"), ("1", "0")),
        (ONE, ("1.0", "0.0"), ("1", "0")),
        (SEVERAL, ("c", "a"), ("c", "a")),
    ],
)
def test_classes_are_read_in_whatever_way_a_csv_file_writes_them(
    target: Target, answers: tuple[str, str], said: tuple[str, str], tmp_path: Path
) -> None:
    found = ask(target, write(tmp_path, f"price,shop,sold\n0.9,north,{answers[0]}\n-0.9,south,{answers[1]}\n"))
    assert [(row.expected, row.answered, row.passed) for row in found] == [(said[0], said[0], True), (said[1], said[1], True)]


def test_a_parquet_file_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"price": [0.9, -0.9], "shop": ["north", "south"], "sold": pd.array([True, False], dtype="boolean")})
    frame.to_parquet(tmp_path / "golden.parquet")
    assert all(row.passed for row in ask(TRUE, tmp_path / "golden.parquet"))


def test_a_compressed_file_is_read_too(tmp_path: Path) -> None:
    pd.DataFrame({"price": [0.9], "shop": ["north"], "sold": ["yes"]}).to_csv(tmp_path / "golden.csv.gz", index=False)
    assert ask(YES, tmp_path / "golden.csv.gz")[0].passed


def test_missing_and_unseen_values_are_asked_like_any_other(tmp_path: Path) -> None:
    found = ask(YES, write(tmp_path, "price,shop,sold\n0.9,,yes\n-0.9,east,no\n"))
    assert all(row.passed for row in found)


def test_a_number_passes_within_the_tolerance_and_not_beyond(tmp_path: Path) -> None:
    path = write(tmp_path, "price,shop,sold\n0.5,north,7\n0.5,north,9\n")
    said = float(fit(NUMBER).predict(pd.DataFrame({"price": [0.5], "shop": ["north"]}))[0])
    assert abs(said - 7) < 1
    close, far = ask(NUMBER, path, tolerance=1.0)
    assert (close.passed, far.passed) == (True, False)
    assert float(close.answered) == said
    assert (close.expected, far.expected) == ("7", "9")
    tight = ask(NUMBER, path, tolerance=abs(said - 7) * 0.99)
    assert not tight[0].passed


def test_a_tolerance_lets_no_class_through(tmp_path: Path) -> None:
    found = ask(ONE, write(tmp_path, "price,shop,sold\n0.9,north,0\n"), tolerance=5.0)
    assert (found[0].expected, found[0].answered, found[0].passed) == ("0", "1", False)


def test_a_prediction_that_is_no_number_is_wrong(tmp_path: Path) -> None:
    whole = fit(YES)
    broken = Fitted(whole.model, whole.features, Native(lambda values: np.array([np.nan, 0.1]), whole.native.save), YES)
    path = write(tmp_path, "price,shop,sold\n-0.9,south,no\n-0.9,south,no\n")
    found = ask_golden(broken, GateSettings(golden=path))
    assert [(row.answered, row.passed) for row in found] == [(NOT_A_NUMBER, False), ("no", True)]


def test_a_challenger_that_cannot_answer_has_failed(tmp_path: Path) -> None:
    whole = fit(YES)
    broken = Fitted(whole.model, whole.features, Native(lambda values: values[:, 9], whole.native.save), YES)
    with pytest.raises(TrainingFailed, match="the challenger cannot answer the golden rows: IndexError"):
        ask_golden(broken, GateSettings(golden=write(tmp_path, "price,shop,sold\n0.1,north,no\n")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("price,shop,sold\n", "holds no rows"),
        ("", "is not a readable CSV or Parquet file"),
        ("price,shop\n1,north\n", "lacks sold, which the model or its target needs"),
        ("prise,sold\n1,yes\n", "lacks price, shop, which the model or its target needs; did you mean prise?"),
        ("price,shop,sold\n1,north,yes\n1,north,\n", "has no answer (sold) in 1 row: 2"),
        ("price,shop,sold\n1,north,yes\n1,north,perhaps\n", "row 2 of {path} expects sold to be 'perhaps'; it must be one of no, yes"),
        ("price,shop,sold\n1,north,Yes\n", "row 1 of {path} expects sold to be 'Yes'; it must be one of no, yes"),
        ("price,shop,sold\n1,north,yes,more\n", "is not a readable CSV or Parquet file"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_to_be_so(text: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith("gate.golden: ")
    assert words.format(path=path) in message
    assert str(path) in message


def test_a_number_is_wanted_where_numbers_are_predicted(tmp_path: Path) -> None:
    path = write(tmp_path, "price,shop,sold\n1,north,much\n")
    assert "row 1" in refusal(path, NUMBER)
    assert "it must be a number" in refusal(path, NUMBER)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.csv") == f"gate.golden: there is no file {tmp_path / 'gone.csv'}; check the path"


def test_a_folder_and_a_pipe_are_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv"):
        assert "must be a CSV or Parquet file, not a folder, a pipe or a device" in refusal(path)


@pytest.mark.parametrize("name", ["golden.parquet", "golden.csv.gz", "golden.csv.xz", "golden.csv.bz2"])
def test_a_file_that_is_not_what_its_name_says_is_refused(name: str, tmp_path: Path) -> None:
    assert "is not a readable CSV or Parquet file" in refusal(write(tmp_path, "price,shop,sold\n1,north,yes\n", name))


def test_a_ranking_has_no_golden_rows(tmp_path: Path) -> None:
    whole = fit(NUMBER)
    ranking = Fitted(whole.model, whole.features, whole.native, Target("sold", "ranking"))
    with pytest.raises(ConfigError, match=r"gate\.golden: a ranking's scores mean nothing by themselves"):
        ask_golden(ranking, GateSettings(golden=write(tmp_path, "price,shop,sold\n1,north,2\n")))
