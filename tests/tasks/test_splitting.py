from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.errors import DataRejected
from tasks.records import Champion, Columns, Rows, Split, Table, Target
from tasks.settings import SplitSettings
from tasks.splitting import sides, split_table

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NO_GAP = timedelta(0)
TARGET = Target("sold", "binary", (0, 1))
VALUE = Target("sold", "regression")


def timed_table(hours: Any, target: Target = TARGET, truth: Any = None) -> Table:
    """Rows at these hours after the start, in their order; the two classes in turn unless `truth` says otherwise."""
    times = pd.Series(pd.to_datetime([START + timedelta(hours=float(hour)) for hour in hours], utc=True)).dt.as_unit("us")
    frame = pd.DataFrame({"at": times, "sold": np.arange(len(times)) % 2 if truth is None else truth})
    return Table(frame, Columns(target, {"at": "date"}, "at"), "digest", ())


def daily(days: int, rows: int = 4) -> Table:
    """`rows` rows at six-hour steps on each of so many days."""
    return timed_table(np.arange(days * rows) * 24 / rows)


def keyed(frame: pd.DataFrame, key: tuple[str, ...] = (), target: Target = TARGET) -> Table:
    features = {name: "number" for name in frame if name not in (target.column, *key)}
    return Table(frame, Columns(target, features, None, key), "digest", ())  # type: ignore[arg-type]


def numbered(rows: int, first: int = 0) -> pd.DataFrame:
    ids = np.arange(first, first + rows)
    return pd.DataFrame({"id": ids, "x": ids * 0.5, "sold": ids % 2})


def champion(through: datetime | None = None, split_digest: str = "") -> Champion:
    return Champion("shop", "3", "models:/x", "run", through, "c", "d", split_digest, "lightgbm", {}, {})


def split_by_time(table: Table, gap: timedelta = NO_GAP, known: Champion | None = None, min_rows: int = 1, **chosen: Any) -> Split:
    return split_table(table, SplitSettings(**{"test": 7 * DAY, "folds": 2, **chosen}), gap, known, min_rows)


def split_by_hash(table: Table, known: Champion | None = None, **chosen: Any) -> Split:
    return split_table(table, SplitSettings(**{"test": 0.2, "folds": 3, **chosen}), NO_GAP, known, 1)


def at(table: Table, rows: Rows) -> pd.Series:
    return table.frame["at"].iloc[rows]


def outcome(*arguments: Any) -> tuple[Split | None, str]:
    try:
        return split_table(*arguments), ""
    except DataRejected as rejected:
        return None, str(rejected)


def assert_holds(table: Table, cut: Split, gap: timedelta) -> None:
    """What every split by time promises."""
    parts = [(cut.train, cut.test), *((fold.train, fold.valid) for fold in cut.folds)]
    for train, scored in parts:
        assert len(train)
        assert len(scored)
        assert not set(train) & set(scored)
        assert at(table, train).max() < at(table, scored).min() - gap
    for fold in cut.folds:
        assert at(table, fold.valid).max() <= at(table, cut.train).max()
    for earlier, later in zip(cut.folds, cut.folds[1:], strict=False):
        assert at(table, earlier.valid).max() < at(table, later.valid).min()
    for scored in (cut.test, *(fold.valid for fold in cut.folds)):
        assert scored.tolist() == list(range(scored[0], scored[-1] + 1))
        assert not table.frame["at"].drop(index=scored).isin(at(table, scored)).any()  # no instant is torn apart
    assert cut.test[-1] == len(table.frame) - 1


@settings(max_examples=80, deadline=None)
@given(
    hours=st.lists(st.integers(0, 60 * 24), min_size=5, max_size=120),
    test=st.one_of(st.floats(0.05, 0.6), st.integers(1, 30).map(lambda days: days * DAY)),
    folds=st.integers(2, 5),
    gap=st.sampled_from([NO_GAP, timedelta(hours=3), DAY, 5 * DAY, 90 * DAY]),
    window=st.sampled_from([None, 10 * DAY, 30 * DAY]),
    fold=st.sampled_from([None, DAY, 7 * DAY, 100 * DAY]),
    through=st.none() | st.integers(0, 70),
    min_rows=st.integers(1, 20),
)
def test_whatever_the_table_nothing_scored_was_trained_on(
    hours: list[int], test: Any, folds: int, gap: timedelta, window: Any, fold: Any, through: int | None, min_rows: int
) -> None:
    table = timed_table(sorted(hours), VALUE)
    known = None if through is None else champion(START + through * DAY)
    chosen = SplitSettings(test=test, folds=folds, training_window=window, fold=fold)
    cut, message = outcome(table, chosen, gap, known, min_rows)
    if cut is None:
        assert "split." in message
        assert "wait for more data" in message
        return
    assert_holds(table, cut, gap)
    assert 2 <= len(cut.folds) <= folds
    if window is not None:
        for rows, scored in [(cut.train, cut.test), *((each.train, each.valid) for each in cut.folds)]:
            assert at(table, scored).max() > at(table, rows).min()
            assert at(table, rows).max() - at(table, rows).min() <= window
    if known is not None and cut.unseen:
        assert len(cut.test) >= min_rows
        assert at(table, cut.test).min() > known.trained_through


