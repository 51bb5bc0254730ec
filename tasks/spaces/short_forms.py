"""Short forms of a parameter in the YAML.

[a, b, c]                     one of these choices
31                            this value, not searched
2..8                          a range of whole numbers
0.02..0.3 log default 0.1     a range of real numbers, on a logarithmic scale
0..1 step 0.25                0, 0.25, 0.5, 0.75, 1
float 0..1                    real numbers, although both ends are whole
{low: 2, high: 8}             a mapping whose type is told from its values
"""

from __future__ import annotations

import re
from typing import Any

EXAMPLES = ("7..255 log", "0.02..0.3 log default 0.1", "0..1 step 0.25", "2..8", "0.001..0.999 reverse_log")
NUMBER = r"[-+]?(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
"""The two dots of `1..2` are not a decimal point."""
ENDS = rf"\s*(?:(int|float)\s+)?({NUMBER})\s*\.\."
RANGE = re.compile(rf"{ENDS}\s*({NUMBER})(.*)", re.DOTALL)
RESEMBLES = re.compile(ENDS)
SCALES = ("log", "reverse_log", "linear")
VALUED = ("step", "default")


def widen(content: Any) -> Any:
    """A short form -> the mapping it stands for, its type among it; anything else as it is.

    Raises ValueError that shows how a range is written.
    """
    if isinstance(content, dict):
        return {"type": kind, **content} if "type" not in content and (kind := _type_of(content)) else content
    if isinstance(content, list | tuple):
        return {"type": "categorical", "choices": list(content)}
    if isinstance(content, str) and RESEMBLES.match(content):
        return _read_range(content)
    if isinstance(content, bool | int | float | str):
        return {"type": "categorical", "choices": [content], "default": content}
    return content


def _type_of(content: dict[Any, Any]) -> str:
    """Whole ends, whole steps and a whole default make whole numbers; empty where nothing tells."""
    if "choices" in content:
        return "categorical"
    if "low" not in content and "high" not in content:
        return ""
    given = [content[key] for key in ("low", "high", *VALUED) if content.get(key) is not None]
    return "float" if any(isinstance(value, float) for value in given) else "int"


def _read_range(text: str) -> dict[str, Any]:
    found = RANGE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"must look like {' or '.join(EXAMPLES[:2])}, got {text!r}")
    kind, low, high, rest = found.groups()
    content: dict[str, Any] = {"low": _number(low), "high": _number(high)} | _read_words(rest.replace(",", " ").split(), text)
    return {"type": kind or _type_of(content), **content}


def _read_words(words: list[str], text: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    while words:
        word = words.pop(0)
        if word in content or (word not in SCALES and word not in VALUED):
            raise ValueError(f"after the range may stand log or reverse_log, step and default, each once; {word!r} may not, got {text!r}")
        if word in VALUED and not (words and re.fullmatch(NUMBER, words[0])):
            raise ValueError(f"{word} must be followed by a number, got {text!r}")
        content[word] = _number(words.pop(0)) if word in VALUED else True
    content.pop("linear", None)
    return content


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?\d{1,18}", text) else float(text)
