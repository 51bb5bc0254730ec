from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.checks.fingerprints import compare_fingerprints, fingerprint
from tasks.digests import digest
from tasks.records import Columns, Rewriting, Table, Target
from tasks.settings import ValidationSettings
from tasks.validation import validate_table
from tests.flights import FLIGHTS, KEY, NEXT_YEAR, all_flights, flights_between, loaded

DAYS, A_DAY = 20, 10
START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + timedelta(days=DAYS)


def rows(days: int = DAYS) -> pd.DataFrame:
    """Ten rows a day; the same ones for the same day, however many days."""
    count = days * A_DAY
    return pd.DataFrame(
        {
            "id": np.arange(count),
            "when": pd.Timestamp(START) + pd.to_timedelta(np.arange(count) * 24 / A_DAY, unit="h"),
            "number": np.arange(count) % 7,
            "text": [f"word {row % 5}" for row in range(count)],
            "y": np.arange(count) % 2,
        }
    )


def table(frame: pd.DataFrame, time: str | None = "when", key: tuple[str, ...] = ("id",), **features: Any) -> Table:
    kinds = {"number": "number", "text": "category", **features}
    return Table(frame, Columns(Target("y", "binary", (0, 1)), kinds, time, key), "", ())  # type: ignore[arg-type]


def mark(frame: pd.DataFrame, cut: datetime = END, **roles: Any) -> dict[str, Any]:
    """As it comes back from the file it is kept in."""
    return dict(json.loads(json.dumps(fingerprint(table(frame, **roles), cut))))


def compare(before: pd.DataFrame, now: pd.DataFrame, cut: datetime = END, **roles: Any) -> Rewriting:
    return compare_fingerprints(mark(before, cut, **roles), mark(now, END + timedelta(days=30), **roles))


def told(rewriting: Rewriting) -> tuple[int, int, tuple[str, ...], int]:
    return rewriting.late, rewriting.removed, rewriting.rewritten_days, rewriting.rewritten_rows


class TestByDay:
    """What the next retrain notices where rows have a time."""

    def test_new_days_are_no_change(self) -> None:
        rewriting = compare(rows(), rows(DAYS + 10))
        assert (told(rewriting), rewriting.changed, rewriting.note) == ((0, 0, (), 0), False, "")
        assert rewriting.since == "the last retrain (rows before 2013-01-21)"

    def test_the_day_of_the_cut_is_not_compared_since_it_was_seen_in_part(self) -> None:
        noon = END - timedelta(hours=12)
        seen = rows()[rows()["when"] < noon]
        assert not compare(seen, rows(), noon).changed
        assert told(compare(seen.drop(index=0), rows(), noon)) == (1, 0, (), 0)

    def test_late_and_removed_rows_and_rewritten_days_are_counted(self) -> None:
        now = rows()
        now.loc[[33, 35], "number"] += 1
        now = pd.concat([now.drop(index=[71]), now.loc[[50, 51]].assign(id=[900, 901])])
        assert told(compare(rows(), now)) == (2, 1, ("2013-01-04",), A_DAY)

    def test_one_changed_cell_of_any_column_is_noticed(self) -> None:
        for column, value in {
            "id": -1,
            "number": 99,
            "text": "another",
            "y": 5,
            "when": rows().loc[42, "when"] + timedelta(seconds=1),
        }.items():
            now = rows()
            now.loc[42, column] = value
            assert told(compare(rows(), now)) == (0, 0, ("2013-01-05",), A_DAY), column

    def test_two_values_that_change_places_are_noticed(self) -> None:
        now = rows()
        now.loc[[40, 41], "number"] = now.loc[[41, 40], "number"].to_numpy()
        assert compare(rows(), now).rewritten_days == ("2013-01-05",)

    def test_columns_under_each_others_names_are_noticed(self) -> None:
        frame = rows().assign(other=0)
        swapped = frame.rename(columns={"number": "other", "other": "number"})
        assert len(compare(frame, swapped, other="number").rewritten_days) == DAYS

    def test_rows_that_were_moved_to_another_day_left_one_and_came_late_to_the_other(self) -> None:
        now = rows()
        now.loc[42, "when"] += timedelta(days=3)
        assert told(compare(rows(), now)) == (1, 1, (), 0)

    def test_a_day_that_is_gone_and_one_that_came_are_counted_by_their_rows(self) -> None:
        gap, whole = rows()[~rows()["id"].between(50, 59)], rows()
        assert told(compare(whole, gap)) == (0, A_DAY, (), 0)
        assert told(compare(gap, whole)) == (A_DAY, 0, (), 0)

    def test_earlier_history_that_was_added_came_late(self) -> None:
        assert told(compare(rows()[rows()["id"] >= 30], rows())) == (30, 0, (), 0)

    def test_a_window_that_moved_on_removed_nothing(self) -> None:
        rewriting = compare(rows(), rows()[rows()["id"] >= 55])
        assert told(rewriting) == (0, 0, (), 0)
        assert rewriting.note == "history began on 2013-01-01 and now begins on 2013-01-06: rows up to that day are not compared"

    def test_a_replay_of_an_earlier_date_sees_no_removed_rows(self) -> None:
        early = START + timedelta(days=5)
        assert not compare_fingerprints(mark(rows()), mark(rows(5), early)).changed

    def test_a_column_more_or_less_is_said_and_keys_are_compared_all_the_same(self) -> None:
        now = rows().assign(extra=1).drop(columns="number")
        rewriting = compare(rows(), now)
        assert (rewriting.changed, rewriting.note) == (
            False, "rows now come with extra and without number: numbers of rows and keys are compared, not contents"
        )  # fmt: skip
        now.loc[42, "id"] = -1
        assert compare(rows(), now).rewritten_days == ("2013-01-05",)
        unkeyed = compare(rows(), now, key=())
        assert (unkeyed.changed, unkeyed.note) == (
            False,
            "rows now come with extra and without number: the numbers of rows alone are compared",
        )

    def test_without_a_key_rows_are_known_by_their_content(self) -> None:
        now = rows()
        now.loc[42, "number"] = 99
        assert told(compare(rows(), now, key=())) == (0, 0, ("2013-01-05",), A_DAY)