def test_a_test_window_of_days_holds_just_those() -> None:
    table = daily(60)
    cut = split_by_time(table, test=7 * DAY)
    assert len(cut.test) == 28
    assert len(cut.train) == 4 * 60 - 28
    assert cut.note == "rolling origin: 2 folds of 7 days, test window 2024-02-23 to 2024-02-29 (28 rows)"


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.25, 0.5, 0.9])
def test_a_test_window_by_share_is_that_share_of_the_rows(share: float) -> None:
    cut = split_by_time(daily(50), test=share)
    assert len(cut.test) == 200 * share


def test_rows_at_one_instant_stay_together_though_the_share_grows() -> None:
    table = timed_table(np.repeat(np.arange(20) * 24.0, 10))
    cut = split_by_time(table, test=0.12)
    assert len(cut.test) == 30  # 24 rows would tear a day apart
    assert_holds(table, cut, NO_GAP)


def test_a_window_of_one_instant_gives_folds_as_long_as_the_step_to_it() -> None:
    table = timed_table(np.repeat(np.arange(20) * 24.0 * 7, 10))
    cut = split_by_time(table, test=0.05, folds=3)
    assert [len(fold.valid) for fold in cut.folds] == [10, 10, 10]
    assert "3 folds of 7 days" in cut.note


def test_the_gap_lies_before_the_test_window_and_before_every_fold() -> None:
    table = daily(60)
    cut = split_by_time(table, 3 * DAY)
    assert_holds(table, cut, 3 * DAY)
    assert at(table, cut.test).min() - at(table, cut.train).max() == 3 * DAY + timedelta(hours=6)  # and not a row more is given up
    for fold in cut.folds:
        assert at(table, fold.valid).min() - at(table, fold.train).max() == 3 * DAY + timedelta(hours=6)
    assert cut.note.endswith("with a gap of 3d")


def test_folds_are_shortened_so_that_the_first_trains_on_half_of_the_history() -> None:
    table = daily(40)
    cut = split_by_time(table, test=10 * DAY, folds=3)
    assert "3 folds of 4.96 days" in cut.note
    assert len(cut.folds[0].train) == pytest.approx(len(cut.train) / 2, abs=1)


def test_folds_are_shortened_further_for_a_gap_so_that_none_is_lost() -> None:
    table = daily(60)
    cut = split_by_time(table, 25 * DAY, test=5 * DAY, folds=3, fold=30 * DAY)
    assert len(cut.folds) == 3
    assert_holds(table, cut, 25 * DAY)


def test_a_training_window_does_not_shorten_folds_while_history_reaches_further() -> None:
    cut = split_by_time(daily(200), test=20 * DAY, folds=3, training_window=30 * DAY)
    assert "3 folds of 20 days" in cut.note
    assert {len(fold.train) for fold in cut.folds} == {120}
    assert len(cut.train) == 120


def test_a_length_of_the_folds_of_their_own_is_kept() -> None:
    table = daily(100)
    cut = split_by_time(table, test=7 * DAY, folds=3, fold=5 * DAY)
    assert [len(fold.valid) for fold in cut.folds] == [20, 20, 20]
    assert cut.folds[-1].valid[-1] == cut.train[-1]


def test_a_label_delay_longer_than_the_history_is_told_so() -> None:
    with pytest.raises(
        DataRejected, match=r"no training rows are left with a gap of 30d .* first row is of 2024-01-01 00:00; shorten .*time.label_delay"
    ):
        split_by_time(daily(20), 30 * DAY)


def test_a_label_delay_that_leaves_too_little_for_folds_is_told_so() -> None:
    with pytest.raises(DataRejected, match=r"split.folds: 2.75 days before the test window are too short for 2 folds with a gap of 10d"):
        split_by_time(daily(20), 10 * DAY)


def test_a_test_window_longer_than_the_history_is_told_so() -> None:
    with pytest.raises(DataRejected, match=r"split.test: no training rows are left before the test window, which begins 2023-12-"):
        split_by_time(daily(5), test=30 * DAY)


