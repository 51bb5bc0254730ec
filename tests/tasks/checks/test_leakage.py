from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import sklearn.metrics

from tasks.checks.leakage import distance_from_chance, find_suspects, r2, single_scores
from tasks.records import Suspect, Target
from tasks.settings import ColumnKind, LeakageSettings
from tests.flights import AFTER, all_flights

LATE = Target("late", "binary", (False, True))
ROWS = 2000
NOBODY = pd.DataFrame()


def flight_features(frame: pd.DataFrame) -> dict[str, ColumnKind]:
    text = {"carrier", "origin", "dest", "tailnum", "flight"}
    return {name: "category" if name in text else "number" for name in frame if name not in ("late", "time_hour")}


def suspects_of_flights(**settings: object) -> tuple[Suspect, ...]:
    frame = all_flights()
    rows = frame[frame["late"].notna()].astype({"late": bool}).reset_index(drop=True)
    return find_suspects(rows, frame[frame["late"].isna()], LATE, flight_features(frame), LeakageSettings(**settings))  # type: ignore[arg-type]


def one_column(values: object, labels: object, target: Target, kind: ColumnKind = "number") -> float:
    return single_scores(pd.DataFrame({"x": values, target.column: labels}), target, {"x": kind})["x"]


def test_on_flights_just_what_is_known_after_departure_is_suspect() -> None:
    assert {suspect.column for suspect in suspects_of_flights()} == set(AFTER)


def test_on_flights_the_delay_at_departure_predicts_nearly_alone() -> None:
    frame = all_flights()
    rows = frame[frame["late"].notna()].astype({"late": bool}).reset_index(drop=True)
    alone = find_suspects(rows, NOBODY, LATE, flight_features(frame), LeakageSettings())
    assert [suspect.column for suspect in alone] == ["arr_delay", "dep_delay"]
    assert alone[0].score == 1


@pytest.mark.parametrize("data", ["diabetes", "digits"])
def test_nothing_is_suspect_in_tables_without_leakage(data: str) -> None:
    frame = getattr(sklearn.datasets, f"load_{data}")(as_frame=True).frame
    target = Target("target", "regression") if data == "diabetes" else Target("target", "multiclass", tuple(range(10)))
    features: dict[str, ColumnKind] = {name: "number" for name in frame if name != "target"}
    assert find_suspects(frame, NOBODY, target, features, LeakageSettings()) == ()


def test_columns_that_were_looked_at_are_exempt() -> None:
    assert suspects_of_flights(allow=tuple(AFTER)) == ()


def test_the_sentinels_can_be_off() -> None:
    assert suspects_of_flights(action="off") == ()


def test_the_same_rows_give_the_same_scores() -> None:
    frame = all_flights().dropna().astype({"late": bool})
    features = flight_features(frame)
    assert single_scores(frame, LATE, features) == single_scores(frame, LATE, features)


