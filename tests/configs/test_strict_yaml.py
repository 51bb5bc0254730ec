"""YAML read as people mean it, and its traps refused with line and column."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.strict_yaml import DEEPEST, LARGEST, MOST_VALUES, parse_yaml
from tasks.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12:30:00", "12:30:00"),
        ("2013-10-01", "2013-10-01"),
        ("2013-10-01 12:30:00", "2013-10-01 12:30:00"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        ("=", "="),
        ("<<", "<<"),
        ("30d", "30d"),
        ('"5"', "5"),
        ("'null'", "null"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("5", 5),
        ("-5", -5),
        ("+5", 5),
        ("0", 0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("[1, x, ~]", [1, "x", None]),
    ],
)
def test_plain_values_are_read_as_people_mean_them(written: str, meant: Any) -> None:
    value = parse_yaml(f"a: {written}", "x.yaml")["a"]
    assert value == meant
    assert type(value) is type(meant)


def test_keys_are_always_text() -> None:
    assert parse_yaml("2013: a\nno: b\ntrue: c\n1e3: d\n~: e", "x.yaml") == {"2013": "a", "no": "b", "true": "c", "1e3": "d", "~": "e"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands here twice"),
        ("x: {a: 1, 'a': 2}", "line 1, column 11: the key 'a' stands here twice"),
        ("[1]: 2", "line 1, column 1: a key must be text"),
        ("a: &x [1]\nb: *x", r"line 2, column 4: aliases are not supported, got \*x"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: tags are not supported, got tag:yaml.org,2002:python/object/apply"),
        ("a: !!binary aGk=", "tags are not supported"),
        ("a: !!int x", "tags are not supported"),
        ("a: !secret x", "tags are not supported, got !secret"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed here"),
        ("a: [1", "line 1, column 6: expected ',' or ']'"),
        ("\ta: 1", "line 1, column 1: found character '\\\\t'"),
        ("a: 1\n---\nb: 2", "line 2, column 1: .*another document"),
        ("a: \0", "unacceptable character #x0000"),
        ("a: \ud800", "unacceptable character"),
        (f"a: {'9' * 5000}", "not valid YAML: .*digits"),
    ],
)
def test_what_is_refused_is_told_with_its_place(text: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=f"^x.yaml: .*{rule}"):
        parse_yaml(text, "x.yaml")


def bomb() -> str:
    """324 bytes that unfold to 10^9 texts when something walks them."""
    levels = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(levels)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (bomb(), "aliases are not supported"),
        ("[" * 100_000, f"nested deeper than {DEEPEST} levels"),
        ("{a: " * 50_000, f"nested deeper than {DEEPEST} levels"),
        ("- " * 50_000, f"nested deeper than {DEEPEST} levels"),
        (f"a: [{'1,' * 200_000}]", f"more than {MOST_VALUES:,} keys and values"),
        ("x" * (LARGEST + 1), f"must have at most {LARGEST:,} characters"),
    ],
    ids=["aliases", "lists", "mappings", "dashes", "values", "characters"],
)
def test_bombs_are_refused_before_they_unfold(text: str, rule: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ConfigError, match=rule):
        parse_yaml(text, "x.yaml")
    # about a second on a quiet machine
    assert time.perf_counter() - started < 10


def test_a_config_with_ten_thousand_columns_is_read() -> None:
    text = "columns:\n" + "".join(f"  column_{number}: number\n" for number in range(10_000))
    assert len(parse_yaml(text, "x.yaml")["columns"]) == 10_000


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab01 :-[]{},&*!|>'\"#%@\n\t?~.=<\\", max_size=40))
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_yaml(text, "x.yaml")


PRINTED = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]))
KEYS = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PRINTED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(PLAIN)
def test_json_is_read_back(value: Any) -> None:
    assert parse_yaml(json.dumps(value, ensure_ascii=False), "x") == value
