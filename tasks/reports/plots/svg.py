"""matplotlib's SVG made small and fit to stand inside a page.

What comes in has a style sheet that would reach the whole page, ids that clash between plots, ten digits a coordinate
and fonts by name. What goes out is shapes and text alone, with a CSS variable and a fallback where each colour was: on the
report's page plots follow light and dark mode, in a file of their own they are mid-tones that can be read on both.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, fromstring, tostring

# Okabe and Ito's blue and vermillion, safe for colour-blind readers, at a lightness that white and black both allow.
CHALLENGER, CHAMPION, BAD = "#2f86c9", "#d9702b", "#cc4a3d"
TEXT, INK, QUIET, LINE = "#4d545c", "#7b8087", "#8a8f96", "#b9bdc3"
VARIABLES = {CHALLENGER: "challenger", CHAMPION: "champion", BAD: "bad", TEXT: "text", INK: "ink", QUIET: "quiet", LINE: "line"}
FONTS = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
FONT = re.compile(r"font-family:[^;]*;? ?|(?<=px) '[^;]*(?=;)")
NUMBER, NO_TURN = re.compile(r"-?\d+\.\d+"), re.compile(r"rotate\(-?0[ ,]")


def tidy(svg: bytes, name: str, title: str, columns: int) -> str:
    """One `<svg>` element whose ids start with `name`, `columns` of the page's twelve wide."""
    root = fromstring(svg)  # noqa: S314  # matplotlib wrote it a moment ago
    _strip(root)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        element.attrib = {key: text for key, value in attributes.items() if (text := _shorten(element.tag, key, value, name))}
    _, _, width, height = root.get("viewBox", "").split()
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {width} {height}",
        "width": width,
        "height": height,
        "data-columns": str(columns),
        "role": "img",
        "aria-label": title,
        "style": f"font-family: {FONTS}",
    }
    return tostring(root, encoding="unicode")


def _strip(element: Element) -> None:
    """Take out what is neither shape nor text: metadata, the style sheet, empty groups."""
    for child in list(element):
        _strip(child)
        kind = child.tag.rpartition("}")[2]
        if kind in {"metadata", "style"} or (kind in {"g", "defs"} and not len(child)):
            element.remove(child)
    element.text = (element.text or "").strip() or None
    element.tail = None


def _shorten(tag: str, key: str, value: str, name: str) -> str:
    """The attribute's value with colours as variables, tenths of a px, and ids of this plot's own; empty to drop it."""
    if key == "id":
        return f"{name}-{value}" if tag in {"clipPath", "path"} else ""
    if key in {"href", "clip-path"}:
        return value.replace("#", f"#{name}-", 1)
    if key == "style":
        return _style(value)
    if key == "transform" and NO_TURN.match(value):
        return ""
    return NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), " ".join(value.split()))


def _style(value: str) -> str:
    value = FONT.sub("", value)
    for colour, variable in VARIABLES.items():
        value = value.replace(colour, f"var(--{variable}, {colour})")
    return value.strip()