class TestByBucket:
    """Without a time column a row more is nothing unusual, a row less is."""

    def test_the_same_rows_in_any_order_are_no_change(self) -> None:
        rewriting = compare(rows(), rows().sample(frac=1, random_state=0), time=None)
        assert (told(rewriting), rewriting.note, rewriting.since) == ((0, 0, (), 0), "", "the last retrain")

    def test_a_rewritten_row_is_noticed_in_its_bucket(self) -> None:
        now = rows()
        now.loc[42, "number"] = 99
        rewriting = compare(rows(), now, time=None)
        assert len(rewriting.rewritten_days) == 1
        assert rewriting.rewritten_days[0].startswith("bucket ")
        assert 1 <= rewriting.rewritten_rows < 20

    def test_removed_rows_are_counted_and_new_ones_are_not_late(self) -> None:
        now = pd.concat([rows().drop(index=[3, 77]), rows().tail(1).assign(id=999)])
        rewriting = compare(rows(), now, time=None)
        assert (rewriting.late, rewriting.removed) == (0, 2)
        assert rewriting.note.endswith("buckets have new rows and could not be compared")

    def test_a_fingerprint_by_day_is_not_compared_with_one_by_bucket(self) -> None:
        rewriting = compare_fingerprints(mark(rows()), mark(rows(), time=None))
        assert (rewriting.changed, bool(rewriting.note)) == (False, True)

    def test_buckets_by_another_key_or_of_other_columns_are_not_compared(self) -> None:
        by_id = mark(rows(), time=None)
        for before, now in (
            (by_id, mark(rows(), time=None, key=("id", "text"))),
            (mark(rows(), time=None, key=()), mark(rows().assign(extra=1), time=None, key=())),
        ):
            rewriting = compare_fingerprints(before, now)
            assert (rewriting.changed, bool(rewriting.note)) == (False, True)
        assert not compare_fingerprints(by_id, mark(rows().assign(extra=1), time=None)).changed


