"""What a chart is, and the page around all of them."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import Story
from tasks.reports.chapters.verdict import tell_as_of, tell_banner
from tasks.wording import clean

TEMPLATE = Path(__file__).parent / "page.html.j2"
DIGITS = 5
"""Significant digits of a number on the page: more than a hover shows."""
CHALLENGER, CHAMPION, BAD, QUIET, FAINT = "challenger", "champion", "bad", "quiet", "faint"
"""Names of colours: the page puts those of day or night in."""


@dataclass(frozen=True)
class Chart:
    """One chart: plotly's traces and layout, with `@challenger` and so on where a colour belongs.

    Every text from outside has to go through `safe`: plotly reads tags and entities in labels, hovers and ticks.
    """

    name: str
    title: str
    note: str
    """How to read it, in one line."""
    traces: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 340
    wide: bool = False
    """Over the page's whole width, not half of it."""


def colour(name: str) -> str:
    """A placeholder for one of the page's colours."""
    return f"@{name}"


def safe(text: object, limit: int = 60) -> str:
    """Foreign text as plotly may show it: one clean line in which nothing is a tag, an entity, a formula or one of our colours."""
    return html.escape(clean(text, limit), quote=False).replace("$", "&#36;").replace("@", "&#64;") or "(empty)"


def numbers(values: Iterable[Any]) -> list[float | None]:
    """As JSON has them: five significant digits, None for what is no finite number."""
    return [
        None if not math.isfinite(value) else float(f"{value:.{DIGITS}g}") for value in np.asarray(list(values), dtype=np.float64).tolist()
    ]


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """An axis with its title."""
    return {"title": {"text": title}, **settings}


def render_page(story: Story, sections: Mapping[str, list[Chart]]) -> str:
    """The whole file. The charts are JSON in which no `<` is left, so that no text can end the element they stand in."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, finalize=_line, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    charts = {chart.name: {"traces": chart.traces, "layout": chart.layout} for charts in sections.values() for chart in charts}
    told = json.dumps(charts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=story.result.model,
        as_of=tell_as_of(story),
        verdict=f"{tell_banner(story).word}: {tell_banner(story).meaning}",
        sections=sections,
        charts=Markup(told),  # noqa: S704  # JSON without a single <
        plotly=Markup(_plotly()),  # noqa: S704  # the library itself
    )


def _line(value: Any) -> Any:
    """One clean line of whatever a story says; what is marked as safe is ours."""
    return value if hasattr(value, "__html__") else clean(value, 300)


@cache
def _plotly() -> str:
    """plotly.js, from the installed package: 4.9 MB."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
