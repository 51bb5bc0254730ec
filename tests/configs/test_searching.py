"""What must hold of what is searched, and how: every fault with its key."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pydantic
import pytest

from configs.schema import RetrainConfig, json_schema
from configs.strict_yaml import parse_yaml

MINIMAL = """\
name: churn
source: {kind: csv, path: churn.csv}
target: left
time: month
features: {optional: {weather: [temp, humid]}}
"""
TIMELESS = MINIMAL.replace("time: month\n", "")


def config(yaml: str, base: str = MINIMAL) -> RetrainConfig:
    return RetrainConfig.model_validate(parse_yaml(base + yaml, "churn.yaml"))


def faults(yaml: str, base: str = MINIMAL) -> list[str]:
    with pytest.raises(pydantic.ValidationError) as caught:
        config(yaml, base)
    assert caught.value.error_count() == 1
    return caught.value.errors()[0]["msg"].removeprefix("Value error, ").splitlines()


ALLOWED = [
    "model: {space: {num_leaves: 7..255 log, learning_rate: 0.02..0.3 log default 0.1, max_depth: [4, 6, 8], min_data_in_leaf: 20}}",
    "model: {space: {boosting: [gbdt, dart], drop_rate: {low: 0.05, high: 0.5, when: {boosting: dart}}}}",
    "model: {hyperparameters: {boosting: dart}, space: {drop_rate: {low: 0.05, high: 0.5, when: {boosting: [dart]}}}}",
    "model: {family: xgboost}\nalternatives: [{family: lightgbm}, {family: scikit, estimator: LogisticRegression}]",
    "alternatives: [{family: scikit, estimator: Ridge}, {family: scikit, estimator: Lasso}]\ntask: regression\nmodel: {family: lightgbm}",
    "space: {features.rare: 1..100 log, features.expand_time: [true, false], use.weather: [true, false], weights.half_life: [30d, none]}",
    "space: {weights.balance: [true, false], features.keep: {low: 10, high: 1000, log: true, when: {weights.balance: true}}}",
    "alternatives: [{family: xgboost}]\nspace: {features.rare: {low: 1, high: 9, when: {family: xgboost}}}",
    "tuning: {constraints: [num_leaves <= 2 ** 6, features.rare * 2 < num_leaves]}\nspace: {features.rare: 1..50}",
    "tuning: {constraints: [lambda < 10 * alpha, num_leaves > 8]}\nmodel: {family: xgboost}\nalternatives: [{family: lightgbm}]",
    "tuning: {reproducible: true}",
    "tuning: {reproducible: true, minutes: null, trials: 9}",
    "tuning: {executor: dask, dask: 'tcp://127.0.0.1:8786'}",
    "tuning: {search: grid, trials: null, minutes: null}\nmodel: {family: scikit, estimator: Ridge, space: {alpha: [0.1, 1, 10]}}",
    "model: {family: scikit, estimator: GaussianNB}",
    "tuning: {memory: {renamed: {leaves: num_leaves}}}",
    "weights: {column: importance, half_life: 90d, balance: true}",
]


@pytest.mark.parametrize("yaml", ALLOWED)
def test_what_is_meant_to_be_written_is_read_and_the_schema_knows_it(yaml: str) -> None:
    assert config(yaml)
    jsonschema.validate({**parse_yaml(MINIMAL, ""), **parse_yaml(yaml, "")}, SCHEMA)


SCHEMA: Any = json.loads(json_schema())


@pytest.mark.parametrize(
    ("yaml", "fault"),
    [
        (
            "model: {space: {drop_rate: {low: 0.1, high: 0.5, when: {bosting: [dart]}}}}",
            "model.space.drop_rate.when: there is no parameter 'bosting' here",
        ),
        (
            "model: {space: {boosting: [gbdt, dart], drop_rate: {low: 0.1, high: 0.5, when: {boosting: goss}}}}",
            "model.space.drop_rate.when.boosting: boosting is never goss; it is one of gbdt, dart",
        ),
        (
            "model: {space: {boosting: gbdt, drop_rate: {low: 0.1, high: 0.5, when: {boosting: dart}}}}",
            "model.space.drop_rate.when.boosting: boosting is never dart; it is always gbdt",
        ),
        (
            "model: {space: {max_depth: 2..9, drop_rate: {low: 0.1, high: 0.5, when: {max_depth: [5, 12]}}}}",
            "model.space.drop_rate.when.max_depth: max_depth is never 12; it lies between 2 and 9",
        ),
        (
            "model: {space: {drop_rate: {low: 0.1, high: 0.5, when: {learning_rate: 0.1}}}}",
            "model.space.drop_rate.when.learning_rate: learning_rate may be any real number between two;",
        ),
        (
            "model: {space: {max_depth: {low: 1, high: 2, when: {max_bin_by_feature: 1}}}}",
            "model.space.max_depth.when: there is no parameter 'max_bin_by_feature' here",
        ),
        (
            "model: {space: {max_depth: {low: 1, high: 2, when: {num_leaves: 8}}, num_leaves: {low: 7, high: 9, when: {max_depth: 1}}}}",
            "model.space.max_depth.when: max_depth and num_leaves hang on each other; leave one when out",
        ),
        (
            "alternatives: [{family: xgboost, space: {eta: {low: 0.1, high: 0.2, when: {x: 1}}}}]",
            "alternatives.0.space.eta.when: there is no parameter 'x' here",
        ),
        (
            "space: {features.rare: {low: 1, high: 9, when: {use.wether: true}}}",
            "space.features.rare.when: there is no parameter 'use.wether' here",
        ),
        ("alternatives: [{family: lightgbm}]", "alternatives.0: lightgbm is searched already, as model; widen the space there"),
        (
            "alternatives: [{family: xgboost}, {family: xgboost, max_bin: 64}]",
            "alternatives.1: xgboost is searched already, as alternatives.0;",
        ),
        (
            "task: regression\nalternatives: [{family: scikit, estimator: LogisticRegression}]",
            "alternatives.0: LogisticRegression is a classifier, a regression task needs a regressor",
        ),
        ("space: {features.rare: [0, 5]}", "space.features.rare must be at least 1, got 0"),
        ("space: {features.rare: float 1..9}", "space.features.rare must be a whole number, got 3.66"),
        ("space: {features.keep: 1..9}", "space.features.keep must be at least 2, got 1"),
        ("space: {features.rar: [5]}", "space.features.rar: cannot be searched; did you mean features.rare?"),
        ("space: {features.without: [weather]}", "space.features.without: cannot be searched;"),
        ("space: {weights.column: [a, b]}", "space.weights.column: cannot be searched;"),
        ("space: {num_leaves: 2..9}", "space.num_leaves: cannot be searched; there are features.rare"),
        ("space: {weights.half_life: [30]}", "space.weights.half_life: a duration is a number and one of s, m, h, d, w"),
        (
            "space: {use.wether: [true, false]}",
            "space.use.wether: there is no group 'wether' under features.optional; did you mean weather?",
        ),
        ("space: {use.weather: [1, 0]}", "space.use.weather must be [true, false]"),
        ("weights: {column: left}", "weights.column: left is the target already"),
        ("weights: {column: month}", "weights.column: month is the time column already"),
        ("key: [id]\nweights: {column: id}", "weights.column: id is part of the key already"),
        ("columns: {w: number}\nweights: {column: w}", "weights.column: w is declared a feature of kind number; it cannot be both"),
        ("task: regression\nweights: {balance: true}", "weights.balance: only classes can be balanced, a regression has none"),
        ("tuning: {executor: dask}", "tuning.dask: give the cluster's address, such as tcp://scheduler:8786;"),
        ("tuning: {dask: 'tcp://h:1'}", "tuning.dask: an address is only for executor: dask (executor is processes)"),
        ("tuning: {reproducible: true, minutes: 5}", "tuning.minutes: how far a search comes in minutes cannot be repeated;"),
        ("tuning: {reproducible: true, trials: null}", "tuning: give trials, minutes or both; a search without a limit never ends"),
        ("tuning: {search: gird}", "tuning.search: no search is called 'gird'; did you mean grid?"),
        ("tuning: {search: grid}", "tuning.search: a grid of 6 x 6 x"),
        ("tuning: {search: grid, trials: null}", "tuning.search: a grid of 6 x 6 x"),
        ("tuning: {search: hyperband, prune: median}", "tuning.prune: hyperband prunes by its own rule"),
        ("tuning: {search: tpe}\nmodel: {family: scikit, estimator: GaussianNB}", "tuning.search: tpe has nothing to search"),
        (
            "tuning: {constraints: ['num_leafs < 9']}",
            "tuning.constraints: 'num_leafs < 9': there is no parameter 'num_leafs'; did you mean num_",
        ),
        ("tuning: {constraints: ['num_leaves <']}", "tuning.constraints: 'num_leaves <': cannot be read: invalid syntax; it may have"),
        ("tuning: {constraints: ['1 < 2']}", "tuning.constraints: '1 < 2': names no parameter"),
        (
            "tuning: {constraints: ['open(num_leaves)']}",
            "tuning.constraints: 'open(num_leaves)': open(num_leaves) is not allowed; only numbers, texts, names,",
        ),
        ("tuning: {constraints: ['num_leaves < 2 ** 10 ** 10']}", "tuning.constraints: 'num_leaves < 2 ** 10 ** 10': 2 ** 10 ** 10 has no"),
        ("tuning: {constraints: ['num_leaves < text']}", "tuning.constraints: 'num_leaves < text': there is no parameter 'text'"),
        (
            "tuning: {constraints: ['num_leaves < \"a\"']}",
            "tuning.constraints: 'num_leaves < \"a\"' compares, or computes with, a text and a number",
        ),
        (
            "tuning: {constraints: ['num_leaves < 7', 'learning_rate > 0']}",
            "tuning.constraints: the search space is empty: none of 10,000 random settings satisfies 'num_leaves < 7'",
        ),
        (
            "tuning: {memory: {renamed: {leaves: num_leafs}}}",
            "tuning.memory.renamed.leaves: there is no parameter 'num_leafs'; did you mean num_l",
        ),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_with_its_key(yaml: str, fault: str) -> None:
    (found,) = faults(yaml)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("yaml", "fault"),
    [
        ("weights: {half_life: 30d}", "weights.half_life: age needs a time column"),
        ("space: {weights.half_life: [30d, 60d]}", "space.weights.half_life: age needs a time column"),
    ],
)
def test_age_needs_a_time_column(yaml: str, fault: str) -> None:
    (found,) = faults(yaml, TIMELESS)
    assert found.startswith(fault)


def test_groups_of_columns_are_checked() -> None:
    base = MINIMAL.replace("[temp, humid]", "[temp, left]")
    assert faults("", base) == ["features.optional.weather: left is no feature"]
    base = MINIMAL.replace("features: {", "features: {without: [wether], ")
    assert faults("", base) == ["features.without: there is no group 'wether' under features.optional"]


def test_a_weight_column_is_kept_and_is_no_feature() -> None:
    read = config("weights: {column: importance}")
    assert "importance" in read.kept_columns
    assert read.table.columns == {"importance": "ignore"}


def test_columns_of_optional_groups_must_be_there() -> None:
    assert {"temp", "humid"} <= set(config("").kept_columns)


def test_a_reproducible_search_has_no_minutes_by_itself() -> None:
    assert config("tuning: {reproducible: true}").tuning.minutes is None
    assert config("tuning: {reproducible: false}").tuning.minutes == 10
    again = RetrainConfig.model_validate(config("tuning: {reproducible: true}").model_dump(mode="json"))
    assert again == config("tuning: {reproducible: true}")


@pytest.mark.parametrize("yaml", ALLOWED)
def test_the_resolved_config_reads_back_as_itself(yaml: str) -> None:
    read = config(yaml)
    again = RetrainConfig.model_validate(read.model_dump(mode="json"))
    assert again == read
    assert again.digest() == read.digest()


@pytest.mark.parametrize("space", ["{num_leaves: {low: 1}}", "{num_leaves: null}", "{num_leaves: []}", "{num_leaves: {choices: 3}}"])
def test_the_schema_refuses_what_is_refused(space: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(parse_yaml(f"{MINIMAL}model: {{space: {space}}}", ""), SCHEMA)
