"""pydantic's validation errors in plain words: one line a fault, with key, rule, value and the nearest right name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import pydantic
from pydantic_core import ErrorDetails

from tasks.sources.source import mask

RULES = {
    "missing": "is required",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "path_type": "must be a path",
    "tuple_type": "must be a list such as [a, b]",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have at least {min_length} value(s)",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} character(s)",
    "string_pattern_mismatch": "must look like {pattern}",
    "literal_error": "must be {expected}",
}
"""pydantic's error type -> the rule; for others pydantic's own words do."""
LONGEST = 80
Key = tuple[int | str, ...]
Class = type[pydantic.BaseModel]
Named = TypeVar("Named")


def describe_faults(settings: Class, content: Any, error: pydantic.ValidationError) -> list[tuple[str, str]]:
    """(dotted key, line) for every fault found when `content` was read as `settings`; a line begins with its key.

    A key that may be one of several things (a length of time or a share) gets one line for all of them.
    """
    groups: dict[Key, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False):
        groups.setdefault(_key(content, fault), []).append(fault)
    told = []
    for key, faults in groups.items():
        if not _superseded(key, faults, groups):
            # a rule that ties several keys together may find several faults
            lines = [_printable(line) for line in _line(settings, key, faults).split("\n")]
            told += [(_dotted(key) or line.partition(":")[0], line) for line in lines]
    return told


def _key(content: Any, fault: ErrorDetails) -> Key:
    """Where the fault is, without the labels that pydantic puts in for the members of a union: those are not in the content."""
    key: list[int | str] = []
    for part in fault["loc"]:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list | tuple) and isinstance(part, int)):
            content = content[part]  # type: ignore[index]
            key.append(part)
    return (*key, fault["loc"][-1]) if fault["type"] == "missing" else tuple(key)


def _superseded(key: Key, faults: list[ErrorDetails], keys: Iterable[Key]) -> bool:
    """Of the things that a key may be, the one that was followed deepest was meant; what the others wanted is noise."""
    labelled = all(len(fault["loc"]) > len(key) for fault in faults)
    return labelled and any(len(other) > len(key) and other[: len(key)] == key for other in keys)


def _line(settings: Class, key: Key, faults: list[ErrorDetails]) -> str:
    fault, where = faults[0], _dotted(key)
    if fault["type"] == "extra_forbidden":
        return f"{where}: there is no such key{_near_key(settings, fault)}"
    if fault["type"].startswith("union_tag"):
        return _wrong_member(settings, where, fault)
    rule = _either([_rule(fault) for fault in faults])
    if not where:
        return rule
    joint = " " if rule.startswith(("must ", "is ")) else ": "
    return f"{where}{joint}{rule}{_got(settings, fault)}{_near_value(fault)}"


def _rule(fault: ErrorDetails) -> str:
    if fault["type"] in RULES:
        return RULES[fault["type"]].format(**fault.get("ctx", {}))
    value, rule = fault["input"], fault["msg"].removeprefix("Value error, ")
    return rule.removesuffix(f"; got {value!r}").removesuffix(f", got {value!r}")


def _either(rules: list[str]) -> str:
    """`must be a number or text`, and whole sentences after that."""
    short = list(dict.fromkeys(rule.removeprefix("must be ") for rule in rules if rule.startswith("must be ")))
    long = list(dict.fromkeys(rule for rule in rules if not rule.startswith("must be ")))
    joined = ["must be " + " or ".join(filter(None, (", ".join(short[:-1]), short[-1])))] if short else []
    return "; or: ".join(joined + long)


def _got(settings: Class, fault: ErrorDetails) -> str:
    """`, got 'x'`: nothing where the value says nothing new, and never a secret."""
    value = fault["input"]
    if fault["type"] == "missing" or _is_secret(settings, fault["loc"]):
        return ""
    if value is None or isinstance(value, bool):
        return ", got nothing" if value is None else f", got {str(value).lower()}"
    if isinstance(value, str | int | float):
        return f", got {_shown(value)}"
    if isinstance(value, dict):
        # a rule that ties several keys together names their values itself
        return "" if fault["type"] == "value_error" else ", got a mapping"
    return ", got a list" if isinstance(value, list | tuple) else ""


def _shown(value: str | float) -> str:
    text = mask(repr(value[:1000] if isinstance(value, str) else value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _is_secret(settings: Class, location: Key) -> bool:
    fields = [kind.model_fields.get(str(location[-1])) for kind in _classes(settings, location[:-1])]
    return any(field is not None and _inside(field.annotation, pydantic.SecretStr) for field in fields)


def _wrong_member(settings: Class, where: str, fault: ErrorDetails) -> str:
    """A union's member is chosen by a key of its own, such as kind or family."""
    chooser = fault["ctx"]["discriminator"].strip("'")
    members = [str(tag) for kind in _classes(settings, fault["loc"]) for tag in _tags(kind, chooser)]
    if fault["type"] == "union_tag_not_found":
        return f"{where}.{chooser} is required: one of {', '.join(members)}"
    got = str(fault["ctx"]["tag"])
    return f"{where}.{chooser} must be one of {', '.join(members)}, got {_shown(got)}{_near(got, members)}"


def _near_value(fault: ErrorDetails) -> str:
    return _near(str(fault["input"]), re.findall(r"'([^']+)'", fault["ctx"]["expected"])) if fault["type"] == "literal_error" else ""


def _near_key(settings: Class, fault: ErrorDetails) -> str:
    """The nearest key that could stand there, or the one of that very name in another section."""
    *above, name = fault["loc"]
    near = _near(str(name), sorted({key for kind in _classes(settings, tuple(above)) for key in kind.model_fields}))
    sections = {section: _inside(field.annotation, pydantic.BaseModel) for section, field in settings.model_fields.items()}
    elsewhere = [f"; did you mean {section}.{name}?" for section, kinds in sections.items() if any(name in k.model_fields for k in kinds)]
    return near if above and near else next(iter(elsewhere), near)


def _near(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _classes(settings: Class, location: Key) -> list[Class]:
    """The settings classes that may stand at a location of pydantic's, told from the annotations alone."""
    here: list[Class] = [settings]
    for part in location:
        fields = [kind.model_fields[part] for kind in here if isinstance(part, str) and part in kind.model_fields]
        chosen = [kind for kind in here if any(part in _tags(kind, name) for name in kind.model_fields)]
        here = [kind for field in fields for kind in _inside(field.annotation, pydantic.BaseModel)] if fields else chosen or here
    return here


def _tags(kind: Class, name: str) -> tuple[Any, ...]:
    annotation = kind.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _inside(annotation: Any, kind: type[Named]) -> list[type[Named]]:
    """The classes of that kind that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, kind):
        return [annotation]
    return [found for part in get_args(annotation) for found in _inside(part, kind)]


def _dotted(key: Key) -> str:
    return ".".join(_printable(str(part)[:LONGEST]) for part in key)


def _printable(text: str) -> str:
    """The text with what could spoil a terminal or a log escaped."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
