"""Reading a config: every fault at once, each with file, key, rule, value and the nearest right name."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.reading import parse_override, read_config
from configs.schema import RetrainConfig
from tasks.errors import ConfigError
from tasks.models import AnyModel
from tasks.models.lightgbm import LightGBM
from tasks.sources import AnySource
from tasks.sources.csv import Csv
from tasks.sources.sql import Sql

MINIMAL = """\
name: churn
source: {kind: csv, path: data/churn.csv}
target: left
time: month
"""
DURATION = "a duration is a number and one of s, m, h, d, w, such as 12h or 30d"
FAMILIES = [get_args(member.model_fields["family"].annotation)[0] for member in get_args(get_args(AnyModel)[0])]
SINGLE = "must be true or false, a whole number, a number or text"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "churn.yaml"
    path.write_text(MINIMAL)
    return path


def faults(file: Path, added: str = "", text: str = MINIMAL, **overrides: Any) -> list[str]:
    """The faults' lines, without the file's folder."""
    file.write_text(text + added)
    with pytest.raises(ConfigError) as caught:
        read_config(file, overrides)
    assert caught.value.exit_code == 2
    assert str(caught.value) == "\n".join(caught.value.faults)
    return [line.replace(f"{file.parent}/", "") for line in caught.value.faults]


def only_fault(file: Path, added: str = "", text: str = MINIMAL, **overrides: Any) -> str:
    found = faults(file, added, text, **overrides)
    assert len(found) == 1, found
    return found[0]


def test_a_minimal_config_needs_four_lines_and_gets_every_default(file: Path) -> None:
    config = read_config(file)
    assert config.name == "churn"
    assert config.time is not None
    assert config.time.column == "month"
    assert config.model == LightGBM()
    assert config.split.test == 0.2


def test_all_faults_come_at_once_each_on_a_line_with_file_and_key(file: Path) -> None:
    found = faults(file, "tuning: {trials: 0, minuts: 5, when: sometimes}\nseed: x\nsplit: {folds: 1}\ncolumns: {age: numbr}\n")
    assert sorted(found) == [
        "churn.yaml: columns.age must be 'number', 'category', 'date' or 'ignore', got 'numbr'; did you mean number?",
        "churn.yaml: seed must be a whole number, got 'x'",
        "churn.yaml: split.folds must be at least 2, got 1",
        "churn.yaml: tuning.minuts: there is no such key; did you mean minutes?",
        "churn.yaml: tuning.trials must be at least 1, got 0",
        "churn.yaml: tuning.when must be 'always', 'never' or 'auto', got 'sometimes'",
    ]


@pytest.mark.parametrize(
    ("added", "line"),
    [
        ("targt: x", "targt: there is no such key; did you mean target?"),
        ("trials: 20", "trials: there is no such key; did you mean tuning.trials?"),
        ("zzz: 1", "zzz: there is no such key"),
        (
            "split: {test: 30x}",
            f"split.test must be a number; or: {DURATION}, got '30x'",
        ),
        (
            "split: {test: 1.5}",
            f"split.test must be less than 1; or: {DURATION}, got 1.5",
        ),
        ("split: {fold: 5}", f"split.fold: {DURATION}, got 5"),
        ("positive: [1]", "positive must be true or false, a whole number or text, got a list"),
        ("metrics: mae", "metrics must be a list such as [a, b], got 'mae'"),
        ("metrics: [{}]", "metrics.0 must be text, got a mapping"),
        ("metric: rsme", "metric: no metric is called 'rsme'; did you mean rmse?"),
        ("tuning:", "tuning must be a mapping of keys to values, got nothing"),
        ("tuning: {prune: racin}", "tuning.prune must be 'auto', 'racing', 'median' or 'none', got 'racin'; did you mean racing?"),
        ("model: {family: lightgm}", f"model.family must be one of {', '.join(FAMILIES)}, got 'lightgm'; did you mean lightgbm?"),
        ("model: {max_rounds: 0}", "model.max_rounds must be at least 1, got 0"),
        (
            "model: {hyperparameters: {a: [1]}}",
            f"model.hyperparameters.a {SINGLE}, got a list",
        ),
        ("model: {space: {float: {type: float, low: 1}}}", "model.space.float.high is required"),
        ("model: {space: {a: {type: flot}}}", "model.space.a.type must be one of float, int, categorical, got 'flot'; did you mean float?"),
        ("model: {space: {a: {low: 1}}}", "model.space.a.high is required"),
        ("model: {space: {a: {}}}", "model.space.a.type is required: one of float, int, categorical"),
        ("model: {space: {a: null}}", "model.space.a must be a mapping of keys to values, got nothing"),
        ("model: {space: {a: []}}", "model.space.a must have at least 1 value(s), got a list"),
        ("model: {space: {a: [b, b]}}", "model.space.a: choices must differ, got 'b' and 'b'"),
        ("model: {space: {a: 9..2}}", "model.space.a: low must be below high, got low 9 and high 2"),
        ("model: {space: {a: 0..2 log}}", "model.space.a: a logarithmic scale needs low above 0, got 0"),
        (
            "model: {space: {a: 1..2 lag}}",
            "model.space.a: after the range may stand log or reverse_log, step and default, each once; 'lag' may not, got '1..2 lag'",
        ),
        ("model: {space: {a: 1..2 default 3}}", "model.space.a: default must lie between low 1 and high 2, got 3"),
        ("model: {space: {a: {low: 1, high: 2, stepp: 1}}}", "model.space.a.stepp: there is no such key; did you mean step?"),
        ("tuning: {minutes: 0}", "tuning.minutes must be more than 0, got 0"),
        ("tuning: {failed_trials: 0}", "tuning.failed_trials must be at least 1, got 0"),
        ("tuning: {trial_memory: 0}", "tuning.trial_memory must be more than 0, got 0"),
        ("tuning: {search: tpee}", "tuning.search: no search is called 'tpee'; did you mean tpe?"),
        ("model: {space: {a: {type: int, low: 3, high: 1}}}", "model.space.a: low must be below high, got low 3 and high 1"),
        ("validation: {expectations: [3]}", "validation.expectations.0 must be a mapping of keys to values, got 3"),
    ],
)
def test_a_fault_says_rule_value_and_nearest_name_in_one_line(file: Path, added: str, line: str) -> None:
    assert only_fault(file, added) == f"churn.yaml: {line}"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{kind: csvv, path: x}", "source.kind must be one of csv, parquet, sql, duckdb, python, got 'csvv'; did you mean csv?"),
        ("{path: x}", "source.kind is required: one of csv, parquet, sql, duckdb, python"),
        ("data.csv", "source must be a mapping of keys to values, got 'data.csv'"),
        ("{kind: csv}", "source.path is required"),
        ("{kind: csv, path: x, seperator: ;}", "source.seperator: there is no such key; did you mean separator?"),
        ("{kind: csv, path: 5}", "source.path must be a path, got 5"),
        (
            "{kind: csv, path: x, encoding: utf-9}",
            "source.encoding: there is no such text encoding; common ones are utf-8, latin-1, cp1252 and utf-16, got 'utf-9'",
        ),
        ("{kind: csv, path: x, separator: ';;'}", "source.separator must be one character, other than a quote or a line break, got ';;'"),
        ("{kind: sql, query: SELECT 1}", "source: give exactly one of url and url_env"),
        (
            "{kind: python, function: flights}",
            "source.function must be module:function, such as configs.flights:read_flights, got 'flights'",
        ),
        (
            "{kind: python, function: a:b, arguments: {x: [[1]]}}",
            f"source.arguments.x.0 {SINGLE}, got a list",
        ),
    ],
)
def test_a_fault_in_a_source_is_told_under_its_own_key(file: Path, source: str, line: str) -> None:
    text = MINIMAL.replace("{kind: csv, path: data/churn.csv}", source)
    assert only_fault(file, text=text) == f"churn.yaml: {line}"


def test_every_kind_of_source_and_family_is_named_without_being_listed_anywhere_else(file: Path) -> None:
    for key, union, chooser in (("source", AnySource, "kind"), ("model", AnyModel, "family")):
        names = [get_args(member.model_fields[chooser].annotation)[0] for member in get_args(get_args(union)[0])]
        text = MINIMAL if key == "model" else MINIMAL.replace("{kind: csv, path: data/churn.csv}", "{kind: other}")
        line = only_fault(file, "model: {family: other}" if key == "model" else "", text)
        assert line == f"churn.yaml: {key}.{chooser} must be one of {', '.join(names)}, got 'other'"
        for name in names:
            wrong = f"{{{chooser}: {name}, nonsense: 1}}"
            text = MINIMAL if key == "model" else MINIMAL.replace("{kind: csv, path: data/churn.csv}", wrong)
            lines = faults(file, f"model: {wrong}" if key == "model" else "", text)
            assert f"churn.yaml: {key}.nonsense: there is no such key" in lines, f"no label of {name} in the key"


def test_a_length_of_time_beyond_any_clock_is_a_fault_too(file: Path) -> None:
    assert only_fault(file, "validation: {clock_tolerance: 99999999999w}").startswith("churn.yaml: ")


def test_golden_rows_are_looked_for_beside_the_config(file: Path) -> None:
    file.write_text(MINIMAL + "gate: {golden: golden/rows.csv}\n")
    assert read_config(file).gate.golden == file.parent / "golden" / "rows.csv"


def test_what_is_required_is_named(file: Path) -> None:
    assert faults(file, text="description: nothing else\n") == [f"churn.yaml: {key} is required" for key in ("target", "name", "source")]


@pytest.mark.parametrize(
    "name", ["../../etc", "/abs", "a/b", "..%2f", "a\\b", "", ".hidden", "-rf", "a b", "x" * 64, "a\nb", "a\n", "\u202eevil", "ä"]
)
def test_a_name_that_could_leave_its_folder_is_refused(file: Path, name: str) -> None:
    for text in (MINIMAL.replace("churn\n", f"{json.dumps(name)}\n", 1), f"{MINIMAL}registry: {{model: {json.dumps(name)}}}\n"):
        if name or "registry" not in text:
            assert "must be at most 63 letters, digits, - and _" in only_fault(file, text=text)


def test_control_characters_of_a_key_or_a_value_do_not_reach_the_terminal(file: Path) -> None:
    lines = faults(file, '"bad\\n\\e[31mkey": 1\nseed: "bad\\n\\e[31mvalue"\n')
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 2


def test_a_long_value_is_cut(file: Path) -> None:
    assert len(only_fault(file, f"seed: {'x' * 10_000}")) < 200


# secrets


@pytest.mark.parametrize(
    "source",
    [
        "{kind: sql, url: [hunter2], query: q}",
        "{kind: sql, url: 'postgresql://me:hunter2@host/db', url_env: X, query: q}",
        "{kind: sql, url: 'postgresql://me:hunter2@host/db', query: 5, connect_timeout: 0}",
        "postgresql://me:hunter2@host/db",
        "{kind: 'postgresql://me:hunter2@host/db'}",
        "{kind: csv, path: 's3://key:hunter2@bucket/x'}",
        "{kind: csv, path: 'https://host/x?token=hunter2'}",
        "{kind: duckdb, path: 'md://x?motherduck_token=hunter2', query: q}",
    ],
)
def test_a_fault_beside_a_secret_does_not_show_it(file: Path, source: str) -> None:
    assert "hunter2" not in "".join(faults(file, text=MINIMAL.replace("{kind: csv, path: data/churn.csv}", source)))


def test_an_override_beside_a_secret_does_not_show_it(file: Path) -> None:
    for key, value in (("source.url", ["hunter2"]), ("source.url", 5), ("source", "postgresql://me:hunter2@host")):
        assert "hunter2" not in "".join(faults(file, **{key: value}))
    for text in ("source.url='hunter2", "=hunter2", "hunter2"):
        with pytest.raises(ConfigError) as caught:
            parse_override(text)
        assert "hunter2" not in str(caught.value).replace("got 'hunter2'", "the part before =, which is the key")
    file.write_text(MINIMAL.replace("{kind: csv, path: data/churn.csv}", "postgresql://me:hunter2@host/db"))
    with pytest.raises(ConfigError) as caught:
        read_config(file, {"source.query": "SELECT 1"})
    assert "hunter2" not in str(caught.value)


# files


def test_a_missing_file_is_named_with_the_nearest_one(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"chrun\.yaml: there is no such file; did you mean .*churn\.yaml\?"):
        read_config(file.with_name("chrun.yaml"))
    with pytest.raises(ConfigError, match=r"zzz\.toml: there is no such file$"):
        read_config(file.parent / "gone" / "zzz.toml")


def test_a_folder_a_pipe_a_device_and_a_huge_file_are_refused_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(10_000_000_000)
    for path in (tmp_path, tmp_path / "pipe.yaml", Path("/dev/zero"), tmp_path / "huge.yaml"):
        with pytest.raises(ConfigError, match="must be a YAML file of at most 500,000 bytes"):
            read_config(path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_an_impossible_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / name)


def test_a_file_that_is_not_utf8_is_refused_with_the_byte(file: Path) -> None:
    file.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="must be UTF-8 text; byte 9 is 0xe9"):
        read_config(file)


def test_a_byte_order_mark_is_allowed(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert read_config(file).name == "churn"


@pytest.mark.parametrize(("text", "got"), [("", "nothing"), ("[1]", "a list"), ("words", "a str"), ("# only a comment", "nothing")])
def test_a_file_that_is_no_mapping_is_refused(file: Path, text: str, got: str) -> None:
    assert only_fault(file, text=text) == f"churn.yaml: must be a mapping with name, source and target, got {got}"


def test_yaml_faults_name_file_line_and_column(file: Path) -> None:
    assert only_fault(file, "target: other\n") == "churn.yaml: line 5, column 1: the key 'target' stands here twice"


def test_typing_traps_do_not_spring(file: Path) -> None:
    config = read_config(_with(file, "positive: no\ndescription: 12:30:00\nkey: [2013-01-01, 007]\ngate: {ceilings: {rmse: 1e3}}\n"))
    assert (config.positive, config.description, config.key) == ("no", "12:30:00", ("2013-01-01", "007"))
    assert config.gate.ceilings == {"rmse": 1000.0}


def _with(file: Path, added: str) -> Path:
    file.write_text(MINIMAL + added)
    return file


# paths


def test_relative_paths_start_at_the_files_folder(file: Path) -> None:
    source = read_config(file).source
    assert isinstance(source, Csv)
    assert source.path == file.parent / "data" / "churn.csv"


def test_a_relative_sqlite_address_starts_at_the_files_folder(file: Path) -> None:
    source = read_config(file, {"source": {"kind": "sql", "url": "sqlite:///churn.db", "query": "SELECT 1"}}).source
    assert isinstance(source, Sql)
    assert source.location == f"sqlite:///{file.parent}/churn.db"


def test_absolute_paths_stay(file: Path) -> None:
    assert read_config(file, {"source.path": "/data/churn.csv"}).source.location == "/data/churn.csv"


# overrides


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("tuning.trials=20", "tuning.trials", 20),
        ("tuning.when=never", "tuning.when", "never"),
        ("tuning.trials=null", "tuning.trials", None),
        ("description=", "description", None),
        ("description=a=b", "description", "a=b"),
        ("metrics=[mae, r2]", "metrics", ["mae", "r2"]),
        ("gate.floors={roc_auc: 0.7}", "gate.floors", {"roc_auc": 0.7}),
        (" seed = 5", "seed", 5),
    ],
)
def test_an_override_is_a_key_and_a_yaml_value(text: str, key: str, value: Any) -> None:
    assert parse_override(text) == (key, value)


@pytest.mark.parametrize("text", ["trials", "=5", "a..b=5", ".a=5", "a.=5", ""])
def test_an_override_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set takes key=value, such as tuning\.trials=20"):
        parse_override(text)


@pytest.mark.parametrize("text", ["a=[1", "a={b: 1, b: 2}", "a=*x", "a=!!python/none", f"a={'[' * 1000}", "a=\udcff"])
def test_an_override_whose_value_is_no_yaml_is_refused_by_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--set a: "):
        parse_override(text)


def test_overrides_win_over_the_file_and_make_the_sections_they_need(file: Path) -> None:
    config = read_config(
        _with(file, "tuning: {trials: 5, minutes: 1}\nvalidation:\n"),
        {
            "tuning.trials": 20,
            "gate.floors": {"roc_auc": 0.7},
            "gate.floors.accuracy": 0.5,
            "metrics": ["roc_auc"],
            "validation.min_rows": 50,
        },
    )
    assert (config.tuning.trials, config.tuning.minutes) == (20, 1)
    assert config.gate.floors == {"roc_auc": 0.7, "accuracy": 0.5}
    assert config.metrics == ("roc_auc",)
    assert config.validation.min_rows == 50


def test_a_key_can_be_set_below_the_short_form_of_time(file: Path) -> None:
    time = read_config(file, {"time.label_delay": "1d"}).time
    assert time is not None
    assert (time.column, time.label_delay) == ("month", timedelta(days=1))


def test_the_callers_overrides_stay_as_they_were(file: Path) -> None:
    overrides: dict[str, Any] = {"gate.floors": {"roc_auc": 0.7}, "gate.floors.accuracy": 0.5}
    read_config(file, overrides)
    assert overrides["gate.floors"] == {"roc_auc": 0.7}


def test_a_fault_that_an_override_brought_in_is_blamed_on_it(file: Path) -> None:
    assert only_fault(file, **{"tuning.trials": 0}) == "--set tuning.trials: tuning.trials must be at least 1, got 0"
    assert only_fault(file, **{"tuning.trails": 5}) == "--set tuning.trails: tuning.trails: there is no such key; did you mean trials?"
    assert only_fault(file, **{"tunig.trials": 5}) == "--set tunig.trials: tunig: there is no such key; did you mean tuning?"
    assert only_fault(file, split={"folds": 1}) == "--set split: split.folds must be at least 2, got 1"
    assert only_fault(file, "seed: -1", **{"tuning.trials": 5}) == "churn.yaml: seed must be at least 0, got -1"


def test_a_key_cannot_be_set_below_a_value(file: Path) -> None:
    assert only_fault(file, **{"target.x": 5}) == "--set target.x: target must be a mapping to set a key in it, got 'left'"


# anything at all

KEYS = st.sampled_from(
    [*RetrainConfig.model_fields, "kind", "path", "query", "url", "family", "space", "low", "type", "trials", "column", "float", "x"]
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "csv",
            "sql",
            "python",
            "lightgbm",
            "scikit",
            "Ridge",
            "30d",
            "99999999999d",
            "roc_auc",
            "number",
            "int",
            "binary",
            "a:b",
            "sqlite:///x",
        ]
    )
)
ANYTHING = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5), max_leaves=20
)
NEARLY_RIGHT = st.dictionaries(KEYS, ANYTHING, max_size=6).map(
    lambda added: {"name": "a", "target": "y", "time": "t", "source": {"kind": "csv", "path": "x"}} | added
)


@settings(max_examples=400, deadline=None)
@given(ANYTHING | NEARLY_RIGHT)
def test_no_content_raises_anything_but_a_config_error(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.yaml"
    path.write_text(
        json.dumps(content, ensure_ascii=False).replace("NaN", ".nan").replace("Infinity", ".inf"), encoding="utf-8", errors="replace"
    )
    with contextlib.suppress(ConfigError):
        read_config(path)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.lists(KEYS, min_size=1, max_size=3).map(".".join), ANYTHING, max_size=4))
def test_no_override_raises_anything_but_a_config_error(tmp_path_factory: pytest.TempPathFactory, overrides: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "overridden.yaml"
    path.write_text(MINIMAL)
    with contextlib.suppress(ConfigError):
        read_config(path, overrides)
