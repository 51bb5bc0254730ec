from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from tasks.checks.crossings import WHOLE_ROWS, find_crossings
from tasks.records import Columns, Split, Suspect, Table, Target
from tasks.settings import LeakageSettings

ROWS = 2000
SPLIT = Split((), np.arange(1500), np.arange(1500, ROWS), "")
BINARY = Target("y", "binary", (0, 1))


def table(frame: pd.DataFrame, target: Target = BINARY, key: tuple[str, ...] = ("id",), time: str | None = None) -> Table:
    features = {
        name: "number" if pd.api.types.is_numeric_dtype(frame[name].dtype) else "category"
        for name in frame
        if name not in (target.column, *key, time)
    }
    return Table(frame, Columns(target, features, time, key), "digest", ())  # type: ignore[arg-type]


def rich(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Two numbers and a category: no row is like another."""
    random = np.random.default_rng(seed)
    values = {
        "size": random.normal(size=rows),
        "price": random.normal(size=rows).round(3),
        "shop": np.array(["a", "b", None])[random.integers(0, 3, rows)],
    }
    return pd.DataFrame({**values, "y": random.integers(0, 2, rows), "id": np.arange(rows)})


def with_copies(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """The last rows are the first ones over again, under keys of their own."""
    copies = frame.head(count).assign(id=frame["id"].tail(count).to_numpy())
    return pd.concat([frame.head(len(frame) - count), copies], ignore_index=True)


def cross(known: Table, split: Split = SPLIT, **settings: Any) -> tuple[Suspect, ...]:
    return find_crossings(known, split, LeakageSettings(**settings))


def test_rows_that_were_entered_twice_are_found_on_both_sides() -> None:
    (suspect,) = cross(table(with_copies(rich(), 200)))
    assert suspect.column == WHOLE_ROWS
    assert suspect.score == 0.4
    assert suspect.reason.startswith("40 % of the test rows are copies of training rows, in every feature and y: drop the duplicates")


def test_one_row_copied_over_and_over_before_the_export_is_found_too() -> None:
    """The rare class was made frequent by copying it: each of its rows is there about twenty times."""
    random, frame = np.random.default_rng(1), rich(300)
    rare = frame.head(60).sample(ROWS - 300, replace=True, random_state=0)
    grown = pd.concat([frame, rare]).assign(id=np.arange(ROWS)).iloc[random.permutation(ROWS)].reset_index(drop=True)
    assert [suspect.column for suspect in cross(table(grown))] == [WHOLE_ROWS]


def test_a_few_copies_are_no_reason_to_stop() -> None:
    assert cross(table(with_copies(rich(), 20))) == ()


def test_features_without_the_label_are_no_copies() -> None:
    frame = with_copies(rich(), 200)
    frame.loc[ROWS - 200 :, "y"] = np.random.default_rng(1).integers(0, 2, 200)
    assert cross(table(frame)) == ()


@pytest.mark.parametrize("levels", [2, 4, 8])
def test_in_a_table_of_a_few_categories_rows_have_their_equals_and_nothing_is_wrong(levels: int) -> None:
    random = np.random.default_rng(levels)
    frame = pd.DataFrame({f"x{number}": random.integers(0, levels, ROWS).astype(str) for number in range(4)})
    frame = frame.assign(y=(frame["x0"] == "1").astype(int), id=np.arange(ROWS))
    assert cross(table(frame)) == ()


def test_a_machine_that_stood_still_is_one_content_however_often_it_was_written_down() -> None:
    frame = rich()
    frame.loc[frame.index % 3 == 0, ["size", "price", "y"]] = 0
    frame.loc[frame.index % 3 == 0, "shop"] = "a"
    assert cross(table(frame)) == ()


@pytest.mark.parametrize(("data", "task"), [("digits", "multiclass"), ("diabetes", "regression"), ("iris", "multiclass")])
def test_real_tables_hold_no_copies(data: str, task: Any) -> None:
    frame = getattr(sklearn.datasets, f"load_{data}")(as_frame=True).frame.assign(id=lambda rows: np.arange(len(rows)))
    classes = () if task == "regression" else tuple(sorted(frame["target"].unique()))
    order = np.random.default_rng(0).permutation(len(frame))
    split = Split((), np.sort(order[len(order) // 4 :]), np.sort(order[: len(order) // 4]), "")
    assert cross(table(frame, Target("target", task, classes)), split) == ()


def visits(spread: float, target: Target = BINARY) -> Table:
    """Four visits a patient; the target is the patient's, but for the `spread`."""
    random = np.random.default_rng(4)
    patient = random.integers(0, ROWS // 4, ROWS)
    ill = random.random(ROWS // 4) < 0.4
    each = ill[patient] ^ (random.random(ROWS) < spread)
    y = each.astype(int) if target.classes else 10 * ill[patient] + random.normal(size=ROWS)
    frame = pd.DataFrame({"pulse": random.normal(size=ROWS), "patient": patient, "visit": np.arange(ROWS), "y": y})
    return table(frame, target, ("patient", "visit"))


@pytest.mark.parametrize("target", [BINARY, Target("y", "regression")])
def test_patients_on_both_sides_are_found_when_they_tell_the_target(target: Target) -> None:
    (suspect,) = cross(visits(0.0, target))
    assert suspect.column == "patient"
    assert suspect.score > 0.7
    assert suspect.reason.endswith("of the test rows have a patient that training rows have too, and these nearly tell y; "
                                   "give split.group: patient to keep them together")  # fmt: skip


def test_patients_whose_visits_differ_may_stand_on_both_sides() -> None:
    assert cross(visits(0.4)) == ()


def test_patients_that_were_kept_together_are_not_on_both_sides() -> None:
    known = visits(0.0)
    test = known.frame["patient"].to_numpy() % 4 == 0
    assert cross(known, replace(SPLIT, train=np.flatnonzero(~test), test=np.flatnonzero(test))) == ()


def test_what_was_looked_at_is_exempt() -> None:
    assert cross(visits(0.0), allow=("patient",)) == ()
    assert cross(table(with_copies(rich(), 200)), allow=(WHOLE_ROWS,)) == ()
    assert cross(table(with_copies(rich(), 200)), action="off") == ()


def test_with_a_time_column_what_was_there_before_may_come_again() -> None:
    frame = with_copies(rich(), 200).assign(time=pd.date_range("2013-01-01", periods=ROWS, tz="UTC"))
    assert cross(table(frame, time="time")) == ()
