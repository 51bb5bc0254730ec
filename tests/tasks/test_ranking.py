"""A ranking from the table to the score: queries stay whole, and are what is measured over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import ndcg_score

from tasks.checks.labels import read_target
from tasks.comparisons.blocks import block_rows
from tasks.errors import DataRejected
from tasks.evaluation import evaluate_model
from tasks.executors.executor import Job, Workload
from tasks.executors.scoring import Bench
from tasks.features import build_features
from tasks.metrics import find_metric
from tasks.models import parse_model
from tasks.models.model import Fitting
from tasks.models.recipes import Recipe
from tasks.records import Champion, Fold, LoadedTable, SourceRecord, Split, Table
from tasks.settings import FeatureSettings, GateSettings, SplitSettings, TableSettings, ValidationSettings
from tasks.splitting import sides, split_table
from tasks.targets import queries
from tasks.training import train_model
from tasks.validation import validate_table
from tests.ranked import START, searches

TIMED: dict[str, Any] = {"target": "liked", "task": "ranking", "query": "search", "time": "when", "key": ["id"]}
TIMELESS = {name: value for name, value in TIMED.items() if name != "time"}
AS_OF = datetime(2030, 1, 1, tzinfo=UTC)
NDCG = find_metric("ndcg")


def table_of(frame: pd.DataFrame, settings: dict[str, Any] | None = None) -> Table:
    loaded = LoadedTable(frame, SourceRecord("csv", "searches.csv", len(frame), len(frame.columns), 0, ""))
    return validate_table.plain(loaded, TableSettings.model_validate(settings or TIMED), ValidationSettings(), AS_OF)


def cut(table: Table, champion: Champion | None = None, **chosen: Any) -> Split:
    return split_table.plain(table, SplitSettings.model_validate(chosen), timedelta(0), champion, 1)


def assert_whole(table: Table, split: Split) -> None:
    """No query has rows on both sides of any cut."""
    query = table.frame["search"].to_numpy()
    for first, second in [(split.train, split.test), *((fold.train, fold.valid) for fold in split.folds)]:
        assert len(first)
        assert len(second)
        assert not set(query[first]) & set(query[second])
        assert not set(first) & set(second)


def test_the_query_is_no_feature_and_has_no_missing_value() -> None:
    table = table_of(searches())
    assert sorted(table.columns.features) == ["level", "quality", "shop"]
    assert (table.columns.query, table.columns.target.task, table.columns.target.classes) == ("search", "ranking", ())
    with pytest.raises(DataRejected, match="query is known"):
        table_of(searches().assign(search=lambda frame: frame["search"].where(frame["id"] != 5)))


@pytest.mark.parametrize("liked", [-1, 31, 0.5, "much"])
def test_relevance_that_is_no_small_whole_number_rejects_the_data_set(liked: Any) -> None:
    frame = searches().astype({"liked": object})
    frame.loc[3, "liked"] = liked
    with pytest.raises(DataRejected, match=r"whole numbers from 0 to 30|numbers, text or true/false"):
        table_of(frame.infer_objects())


def test_clicked_or_not_is_relevance_too() -> None:
    target, labels, findings = read_target(
        searches().assign(liked=lambda frame: frame["liked"] > 1), TableSettings.model_validate(TIMELESS)
    )
    assert target is not None
    assert labels is not None
    assert sorted(labels.unique()) == [0.0, 1.0]
    assert all(finding.passed for finding in findings)


def test_queries_without_a_difference_cannot_be_learned_from() -> None:
    with pytest.raises(DataRejected, match="queries can be learned from"):
        table_of(searches(shown=1))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"query": None}, "query: a ranking needs the column that says which rows are ranked together"),
        ({"task": "regression"}, r"query: only a ranking has queries; write task: ranking, or leave query out \(task is regression\)"),
        ({"task": None}, r"query: only a ranking has queries; .*\(task is not given\)"),
        ({"query": "liked"}, "query: liked is the target already"),
        ({"query": "when"}, "query: when is the time column already"),
        ({"columns": {"search": "category"}}, "columns.search: says which rows are ranked together"),
    ],
)
def test_a_ranking_that_makes_no_sense_is_a_config_error(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        TableSettings.model_validate({**TIMED, **changes})


@pytest.mark.parametrize("spread", [0.0, 5.0, 40.0])
def test_by_time_no_query_is_torn_and_later_queries_are_scored(spread: float) -> None:
    table = table_of(searches(spread=spread))
    split = cut(table, test="20d", fold="10d")
    assert_whole(table, split)
    first = table.frame.groupby("search")["when"].transform("min")
    assert first.iloc[split.train].max() < first.iloc[split.test].min()
    for fold in split.folds:
        assert first.iloc[fold.train].max() < first.iloc[fold.valid].min()
        assert (np.diff(fold.valid) > 0).all()  # in the table's order, as everywhere
    assert sorted([*split.train, *split.test]) == list(range(len(table.frame)))


def test_without_time_a_query_is_a_group_that_never_changes_side() -> None:
    table = table_of(searches().drop(columns="when"), TIMELESS)
    split = cut(table)
    assert_whole(table, split)
    assert "by a hash of the query" in split.note
    assert sides(table.columns, SplitSettings()) == "1/0.2/search"
    grown = table_of(searches(count=400).drop(columns="when"), TIMELESS)
    tested, tested_then = (set(each.frame["search"].iloc[cut(each).test]) for each in (table, grown))
    assert tested == {name for name in tested_then if int(name[1:]) < 300}


def test_a_group_that_would_tear_queries_is_refused_and_one_that_holds_them_is_taken() -> None:
    frame = searches().drop(columns="when").assign(user=lambda frame: frame["search"].str[-1])
    table = validated_with_group(frame)
    assert_whole(table, cut(table, group="user"))
    with pytest.raises(DataRejected, match=r"split.group: \d+ queries \(search\) have rows in several groups by user"):
        cut(validated_with_group(frame.assign(user=frame["id"] % 7)), group="user")


def validated_with_group(frame: pd.DataFrame) -> Table:
    loaded = LoadedTable(frame, SourceRecord("csv", "searches.csv", len(frame), len(frame.columns), 0, ""))
    return validate_table.plain(loaded, TableSettings.model_validate(TIMELESS), ValidationSettings(), AS_OF, keep=("user",))


@pytest.mark.parametrize("spread", [0.0, 40.0])
def test_blocks_hold_whole_queries(spread: float) -> None:
    table = table_of(searches(spread=spread))
    fold = cut(table, test="20d").folds[-1]
    blocks = block_rows(table, fold)
    assert sorted(set(blocks)) == list(range(max(blocks) + 1))
    assert pd.Series(blocks).groupby(table.frame["search"].iloc[fold.valid].to_numpy()).nunique().max() == 1


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_a_trial_is_scored_by_the_mean_over_its_queries(family: str) -> None:
    table = table_of(searches())
    split = cut(table, test="20d", fold="20d")
    blocks = tuple(block_rows(table, fold) for fold in split.folds)
    bench = Bench(Workload(table.frame, table.columns, split.folds, blocks, "ndcg", 0))
    settings = {"family": family, "max_rounds": 60, "early_stopping_rounds": 10}
    scored = bench.score(Job(0, 1, Recipe(parse_model(settings)).to_json()))
    assert 0.9 < scored.value < 1
    assert scored.rounds is not None
    assert max(value for _, value in scored.curve) == pytest.approx(scored.value)
    assert len(scored.blocks) == max(blocks[1]) + 1
    assert np.nanmean(scored.blocks) == pytest.approx(scored.value, abs=0.05)


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_a_ranking_is_trained_and_judged_query_by_query(family: str) -> None:
    table = table_of(searches())
    split = cut(table, test="20d", fold="20d")
    model = parse_model({"family": family, "hyperparameters": {}})
    features = build_features.plain(table.columns, FeatureSettings(), model.encoding)
    fitted = train_model.plain(table, split.train, features, model, Fitting(table.columns.target, NDCG, 0, 1))
    found = evaluate_model.plain(fitted, None, table, split, NDCG, ("ndcg_at_5",), GateSettings())
    frame = table.frame.iloc[split.test]
    each = [
        ndcg_score([2.0 ** rows["liked"] - 1], [fitted.predict(rows)]) for _, rows in frame.groupby("search") if (rows["liked"] > 0).any()
    ]
    assert found.challenger["ndcg"] == pytest.approx(np.mean(each), rel=1e-9)
    assert found.challenger["ndcg"] > 0.9


def test_queries_are_numbered_within_the_rows_they_are_asked_for() -> None:
    table = table_of(searches())
    number = queries(table.columns, table.frame.iloc[100:140])
    assert number is not None
    assert set(number) == set(range(max(number) + 1))
    assert (
        queries(table_of(searches().drop(columns="search"), {**TIMELESS, "task": "regression", "query": None}).columns, table.frame) is None
    )


def test_a_champion_is_compared_on_queries_that_began_after_it() -> None:
    table = table_of(searches(spread=40.0))
    through = START + timedelta(days=100)
    known = Champion("shop", "1", "", "", through, "", "", "", "lightgbm", {}, {})
    split = cut(table, known, test="20d")
    assert split.unseen
    assert table.frame.groupby("search")["when"].transform("min").iloc[split.test].min() > through


def test_a_fold_of_rows_that_lie_apart_is_put_back_in_the_order_of_the_table() -> None:
    table = table_of(searches(count=60, spread=60.0))
    for fold in cut(table, test="5d").folds:
        assert isinstance(fold, Fold)
        assert (np.diff(fold.train) > 0).all()