@pytest.mark.parametrize("hours", [[0.0], [0.0] * 30, [0.0, 1.0], [0.0, 1.0, 2.0]])
def test_a_tiny_table_is_told_to_wait(hours: list[float]) -> None:
    with pytest.raises(DataRejected, match="wait for more data"):
        split_by_time(timed_table(hours), test=0.3)


def test_a_test_window_of_one_class_is_told_so() -> None:
    table = timed_table(np.arange(240) * 6.0, truth=[0, 1] * 110 + [0] * 20)
    with pytest.raises(DataRejected, match=r"sold has one class only \(0\) in the test window \(20 rows\); enlarge it"):
        split_by_time(table, test=5 * DAY)


def test_a_fold_of_one_class_is_told_so() -> None:
    table = timed_table(np.arange(400) * 6.0, truth=[0, 1] * 180 + [1] * 20 + [0, 1] * 10)
    with pytest.raises(DataRejected, match=r"one class only \(1\) in the scored rows of fold 2"):
        split_by_time(table, test=5 * DAY)


def test_nobody_is_unseen_by_nobody() -> None:
    assert split_by_time(daily(60)).unseen


def test_a_champion_from_before_the_window_is_compared_on_all_of_it() -> None:
    table = daily(60)
    cut = split_by_time(table, known=champion(START + 40 * DAY))
    assert cut.unseen
    assert len(cut.test) == 28


def test_a_champion_from_inside_the_window_is_compared_on_the_rows_after_it() -> None:
    table = daily(60)
    through = table.frame["at"].iloc[-21].to_pydatetime()
    cut = split_by_time(table, known=champion(through), min_rows=20)
    assert cut.unseen
    assert len(cut.test) == 20
    assert at(table, cut.train).max() == through  # the challenger may use what lies before those rows
    assert "2 folds of 7 days" in cut.note  # and its folds are no shorter for that


def test_one_row_too_few_after_the_champion_and_its_settings_stand_in() -> None:
    table = daily(60)
    through = table.frame["at"].iloc[-21].to_pydatetime()
    cut = split_by_time(table, known=champion(through), min_rows=21)
    assert not cut.unseen
    assert len(cut.test) == 28


def test_many_rows_of_too_few_days_after_the_champion_and_its_settings_stand_in() -> None:
    table = daily(60)
    cut = split_by_time(table, known=champion(table.frame["at"].iloc[-17].to_pydatetime()), min_rows=1)  # four days
    assert not cut.unseen
    assert len(cut.test) == 28


def test_a_window_of_few_days_asks_for_no_more_than_it_has() -> None:
    table = daily(60)
    cut = split_by_time(table, known=champion(table.frame["at"].iloc[-9].to_pydatetime()), min_rows=1, test="2d")
    assert cut.unseen
    assert len(cut.test) == 8


def test_rows_of_one_class_after_the_champion_and_its_settings_stand_in() -> None:
    table = timed_table(np.arange(240) * 6.0, truth=[0, 1] * 110 + [0] * 20)
    cut = split_by_time(table, known=champion(table.frame["at"].iloc[-21].to_pydatetime()), min_rows=20)
    assert not cut.unseen
    assert len(cut.test) == 28


def test_a_champion_trained_through_the_last_row_has_seen_the_window() -> None:
    table = daily(60)
    assert not split_by_time(table, known=champion(table.newest)).unseen


def test_a_champion_that_knew_no_time_may_have_seen_every_row() -> None:
    assert not split_by_time(daily(60), known=champion(None)).unseen


def test_a_day_of_clock_change_is_a_day_like_any_other() -> None:
    table = timed_table(np.arange(60 * 24 * 4) / 4 + 24 * 60)  # 2024-03-31 has 23 hours in Europe; here it has 24
    cut = split_by_time(table, DAY, fold=7 * DAY)
    assert [len(fold.valid) for fold in cut.folds] == [7 * 96, 7 * 96]
    assert_holds(table, cut, DAY)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), more=st.integers(0, 300))
def test_a_row_never_changes_side_however_the_table_grows_or_is_ordered(seed: int, more: int) -> None:
    small, random = numbered(300), np.random.default_rng(seed)
    grown = pd.concat([small, numbered(more, 300)], ignore_index=True)
    shuffled = grown.iloc[random.permutation(len(grown))].reset_index(drop=True)
    before, after = (set(frame["id"].iloc[split_by_hash(keyed(frame, ("id",))).test]) for frame in (small, shuffled))
    assert before == after & set(small["id"])


