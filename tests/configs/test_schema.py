"""RetrainConfig: what must hold between its parts, what its digest covers, and the schema that editors read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pydantic
import pytest
import yaml

from configs.schema import RetrainConfig, json_schema
from tasks.models import AnyModel
from tasks.sources import AnySource

MINIMAL: dict[str, Any] = {"name": "churn", "source": {"kind": "csv", "path": "churn.csv"}, "target": "left", "time": "month"}
TIMELESS = {key: value for key, value in MINIMAL.items() if key != "time"}


def config(base: dict[str, Any] = MINIMAL, **changed: Any) -> RetrainConfig:
    return RetrainConfig.model_validate(base | changed)


def faults(base: dict[str, Any] = MINIMAL, **changed: Any) -> list[str]:
    with pytest.raises(pydantic.ValidationError) as caught:
        config(base, **changed)
    assert caught.value.error_count() == 1
    return caught.value.errors()[0]["msg"].removeprefix("Value error, ").splitlines()


# what must hold between the parts


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"columns": {"left": "number"}}, "columns.left: is already the target, it cannot be a feature of kind number"),
        ({"columns": {"month": "date"}}, "columns.month: is already the time column, it cannot be a feature of kind date"),
        ({"target": "month"}, "target: month is the time column too"),
        ({"key": ["id", "left"]}, "key: the target left cannot be part of the key"),
        ({"split": {"group": "shop"}}, "split.group: rows are split by time here; leave group out, or time"),
        ({"tuning": {"trials": None, "minutes": None}}, "tuning: give trials, minutes or both; a search without a limit never ends"),
        ({"metric": "rmse", "task": "binary"}, "metric: metric rmse does not fit a binary task"),
        ({"metrics": ["rocauc"]}, "metrics: no metric is called 'rocauc'; did you mean roc_auc?"),
        ({"gate": {"floors": {"acuracy": 1}}}, "gate.floors: no metric is called 'acuracy'; did you mean accuracy?"),
        ({"metric": "rmse", "metrics": ["roc_auc"]}, "metric, metrics and gate name metrics that no single task can have"),
        ({"gate": {"floors": {"log_loss": 0.1}}}, "gate.floors.log_loss: less log_loss is better; put it under gate.ceilings"),
        ({"gate": {"ceilings": {"r2": 0.1}}}, "gate.ceilings.r2: more r2 is better; put it under gate.floors"),
        ({"registry": {"model": "../x"}}, "registry.model must be at most 63 letters, digits, - and _, got '../x'"),
    ],
)
def test_parts_that_contradict_each_other_are_named(changed: dict[str, Any], fault: str) -> None:
    (found,) = faults(**changed)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("split", "fault"),
    [
        ({"test": "30d"}, "split.test: a length of time needs a time column; name it under time, or give a share such as 0.2"),
        ({"fold": "30d"}, "split.fold: a length of time needs a time column"),
        ({"training_window": "1w"}, "split.training_window: a length of time needs a time column"),
        ({"group": "left"}, "split.group: rows cannot be grouped by the target left"),
    ],
)
def test_a_table_without_time_has_no_lengths_of_time(split: dict[str, Any], fault: str) -> None:
    (found,) = faults(TIMELESS, split=split)
    assert found.startswith(fault)


def test_contradictions_come_all_at_once() -> None:
    found = faults(TIMELESS, key=["left"], split={"test": "30d", "fold": "7d"}, metric="rsme", tuning={"trials": None, "minutes": None})
    assert [line.partition(":")[0] for line in found] == ["key", "split.test", "split.fold", "metric", "tuning"]


def test_what_is_allowed_stays_allowed() -> None:
    assert config(columns={"left": "ignore", "month": "ignore"}, gate={"floors": {"roc_auc": 0.6}, "ceilings": {"log_loss": 0.7}})
    assert config(TIMELESS, split={"group": "shop", "test": 0.3})
    assert config(tuning={"trials": None})


def test_a_model_without_a_family_is_lightgbm() -> None:
    assert config(model={"max_rounds": 5}).model.family == "lightgbm"
    assert config(model={"family": "xgboost"}).model.family == "xgboost"


def test_the_registered_model_has_the_configs_name_unless_told_otherwise() -> None:
    assert config().model_name == "churn"
    assert config(registry={"model": "churn-2"}).model_name == "churn-2"


def test_the_table_part_has_the_columns_and_nothing_else() -> None:
    table = config(columns={"age": "number"}, key=["id"]).table
    assert (table.target, table.columns, table.key) == ("left", {"age": "number"}, ("id",))
    assert not hasattr(table, "source")


def test_threads_are_never_more_than_this_process_may_use() -> None:
    allowed = len(os.sched_getaffinity(0))
    assert config().usable_threads == allowed
    assert config(threads=1).usable_threads == 1
    assert config(threads=10_000).usable_threads == allowed


# the digest

CHANGED: dict[str, Any] = {
    "name": "churn-2",
    "target": "gone",
    "task": "binary",
    "positive": "yes",
    "time": {"column": "month", "label_delay": "1d"},
    "key": ["id"],
    "columns": {"age": "number"},
    "other_columns": "ignore",
    "max_categories": 7,
    "validation": {"min_rows": 77},
    "split": {"test": 0.3},
    "features": {"rare": 7},
    "model": {"hyperparameters": {"num_leaves": 7}},
    "alternatives": [{"family": "xgboost"}],
    "weights": {"half_life": "30d"},
    "space": {"features.rare": "5..50 log"},
    "metric": "roc_auc",
    "metrics": ["accuracy"],
    "tuning": {"trials": 7},
    "gate": {"margin": 0.1},
    "registry": {"refit": False},
    "seed": 7,
}
UNDIGESTED = {
    "description": "other words",
    "threads": 1,
    "source": {"kind": "csv", "path": "elsewhere.csv"},
    "operation": {"schedules": [{"cron": "0 6 * * *"}]},
}


def test_every_field_is_known_to_the_digests_tests() -> None:
    assert set(CHANGED) | set(UNDIGESTED) | {"query"} == set(RetrainConfig.model_fields)


@pytest.mark.parametrize("key", CHANGED)
def test_whatever_can_change_what_is_trained_or_decided_changes_the_digest(key: str) -> None:
    assert config(**{key: CHANGED[key]}).digest() != config().digest()


def test_the_queries_of_a_ranking_change_the_digest() -> None:
    one, other = (config(task="ranking", query=query) for query in ("shop", "visit"))
    assert one.digest() != other.digest()


def test_the_content_of_the_golden_rows_counts_not_where_they_are(tmp_path: Path) -> None:
    here, there, others = (tmp_path / name for name in ("here.csv", "there.csv", "others.csv"))
    for path, rows in ((here, "age,left\n7,1\n"), (there, "age,left\n7,1\n"), (others, "age,left\n7,0\n")):
        path.write_text(rows)
    digests = [config(gate={"golden": str(path)}).digest() for path in (here, there, others)]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] != config().digest()


@pytest.mark.parametrize("settings", [{"gate": {"explain": False}}, {"registry": {"lease_seconds": 5}}])
def test_what_only_tells_or_waits_does_not(settings: dict[str, Any]) -> None:
    assert config(**settings).digest() == config().digest()


@pytest.mark.parametrize("key", UNDIGESTED)
def test_what_cannot_does_not(key: str) -> None:
    assert config(**{key: UNDIGESTED[key]}).digest() == config().digest()


def test_the_order_of_keys_and_the_form_of_a_value_do_not_matter() -> None:
    one = config(columns={"a": "number", "b": "date"}, gate={"margin": 0.1, "min_rows": 5}, time="month")
    other = config(dict(reversed(MINIMAL.items())), gate={"min_rows": 5, "margin": 0.1}, columns={"b": "date", "a": "number"})
    assert one.digest() == other.digest()
    assert config(time={"column": "month", "label_delay": "24h"}).digest() == config(time={"column": "month", "label_delay": "1d"}).digest()


def test_a_default_written_out_is_the_default() -> None:
    assert config(seed=0, tuning={"trials": 50}, model={"family": "lightgbm"}).digest() == config().digest()


def test_the_resolved_config_reads_back_as_itself() -> None:
    first = config(**CHANGED)
    again = RetrainConfig.model_validate(yaml.safe_load(yaml.safe_dump(first.model_dump(mode="json"))))
    assert again == first
    assert again.digest() == first.digest()


def test_a_secret_is_never_part_of_the_resolved_config() -> None:
    secretive = config(source={"kind": "sql", "url": "postgresql://me:hunter2@host/db", "query": "SELECT 1"})
    assert "hunter2" not in secretive.model_dump_json() + repr(secretive) + str(secretive.model_dump(mode="json"))


# the JSON Schema

SCHEMA = json.loads(json_schema())


def test_the_schema_is_a_valid_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_every_field_of_every_settings_class() -> None:
    classes = _classes(RetrainConfig)
    assert len(classes) > 15
    for kind in classes - {RetrainConfig}:
        assert set(SCHEMA["$defs"][kind.__name__]["properties"]) == set(kind.model_fields), kind
    assert set(SCHEMA["properties"]) == set(RetrainConfig.model_fields)


def test_every_key_of_a_config_and_of_its_source_says_what_it_is_for() -> None:
    sources = {member.__name__: SCHEMA["$defs"][member.__name__] for member in get_args(get_args(AnySource)[0])}
    for name, part in {"config": SCHEMA, **sources}.items():
        for key, field in part["properties"].items():
            described = field.get("description") or SCHEMA["$defs"].get(field.get("$ref", "").rpartition("/")[2], {}).get("description")
            assert described, f"{name}.{key}"


def _classes(kind: Any) -> set[type[pydantic.BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        below = [_classes(field.annotation) for field in kind.model_fields.values()]
        return {kind}.union(*below)
    return set().union(*[_classes(part) for part in get_args(kind)])


@pytest.mark.parametrize(
    "content",
    [
        MINIMAL,
        TIMELESS | {"split": {"test": 0.3, "group": "shop"}},
        MINIMAL | CHANGED,
        MINIMAL | {"model": {"max_rounds": 5, "space": {"num_leaves": {"type": "int", "low": 2, "high": 9}}}},
        MINIMAL | {"source": {"kind": "sql", "url_env": "DATA_URL", "query": "SELECT 1"}, "split": {"test": "30d"}},
    ],
)
def test_the_schema_allows_what_is_allowed(content: dict[str, Any]) -> None:
    assert config(content)
    jsonschema.validate(content, SCHEMA)


@pytest.mark.parametrize("file", sorted(Path(__file__).parents[2].glob("configs/*.yaml")), ids=lambda file: file.stem)
def test_the_schema_allows_the_shipped_configs(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize(
    "changed",
    [
        {"nonsense": 1},
        {"tuning": {"trials": 0}},
        {"columns": {"age": "numbr"}},
        {"source": {"kind": "csvv"}},
        {"name": "../x"},
        {"seed": "x"},
        {"time": 5},
    ],
)
def test_the_schema_refuses_what_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(MINIMAL | changed, SCHEMA)


def test_every_family_and_kind_is_in_the_schema() -> None:
    for union, key, chooser in ((AnySource, "source", "kind"), (AnyModel, "model", "family")):
        names = {get_args(member.model_fields[chooser].annotation)[0] for member in get_args(get_args(union)[0])}
        assert set(SCHEMA["properties"][key]["discriminator"]["mapping"]) == names
