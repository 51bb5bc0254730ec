"""The report stands alone, and nothing that came from outside is more on it than text."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.records import Finding, Report, Story, Suspect, Trial
from tasks.reporting import render, write_report
from tests import stories
from tests.reading import Reader, blocks

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "p", "span", "small", "code", "pre", "a", "i"),
    *("h1", "h2", "h3", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("svg", "g", "defs", "clippath", "path", "rect", "use", "text"),
}
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> ' onmouseover='x",
    "</style></pre></details></table><style>*{display:none}</style><!--",
    "{{ 7 * 7 }}{% raw %}",
    "\n\n# heading\n\n| a | b |\n| --- | --- |\n- item\n```\ncode\n```\n---\n",
    "`tick` ``` **bold** ~~gone~~ _a_ [click](javascript:alert(1)) ![x](http://evil.example/x.png) <b>|</b> \\| \\",
    "\x1b[31mred\x1b[0m\x00\x07\u202e\u2028\ud800 $\\frac{$",
)
KEPT = {
    "verdict",
    "state",
    "severity",
    "task",
    "kind",
    "answer",
    "policy",
    "compared_with",
    "metric",
    "features",
    "challenger",
    "champion",
    "as_of",
    "frame",
    "digest",
    "name",
}


@cache
def write(name: str) -> Report:
    return write_report(stories.EVERY[name]())


# a page that stands alone


@pytest.mark.parametrize("name", stories.EVERY)
def test_the_page_needs_nothing_but_itself(name: str) -> None:
    reader = Reader(write(name).html)
    assert {tag for tag, _ in reader.elements} <= ELEMENTS
    for tag, attributes in reader.elements:
        assert not [key for key in attributes if key.startswith("on") or key in {"src", "srcset", "data", "action", "poster"}]
        if "href" in attributes:
            assert str(attributes["href"]).startswith("#" if tag == "use" else "http://127.0.0.1:")
    style = re.search(r"<style>(.*?)</style>", write(name).html, re.DOTALL)
    assert style is not None
    assert not re.search(r"@import|url\(", style[1])


def test_the_plots_come_with_the_report_and_stand_on_the_page() -> None:
    report = write("promoted")
    assert {"search_history", "roc", "precision_recall", "calibration", "importance"} <= set(report.plots)
    assert all(svg in report.html for svg in report.plots.values())
    assert "<svg" not in report.markdown


def test_a_long_search_and_a_wide_table_make_a_page_of_bearable_size() -> None:
    story = stories.promoted()
    assert story.table is not None
    assert story.search is not None
    failed = tuple(Trial(number, "failed", {}, None, (), 0.1, f"error {number}") for number in range(2000))
    left_out = {f"column_{number}": "ignored in the config" for number in range(3000)}
    findings = tuple(Finding("expect_column_to_exist", f"column_{number}", "critical", True, "there", "there") for number in range(400))
    table = replace(story.table, columns=replace(story.table.columns, left_out=left_out))
    story = replace(story, table=table, search=replace(story.search, trials=story.search.trials + failed), findings=findings)
    report = write_report(story)
    assert len(report.html) < 300_000
    assert len(report.markdown) < 60_000
    assert "and 2,988 more" in report.markdown


def test_a_search_of_five_hundred_trials_makes_a_page_of_bearable_size() -> None:
    report = write_report(stories.searched(500))
    assert len(report.html) < 400_000
    assert len(report.markdown) < 20_000


def test_the_stage_loads_drawing_and_templates_only_when_it_writes_and_pyplot_never() -> None:
    code = """