@pytest.mark.parametrize("key", [("id",), ()])
def test_the_order_of_rows_does_not_move_them_between_folds(key: tuple[str, ...]) -> None:
    frame = numbered(400)
    shuffled = frame.iloc[np.random.default_rng(0).permutation(400)].reset_index(drop=True)
    folds = [
        [set(each["id"].iloc[fold.valid]) for fold in split_by_hash(keyed(each, key)).folds] for each in (frame, shuffled)
    ]  # fmt: skip
    assert folds[0] == folds[1]


@pytest.mark.parametrize(
    "alike",
    [
        lambda ids: ids.astype("float64"),
        lambda ids: ids.astype("Int64"),
        lambda ids: ids.astype("int32"),
        lambda ids: ids.astype(object),
        lambda ids: ids.astype("category"),
    ],
)
def test_a_row_keeps_its_side_when_its_numbers_come_in_another_type(alike: Any) -> None:
    frame = numbered(200)
    other = frame.assign(id=alike(frame["id"]))
    assert split_by_hash(keyed(frame, ("id",))).test.tolist() == split_by_hash(keyed(other, ("id",))).test.tolist()


@pytest.mark.parametrize("alike", [lambda names: names.astype(object), lambda names: names.astype("category")])
def test_a_row_keeps_its_side_when_its_text_comes_in_another_type(alike: Any) -> None:
    frame = numbered(200).assign(name=[f"customer {number}" for number in range(200)])
    other = frame.assign(name=alike(frame["name"]))
    assert split_by_hash(keyed(frame, ("name",))).test.tolist() == split_by_hash(keyed(other, ("name",))).test.tolist()


@pytest.mark.parametrize(
    "alike", [lambda days: days.astype("datetime64[ns]"), lambda days: days.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")]
)
def test_a_row_keeps_its_side_when_its_dates_come_in_another_unit_or_zone(alike: Any) -> None:
    frame = numbered(200).assign(day=pd.date_range("2024-01-01", periods=200, unit="us"))
    other = frame.assign(day=alike(frame["day"]))
    assert split_by_hash(keyed(frame, ("day",))).test.tolist() == split_by_hash(keyed(other, ("day",))).test.tolist()


def test_a_row_without_a_key_keeps_its_side_when_another_gets_a_missing_value() -> None:
    frame = numbered(200).astype({"x": "int64"})
    holed = frame.assign(x=frame["x"].astype(float).where(frame["id"] != 7))
    before, after = (set(split_by_hash(keyed(each)).test) for each in (frame, holed))
    assert before - {7} == after - {7}


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(60, 400), folds=st.integers(2, 6), share=st.floats(0.1, 0.5), classes=st.integers(2, 4))
def test_folds_part_the_training_rows_and_hold_each_class_alike(rows: int, folds: int, share: float, classes: int) -> None:
    target = Target("sold", "multiclass", tuple(range(classes)))
    frame = numbered(rows).assign(sold=np.random.default_rng(rows).integers(0, classes, rows))
    cut, _ = outcome(keyed(frame, ("id",), target), SplitSettings(test=share, folds=folds), NO_GAP, None, 1)
    assume(cut is not None)
    assert cut is not None
    assert sorted(np.concatenate([fold.valid for fold in cut.folds])) == cut.train.tolist()
    assert not set(cut.test) & set(cut.train)
    for fold in cut.folds:
        assert sorted([*fold.train, *fold.valid]) == cut.train.tolist()
    counts = np.array([np.bincount(frame["sold"].iloc[fold.valid], minlength=classes) for fold in cut.folds])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_folds_of_a_regression_hold_every_decile_of_the_target_alike() -> None:
    frame = numbered(1000).assign(sold=np.random.default_rng(0).lognormal(size=1000))
    cut = split_by_hash(keyed(frame, ("id",), VALUE), folds=4)
    edges = np.quantile(frame["sold"].iloc[cut.train], np.arange(1, 10) / 10)
    counts = [np.bincount(np.searchsorted(edges, frame["sold"].iloc[fold.valid]), minlength=10) for fold in cut.folds]
    assert np.ptp(counts, axis=0).max() <= 1


@pytest.mark.parametrize("values", [[1.0] * 199 + [2.0], [0.0, 1.0] * 100])
def test_a_regression_with_hardly_any_values_still_has_folds(values: list[float]) -> None:
    assert len(split_by_hash(keyed(numbered(200).assign(sold=values), ("id",), VALUE)).folds) == 3


