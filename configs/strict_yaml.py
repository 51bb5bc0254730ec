"""YAML without its traps: a text is read as people mean it, or refused with line and column.

YAML 1.2's plain scalars (`no`, 12:30:00, 007 and dates are text, 1e3 is a number), keys are always text and stand once;
no tags, no aliases (a bomb of 300 bytes unfolds to gigabytes), and limits on size, depth and number of values.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from tasks.errors import ConfigError

LARGEST = 500_000
"""Characters, or bytes; a config with ten thousand columns has half of it."""
DEEPEST = 20
MOST_VALUES = 25_000
"""Keys and values, which take about a second to read."""


def parse_yaml(text: str, name: str) -> Any:
    """Plain dicts, lists, texts, numbers, booleans and None. Raises ConfigError, which begins with `name`."""
    if len(text) > LARGEST:
        raise ConfigError(f"{name}: must have at most {LARGEST:,} characters, got {len(text):,}")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{name}: {where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from None


_PLAIN = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
"""Type, what it looks like, and the characters it may begin with."""


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses what parse_yaml promises to refuse."""

    yaml_implicit_resolvers = {
        first: [(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$")) for kind, pattern, firsts in _PLAIN if first in firsts]
        for first in ("", *"~+-.0123456789nNtTfF")
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self.values += 1
        if isinstance(event, yaml.AliasEvent):
            raise _refused(f"aliases are not supported, got *{event.anchor}", event)
        if (tag := getattr(event, "tag", None)) is not None:
            raise _refused(f"tags are not supported, got {tag}; quote a text that begins with !", event)
        if self.depth >= DEEPEST:
            raise _refused(f"nested deeper than {DEEPEST} levels", event)
        if self.values > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES:,} keys and values", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        content: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a key must be text", key)
            if key.value in content:
                raise _refused(f"the key {key.value!r} stands here twice", key)
            content[key.value] = self.construct_object(value, deep=deep)
        return content


def _refused(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