import sys
from datetime import datetime
from tasks.records import Result, Story
from tasks.reporting import write_report
print([name for name in ("matplotlib", "jinja2", "sklearn", "prefect", "mlflow") if name in sys.modules])
write_report(Story(Result("failed", "why", "name", "2013-10-01"), "", datetime(2013, 10, 1), "", importance={"column": 1.0}))
print([name for name in ("matplotlib", "jinja2", "matplotlib.pyplot", "sklearn", "prefect", "mlflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['matplotlib', 'jinja2']"]


# text from outside


def poisoned(value: Any, poison: Callable[[str], str], name: str = "") -> Any:
    """The same record with every free text in it, keys too, changed by `poison`."""
    if name in KEPT:
        return value
    if isinstance(value, str):
        return poison(value)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(poisoned(item, poison) for item in value)
    if isinstance(value, dict):
        return {poison(key) if isinstance(key, str) else key: poisoned(item, poison) for key, item in value.items()}
    if isinstance(value, pd.DataFrame):
        rows = [[poison(item) if isinstance(item, str) else item for item in row] for row in value.to_numpy(dtype=object)]
        names = pd.Index([poison(name) for name in value.columns], dtype=object)
        return pd.DataFrame(np.array(rows, dtype=object), value.index, names, dtype=object)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: poisoned(getattr(value, item.name), poison, item.name) for item in fields(value)})
    return value


def suspected(story: Story) -> Story:
    if story.table is None:
        return story
    return replace(story, undo="evertune rollback", table=replace(story.table, suspects=(Suspect("dep_delay", "too good", 0.9),)))


def shape(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and the names of their attributes, in order."""
    return [(tag, tuple(attributes)) for tag, attributes in Reader(page).elements]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["promoted", "families", "blended", "kept", "asked", "forbidden", "data_rejected", "failed"])
def test_hostile_text_adds_no_element_and_no_attribute(name: str, text: str) -> None:
    story = suspected(stories.EVERY[name]())
    hostile = render(poisoned(story, lambda value: value + text), {})
    harmless = render(poisoned(story, lambda value: value + "x"), {})
    assert shape(hostile.html) == shape(harmless.html)
    assert blocks(hostile.markdown) == blocks(harmless.markdown)


@pytest.mark.parametrize("name", ["promoted", "multiclass", "families"])
def test_hostile_text_in_plots_is_text_too(name: str) -> None:
    story = stories.EVERY[name]()
    hostile, harmless = (write_report(poisoned(story, lambda value, text=text: text + value)) for text in ("".join(HOSTILE), "x"))
    assert shape(hostile.html) == shape(harmless.html)


def test_no_control_character_reaches_either_page() -> None:
    report = render(poisoned(suspected(stories.promoted()), lambda value: HOSTILE[-1] + value), {})
    for page in (report.html, report.markdown):
        assert page.encode("utf-8").decode() == page
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", page)


def test_hostile_class_names_are_only_text_in_the_plots() -> None:
    story = stories.promoted("multiclass")
    assert story.table is not None
    target = replace(story.table.columns.target, classes=tuple(f"{number}<script>{number}" for number in range(10)))
    table = replace(story.table, columns=replace(story.table.columns, target=target))
    report = write_report(replace(story, table=table))
    assert "0<script>0" in Reader(report.html).words
    assert "script" not in {tag for tag, _ in Reader(report.html).elements}


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", " http://host/", "file:///etc/passwd", "evertune up"])
def test_only_http_addresses_become_links(address: str) -> None:
    result = replace(stories.promoted().result, look={"page": address})
    report = render(replace(stories.promoted(), result=result), {})
    assert "<a" not in report.html
    assert "link_open" not in blocks(report.markdown)


def test_the_config_is_shown_as_it_is_line_by_line() -> None:
    config = "name: a\n# ``` </pre> <b>\nsource:\n\tx: '{{ y }}'\n"
    report = write_report(replace(stories.unchanged(), config=config))
    assert "name: a\n# ``` </pre> <b>\nsource:\n    x: '{{ y }}'" in "".join(Reader(report.html).text)
    assert "````yaml\nname: a\n# ``` </pre> <b>\nsource:\n" in report.markdown