def test_equal_rows_stay_together() -> None:
    frame = pd.concat([numbered(200).drop(columns="id")] * 3, ignore_index=True)
    cut = split_by_hash(keyed(frame))
    assert not set(frame["x"].iloc[cut.test]) & set(frame["x"].iloc[cut.train])
    for fold in cut.folds:
        assert not set(frame["x"].iloc[fold.valid]) & set(frame["x"].iloc[fold.train])


def test_about_the_wanted_share_is_tested_on() -> None:
    assert len(split_by_hash(keyed(numbered(20_000), ("id",)), test=0.3).test) == pytest.approx(6000, abs=3 * np.sqrt(20_000 * 0.21))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), groups=st.integers(30, 120), folds=st.integers(2, 5), share=st.floats(0.1, 0.5))
def test_a_group_is_never_torn_apart(seed: int, groups: int, folds: int, share: float) -> None:
    random = np.random.default_rng(seed)
    frame = numbered(4 * groups).assign(shop=random.integers(0, groups, 4 * groups))
    cut, _ = outcome(keyed(frame, ("id",), VALUE), SplitSettings(group="shop", folds=folds, test=share), NO_GAP, None, 1)
    assume(cut is not None)
    assert cut is not None
    shop = frame["shop"].to_numpy()
    assert not set(shop[cut.test]) & set(shop[cut.train])
    for fold in cut.folds:
        assert not set(shop[fold.valid]) & set(shop[fold.train])
    dealt = [len(set(shop[fold.valid])) for fold in cut.folds]
    assert max(dealt) - min(dealt) <= 1
    assert sorted(np.concatenate([fold.valid for fold in cut.folds])) == cut.train.tolist()


def test_the_fold_of_a_group_has_nothing_to_do_with_how_near_it_was_to_the_test_bucket() -> None:
    frame = numbered(8000).assign(shop=np.arange(8000) // 2)
    shop = frame["shop"].to_numpy()
    narrow, wide = (split_by_hash(keyed(frame, ("id",)), group="shop", test=share) for share in (0.2, 0.4))
    between = set(shop[wide.test]) - set(shop[narrow.test])  # the groups just above the lower threshold
    share = [len(between & set(shop[fold.valid])) / len(between) for fold in narrow.folds]
    assert share == pytest.approx([1 / 3] * 3, abs=0.02)


def test_rows_without_a_group_are_one_group() -> None:
    frame = numbered(400).assign(shop=[None if number % 10 == 0 else f"shop {number % 40}" for number in range(400)])
    cut = split_by_hash(keyed(frame, ("id",)), group="shop")
    alone = np.flatnonzero(frame["shop"].isna())
    sides = [set(alone) <= set(rows) for rows in (cut.test, *(fold.valid for fold in cut.folds))]
    assert sum(sides) == 1


def test_too_few_groups_are_told_so() -> None:
    frame = numbered(100).assign(shop=np.arange(100) % 2)
    with pytest.raises(DataRejected, match=r"split: 2 groups by shop are too few for 3 folds and a test share of 0.2; lower split.folds"):
        split_by_hash(keyed(frame, ("id",)), group="shop")


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_too_few_rows_are_told_so(rows: int) -> None:
    with pytest.raises(DataRejected, match=f"split: {rows} rows are too few for 3 folds"):
        split_by_hash(keyed(numbered(rows), ("id",)))


def test_a_test_bucket_of_one_class_is_told_so() -> None:
    frame = numbered(100)
    frame.loc[split_by_hash(keyed(frame, ("id",))).test, "sold"] = 1
    with pytest.raises(DataRejected, match=r"one class only \(1\) in the test bucket"):
        split_by_hash(keyed(frame, ("id",)))


def test_a_champion_of_the_same_sides_has_not_seen_the_test_bucket() -> None:
    table = keyed(numbered(300), ("id",))
    same = sides(table.columns, SplitSettings(test=0.2))
    assert split_by_hash(table, champion(None, same)).unseen
    assert not split_by_hash(table, champion(None, sides(table.columns, SplitSettings(test=0.3)))).unseen
    assert not split_by_hash(keyed(numbered(300), ("id", "sold")), champion(None, same)).unseen


def test_a_champion_that_was_split_by_time_may_have_seen_the_test_bucket() -> None:
    table = keyed(numbered(300), ("id",))
    assert not split_by_hash(table, champion(START, sides(table.columns, SplitSettings(test=0.2)))).unseen


def test_a_length_of_time_needs_a_time_column() -> None:
    with pytest.raises(DataRejected, match="a length of time needs a time column"):
        split_by_hash(keyed(numbered(300), ("id",)), test=7 * DAY)
