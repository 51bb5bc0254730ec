"""A YAML file and overrides -> RetrainConfig; every fault at once, each with file, key, rule, value and the nearest name."""

from __future__ import annotations

import copy
import difflib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from configs.faults import describe_faults
from configs.schema import RetrainConfig
from configs.strict_yaml import LARGEST, parse_yaml
from tasks.errors import ConfigError
from tasks.sources.source import mask

SHORTHANDS = {"time": "column"}
"""Sections that may be written as one plain value -> the key which that value is for."""


def read_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> RetrainConfig:
    """Read one config; `overrides` maps dotted keys such as tuning.trials to values.

    Raises ConfigError with every fault in `faults`. Relative paths in the file are relative to its folder.
    """
    path, overrides = Path(path), overrides or {}
    content = _load(path)
    for key, value in overrides.items():
        _place(content, key, copy.deepcopy(value))
    try:
        config = RetrainConfig.model_validate(content)
    except pydantic.ValidationError as error:
        faults = tuple(f"{_origin(path, key, overrides)}: {line}" for key, line in describe_faults(RetrainConfig, content, error))
        raise ConfigError("\n".join(faults), faults) from None
    except OverflowError as error:
        raise ConfigError(f"{path}: a number in it is too large: {error}") from None
    gate = config.gate if config.gate.golden is None else config.gate.changed(golden=path.parent / config.gate.golden)
    return config.model_copy(update={"source": config.source.anchored(path.parent), "gate": gate})


def parse_override(text: str) -> tuple[str, Any]:
    """`tuning.trials=20` -> ("tuning.trials", 20), the value read as YAML."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set takes key=value, such as tuning.trials=20; got {key + equals!r}")
    return key, parse_yaml(value, f"--set {key}")


def refuse_secrets(overrides: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError for a password in an override: Prefect keeps a run's parameters in clear text."""
    if any(key.startswith("source") and mask(str(value)) != str(value) for key, value in overrides.items()):
        raise ConfigError(f"{where} source: holds a password, which Prefect would keep with the run; name a variable as url_env instead")


def _load(path: Path) -> dict[str, Any]:
    content = parse_yaml(_text(path), str(path))
    if not isinstance(content, dict):
        got = "nothing" if content is None else f"a {type(content).__name__}"
        raise ConfigError(f"{path}: must be a mapping with name, source and target, got {got}")
    return content


def _text(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise ConfigError(f"{path}: must be a YAML file of at most {LARGEST:,} bytes, not a folder, a pipe or a device")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.y*ml")], n=1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"{path}: there is no such file{hint}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8 text; byte {error.start} is 0x{error.object[error.start]:02x}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(path)!r}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _place(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making the sections on its way."""
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents):
        below = content.get(parent)
        if below is None:
            below = content[parent] = {}
        elif depth == 0 and isinstance(below, str) and parent in SHORTHANDS:
            below = content[parent] = {SHORTHANDS[parent]: below}
        elif not isinstance(below, dict):
            raise ConfigError(
                f"--set {key}: {'.'.join(parents[: depth + 1])} must be a mapping to set a key in it, got {mask(repr(below))}"
            )
        content = below
    content[last] = value


def _origin(path: Path, key: str, overrides: Mapping[str, Any]) -> str:
    """Whose fault it is: the override's, if one set that key or something around or below it, else the file's."""
    return next((f"--set {name}" for name in overrides if f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.")), str(path))
