"""A YAML file and overrides -> RetrainConfig; every fault at once, each with file, key, rule, value and the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic
import yaml
from pydantic_core import ErrorDetails

from configs.schema import RetrainConfig
from tasks.errors import ConfigError

LARGEST_FILE = 1_000_000
DEEPEST = 20


def read_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> RetrainConfig:
    """Read one config; `overrides` maps dotted keys such as tuning.trials to values.

    Raises ConfigError with every fault in `faults`. Relative paths in the file are relative to its folder.
    """
    path = Path(path)
    content = _load(path)
    for key, value in (overrides or {}).items():
        _place(content, key, value)
    _anchor(content, path.parent)
    try:
        return RetrainConfig.model_validate(content)
    except pydantic.ValidationError as error:
        faults = tuple(_explain(path, fault) for fault in error.errors(include_url=False))
        raise ConfigError("\n".join(faults), faults) from None


def parse_override(text: str) -> tuple[str, Any]:
    """`tuning.trials=20` -> ("tuning.trials", 20), the value read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set takes key=value, such as tuning.trials=20; got {text!r}")
    try:
        return key.strip(), yaml.load(value, _StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: {value!r} is not YAML: {_problem(error)}") from None


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without its traps: no aliases (bombs), no duplicate keys, no base-60 numbers; 1e3 is a number."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not supported", parent.start_mark if parent else None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands here twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _plain_scalars() -> None:
    """YAML 1.2's reading of plain scalars: only true/false are booleans, 1e3 is a float, 12:30:00 is text, dates stay text."""
    import re

    resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    rules = (
        ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
        ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9_]*)$", "-+0123456789"),
        (
            "tag:yaml.org,2002:float",
            r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf)$|^\.(?:nan|NaN)$",
            "-+0123456789.",
        ),
    )
    for tag, pattern, firsts in rules:
        for first in firsts:
            resolvers.setdefault(first, []).append((tag, re.compile(pattern)))
    _StrictLoader.yaml_implicit_resolvers = resolvers


_plain_scalars()


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{path}: a config may have at most {LARGEST_FILE:,} bytes")
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], n=1) if path.parent.is_dir() else []
        raise ConfigError(f"{path}: there is no such file" + (f"; did you mean {path.parent / near[0]}?" if near else "")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {_problem(error)}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested deeper than {DEEPEST} levels") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: must be a mapping with name, source and target; got {'nothing' if content is None else type(content).__name__}"
        )
    if _depth(content) > DEEPEST:
        raise ConfigError(f"{path}: nested deeper than {DEEPEST} levels")
    return content


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return str(error).splitlines()[0]


def _depth(value: Any) -> int:
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(child) for child in children), default=0)


def _place(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making the mappings on its way."""
    *parents, last = key.split(".")
    for parent in parents:
        below = content.setdefault(parent, {})
        if not isinstance(below, dict):
            if parent == "time" and isinstance(below, str):
                below = content[parent] = {"column": below}
            else:
                raise ConfigError(f"--set {key}: {parent} is {below!r} here, not a mapping")
        content = below
    content[last] = value


def _anchor(content: dict[str, Any], folder: Path) -> None:
    """Make a source's relative path relative to the config's folder; sqlite addresses too."""
    source = content.get("source")
    if not isinstance(source, dict):
        return
    if isinstance(source.get("path"), str):
        source["path"] = str(folder / source["path"])
    if isinstance(source.get("url"), str) and source["url"].startswith("sqlite:///") and not source["url"].startswith("sqlite:////"):
        source["url"] = f"sqlite:///{folder / source['url'].removeprefix('sqlite:///')}"


def _explain(path: Path, fault: ErrorDetails) -> str:
    """One line: file, key, rule, value, and the nearest right name for an unknown key."""
    union_members = {"csv", "parquet", "sql", "duckdb", "python", "lightgbm", "xgboost", "scikit", "float", "int", "categorical"}
    where = [str(part) for part in fault["loc"] if not (isinstance(part, str) and part in union_members and len(fault["loc"]) > 1)]
    where = [part for part in where if not part.startswith(("function-", "constrained-", "lax-or-strict"))]
    key = ".".join(where) or "the file"
    rule = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(where[-1], _known_keys(fault["loc"]), n=1, cutoff=0.5)
        return f"{path}: {key}: no such key" + (f"; did you mean {near[0]}?" if near else "")
    if fault["type"] == "missing":
        return f"{path}: {key}: is required"
    if fault["type"].startswith("union_tag"):
        return f"{path}: {key}: {rule}"
    value = fault["input"]
    shown = f", got {value!r}" if isinstance(value, str | int | float | bool) and "got " not in rule else ""
    return f"{path}: {key}: {rule}{shown}" if where else f"{path}: {rule}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Names that would have been right where an unknown key stood."""
    settings: Any = RetrainConfig
    for part in location[:-1]:
        settings = _step(settings, part)
    return sorted({name for model in _models(settings) for name in model.model_fields})


def _step(annotation: Any, part: int | str) -> Any:
    found = []
    for model in _models(annotation):
        if part in model.model_fields:
            found.append(model.model_fields[str(part)].annotation)
        elif any(
            field.annotation is not None and part in getattr(field.annotation, "__args__", ()) for field in model.model_fields.values()
        ):
            found.append(model)
    return tuple(found)


def _models(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """The settings classes that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    inner = annotation if isinstance(annotation, tuple) else getattr(annotation, "__args__", ())
    return [model for part in inner for model in _models(part)]