class TestScores:
    """What a single column's score says, in cases where the answer is known."""

    random = np.random.default_rng(1)
    labels = random.random(ROWS) < 0.3
    binary = Target("y", "binary", (False, True))

    def test_a_copy_of_the_target_scores_one(self) -> None:
        assert one_column(self.labels.astype(int), self.labels, self.binary) == 1

    def test_a_renamed_copy_of_the_target_scores_one(self) -> None:
        assert one_column(np.where(self.labels, "sick", "well"), self.labels, self.binary, "category") == 1

    def test_a_copy_with_noise_scores_high(self) -> None:
        assert one_column(self.labels + 0.3 * self.random.normal(size=ROWS), self.labels, self.binary) > 0.9

    def test_an_identifier_that_was_given_in_the_targets_order_is_found(self) -> None:
        assert one_column(np.argsort(np.argsort(self.labels + 0.01 * self.random.random(ROWS))), self.labels, self.binary) > 0.95

    def test_noise_scores_near_zero(self) -> None:
        assert one_column(self.random.normal(size=ROWS), self.labels, self.binary) < 0.15

    def test_an_identifier_scores_near_zero(self) -> None:
        assert one_column([f"id {k}" for k in range(ROWS)], self.labels, self.binary, "category") < 0.15

    def test_the_middle_of_a_range_is_found(self) -> None:
        values = self.random.normal(size=ROWS)
        assert one_column(values, np.abs(values) < 0.5, self.binary) > 0.95

    def test_missing_only_beside_the_positive_class_is_found(self) -> None:
        assert one_column(np.where(self.labels, np.nan, self.random.normal(size=ROWS)), self.labels, self.binary) == 1
        assert one_column(np.where(self.labels, None, "x"), self.labels, self.binary, "category") == 1

    def test_huge_and_infinite_values_do_no_harm(self) -> None:
        values = np.where(self.labels, 1e300, -np.inf)
        assert one_column(values, self.labels, self.binary) == 1

    def test_neighbours_beyond_float32_are_told_apart(self) -> None:
        values = 2**40 + self.labels.astype(np.int64)
        assert one_column(values, self.labels, self.binary) == 1

    def test_a_date_after_the_event_is_found(self) -> None:
        days = pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(np.where(self.labels, 1, 0), unit="D")
        assert one_column(days, self.labels, self.binary, "date") == 1
        assert one_column(pd.Series(days.strftime("%Y-%m-%d")), self.labels, self.binary, "date") == 1

    def test_nullable_columns_are_read(self) -> None:
        assert one_column(pd.array(self.labels, dtype="boolean"), self.labels, self.binary) == 1
        assert one_column(pd.array([1 if label else None for label in self.labels], dtype="Int64"), self.labels, self.binary) == 1

    def test_a_copy_of_a_regressions_target_scores_near_one(self) -> None:
        values = self.random.normal(size=ROWS)
        target = Target("y", "regression")
        assert one_column(values * 3, values, target) > 0.95
        assert one_column(self.random.normal(size=ROWS), values, target) < 0.15

    def test_a_copy_of_many_classes_scores_one(self) -> None:
        labels = self.random.integers(0, 5, ROWS)
        target = Target("y", "multiclass", tuple(range(5)))
        assert one_column(labels, labels, target) == pytest.approx(1)
        assert one_column([f"class {k}" for k in labels], labels, target, "category") == pytest.approx(1)

    def test_a_handful_of_rows_is_scored_without_complaint(self) -> None:
        assert 0 <= one_column([1.0, 2, 3, 4], [True, False, True, False], self.binary) <= 1


@pytest.mark.parametrize("levels", [2, 7, 1000])
def test_the_distance_from_chance_is_scikit_learns_auc_twice_less_one(levels: int) -> None:
    random = np.random.default_rng(levels)
    truth = (random.random(500) < 0.3).astype(float)
    guess = random.integers(0, levels, 500) / levels + 0.2 * truth
    expected = 2 * sklearn.metrics.roc_auc_score(truth, guess) - 1
    assert distance_from_chance(truth, guess) == pytest.approx(max(0, expected))
    assert distance_from_chance(truth, -guess) == pytest.approx(max(0, -expected))
    assert distance_from_chance(np.ones(5), np.arange(5.0)) == 0


def test_r2_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    guess = truth + random.normal(size=200) / 2
    assert r2(truth, guess) == pytest.approx(sklearn.metrics.r2_score(truth, guess))
    assert r2(truth, -truth) == 0
    assert r2(np.ones(3), np.ones(3)) == 0


class TestMissingWithTheLabel:
    """A column that is filled in together with the label."""

    target = Target("y", "binary", (0, 1))

    def suspects(self, unlabelled: list[float | None], labelled: list[float | None]) -> tuple[Suspect, ...]:
        frame = pd.DataFrame({"x": labelled, "y": [0, 1] * (len(labelled) // 2)})
        return find_suspects(frame, pd.DataFrame({"x": unlabelled}), self.target, {"x": "number"}, LeakageSettings())

    def test_is_suspect_when_most_unlabelled_rows_lack_it(self) -> None:
        (suspect,) = self.suspects([None] * 11 + [1.0] * 9, [1.0, 1.0] * 50)
        assert suspect.score == pytest.approx(0.55)
        assert "known only once the label is" in suspect.reason

    def test_is_not_suspect_when_half_of_them_have_it(self) -> None:
        assert self.suspects([None] * 10 + [1.0] * 10, [1.0, 1.0] * 50) == ()

    def test_is_not_suspect_when_labelled_rows_lack_it_too(self) -> None:
        assert self.suspects([None] * 20, [None] * 6 + [1.0] * 94) == ()

    def test_takes_twenty_unlabelled_rows_to_tell(self) -> None:
        assert self.suspects([None] * 19, [1.0, 1.0] * 50) == ()