class TestHashes:
    """The same for the same values: in any order, process and pandas type."""

    def test_the_order_of_rows_and_columns_and_their_labels_do_not_matter(self) -> None:
        shuffled = rows().sample(frac=1, random_state=1)[["y", "text", "id", "number", "when"]].reset_index(drop=True)
        assert mark(shuffled) == mark(rows())

    @pytest.mark.parametrize(
        ("column", "dtypes"),
        [
            ("number", ["int32", "float64", "Int64", "Float64", "int64[pyarrow]", object]),
            ("text", ["category", "string", "str", object]),
            ("when", ["datetime64[ns, UTC]", "datetime64[s, UTC]", "datetime64[us, Europe/Paris]", object]),
            ("y", ["bool", "boolean", "float64"]),
        ],
    )
    def test_the_pandas_type_of_a_column_does_not_matter(self, column: str, dtypes: list[Any]) -> None:
        roles: dict[str, Any] = {"time": None} if column == "when" else {}
        for dtype in dtypes:
            assert mark(rows().astype({column: dtype}), **roles) == mark(rows(), **roles), dtype

    def test_missing_values_are_alike_and_differ_from_all_others(self) -> None:
        gap = rows().astype({"number": "float64", "text": object})
        gap.loc[42, ["number", "text"]] = None
        assert mark(gap) == mark(gap.astype({"number": "Float64", "text": "str"}))
        for column, value in {"number": 0.0, "text": ""}.items():
            filled = gap.copy()
            filled.loc[42, column] = value
            assert mark(filled) != mark(gap)

    def test_dates_written_as_text_are_dates(self) -> None:
        text, dates = (rows().assign(day=values) for values in (["2013-01-05"] * 200, pd.Timestamp("2013-01-05", tz="UTC")))
        assert mark(text, day="date") == mark(dates, day="date")

    def test_minus_zero_is_zero(self) -> None:
        assert mark(rows().assign(number=-0.0)) == mark(rows().assign(number=0))

    def test_another_process_finds_the_same(self) -> None:
        code = "import json; from tests.tasks.checks.test_fingerprints import mark, rows; print(json.dumps(mark(rows())))"
        root = Path(__file__).parents[3]
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
        assert json.loads(done.stdout) == mark(rows())


class TestFlights:
    """Through the real validation of a year's flights."""

    @staticmethod
    @cache
    def october() -> pd.DataFrame:
        return flights_between("2013-09-01", "2013-11-01")

    @staticmethod
    def validated(frame: pd.DataFrame, as_of: datetime) -> Table:
        return validate_table(loaded(frame), FLIGHTS.changed(key=KEY), ValidationSettings(), as_of)

    def test_three_changed_rows_two_late_ones_and_one_that_is_gone_are_told_a_month_later(self) -> None:
        whole, cut = self.october(), datetime(2013, 10, 1, tzinfo=UTC)
        labelled = whole.index[whole["late"].notna()]
        on = {day: labelled[whole.loc[labelled, "time_hour"].str.startswith(day)] for day in ("2013-09-05", "2013-09-12", "2013-09-20")}
        before = fingerprint(self.validated(whole.drop(index=on["2013-09-12"][:2]), cut), cut)
        now = whole.drop(index=on["2013-09-20"][7])
        now.loc[on["2013-09-05"][:3], "distance"] += 1
        later = NEXT_YEAR
        rewriting = compare_fingerprints(before, fingerprint(self.validated(now, later), later))
        assert told(rewriting) == (2, 1, ("2013-09-05",), len(on["2013-09-05"]))
        assert rewriting.note == ""

    def test_a_year_takes_about_as_long_as_its_digest_and_a_few_kilobytes(self) -> None:
        frame = all_flights()
        frame = frame.assign(time_hour=pd.to_datetime(frame["time_hour"], utc=True)).sort_values("time_hour")
        features = dict.fromkeys(frame.select_dtypes("number"), "number")
        year = Table(frame, Columns(Target("late", "binary", (False, True)), features, "time_hour", KEY), "", ())  # type: ignore[arg-type]
        began = time.process_time()
        digest(frame)
        middle = time.process_time()
        found = fingerprint(year, NEXT_YEAR)
        assert time.process_time() - middle < 4 * (middle - began) + 0.2
        assert len(json.dumps(found)) < 30_000
        assert sum(part[0] for part in found["parts"].values()) == len(frame)
