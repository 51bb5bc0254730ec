"""The interactive page: what is on it, that nothing can break out of it, and that it is small and quick enough."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest

from tasks.metrics import METRICS
from tasks.records import Columns, PastScore, SliceScore, Story
from tasks.reports.interactive import interactive_page
from tasks.reports.interactive.page import numbers, safe
from tests import stories
from tests.scores import evaluated, noisy
from tests.searches import make_search

BINARY = {"roc", "precision_recall", "calibration", "lift", "thresholds", "threshold_table"}
ALWAYS = {"importance", "search_history"}
DRIFT = {"drift", *(f"drift_{k}" for k in range(6))}
COMPARED = {"slices", "score_history", "attribution"} | DRIFT
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&amp;${{7*7}}\u2028\x1b[31m"
CHARTS = re.compile(r'<script type="application/json" id="charts">(.*?)</script>', re.DOTALL)


def charts(page: str) -> dict[str, Any]:
    (told,) = CHARTS.findall(page)
    found: dict[str, Any] = json.loads(told)
    return found


def shell(page: str) -> str:
    """The page without plotly.js and without the charts."""
    return CHARTS.sub("", re.sub(r"<script>/\*\*\n\* plotly\.js.*?</script>", "", page, flags=re.DOTALL))


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in texts(one)]


# what is shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("promoted", ALWAYS | BINARY | COMPARED),
        ("multiclass", ALWAYS | {"confusion"} | COMPARED),
        ("regression", ALWAYS | {"residuals", "residual_distribution"} | COMPARED),
        ("first", ALWAYS | BINARY),
        ("searched", ALWAYS | BINARY | COMPARED | {"parallel"}),
        ("families", ALWAYS | BINARY | COMPARED | {"parallel"}),
        ("kept", {"importance"} | BINARY | COMPARED),
    ],
)
def test_a_story_gets_the_charts_that_apply(name: str, shown: set[str], caplog: pytest.LogCaptureFixture) -> None:
    page = interactive_page(stories.EVERY[name]())
    assert set(charts(page)) == shown
    assert set(re.findall(r'<div id="(\w+)" class="chart"', page)) == shown
    assert not caplog.records


@pytest.mark.parametrize("name", ["unchanged", "data_rejected"])
def test_where_nothing_was_trained_there_is_no_page(name: str) -> None:
    assert interactive_page(stories.EVERY[name]()) == ""


def test_a_model_of_which_nothing_can_be_drawn_has_a_page_that_says_so() -> None:
    truth = np.ones(50)
    page = interactive_page(evaluated("binary", truth, np.linspace(0, 1, 50)))
    assert charts(page) == {}
    assert "There is nothing to draw" in page


def test_the_page_is_under_six_megabytes_and_made_in_under_two_seconds() -> None:
    story = stories.searched(500)
    assert story.evaluation is not None
    truth, prediction = noisy(300_000)
    big = replace(story.evaluation, truth=truth, prediction=prediction + np.random.default_rng(0).random(len(truth)) / 1e6)
    columns = replace(story, evaluation=big, importance={f"feature {k}": 1 / (k + 1) for k in range(2000)})
    began = time.perf_counter()
    page = interactive_page(columns)
    assert time.perf_counter() - began < 2
    assert len(page.encode()) < 6_000_000


def test_it_asks_for_nothing() -> None:
    page = shell(interactive_page(stories.searched()))
    assert "http" not in page
    assert not re.search(r"<(link|img|iframe)|@import|url\(|<script[^>]+src|fetch\(|XMLHttpRequest", page)


def test_a_chart_that_fails_is_logged_and_costs_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    page = interactive_page(replace(stories.first(), importance={"a": "much"}))  # type: ignore[dict-item]
    assert set(charts(page)) == BINARY | {"search_history"}
    assert "chart_importance failed" in caplog.text


# figures


def test_lines_are_thinned_and_figures_short() -> None:
    truth, prediction = noisy(50_000)
    prediction = prediction + np.random.default_rng(1).random(len(prediction)) / 1000
    roc = charts(interactive_page(evaluated("binary", truth, prediction, prediction**2)))["roc"]["traces"]
    assert [trace.get("name") for trace in roc] == [None, "champion", "challenger"]
    assert all(len(trace["x"]) <= 500 for trace in roc)
    area = float(np.trapezoid(roc[2]["y"], roc[2]["x"]))
    assert area == pytest.approx(METRICS["roc_auc"].of(truth, prediction), abs=2e-3)
    assert all(len(str(value)) <= 10 for value in roc[2]["x"])


def test_what_is_no_number_is_a_gap() -> None:
    assert numbers([0.123456789, float("nan"), float("inf"), 1_234_567.0]) == [0.12346, None, None, 1_234_600.0]


def test_the_history_marks_what_went_live_and_tells_both_scores() -> None:
    story = stories.promoted()
    earlier = (
        PastScore("2013-08-01", "promoted", "2", "log_loss", 0.41, 0.42),
        PastScore("2013-09-01", "kept", None, "log_loss", 0.44, 0.41),
    )
    champion, challenger = charts(interactive_page(replace(story, past=earlier)))["score_history"]["traces"]
    assert challenger["marker"]["symbol"] == ["circle", "circle-open", "circle"]
    assert challenger["text"][1] == "2013-09-01: kept<br>challenger 0.44<br>champion 0.41"
    assert champion["y"][:2] == [0.42, 0.41]


def test_every_trial_is_a_line_that_can_be_followed() -> None:
    search = make_search(40)
    assert search.chosen is not None
    chart = charts(interactive_page(replace(stories.promoted(), search=search)))["parallel"]
    *lines, waiting = chart["traces"]
    across = lines[0]["meta"]["axes"]
    assert chart["layout"]["meta"] == {"follow": True}
    assert waiting["x"] == []
    assert all(line["x"][across :: across + 1] == [None] * (len(line["x"]) // (across + 1)) for line in lines)
    (chosen,) = [line for line in lines if line["name"] == "chosen"]
    assert len(chosen["x"]) == across + 1
    assert chosen["text"][0].startswith(f"trial {search.chosen.number},")


# hostile texts


def hostile() -> Story:
    """Every text from outside says something evil."""
    story = stories.searched(20)
    assert story.evaluation is not None
    assert story.drift is not None
    assert story.search is not None
    slices = tuple(replace(one, column=HOSTILE, value=HOSTILE) for one in story.evaluation.slices)
    drift = replace(story.drift, since=HOSTILE, columns=tuple(replace(one, column=HOSTILE) for one in story.drift.columns))
    trials = tuple(replace(trial, origin=HOSTILE, choices={**trial.choices, HOSTILE: HOSTILE}) for trial in story.search.trials)
    chosen = trials[story.search.chosen.number] if story.search.chosen else None
    return replace(
        story,
        result=replace(story.result, model=HOSTILE, reason=HOSTILE),
        description=HOSTILE,
        evaluation=replace(story.evaluation, slices=(*slices, SliceScore(HOSTILE, "@bad", 3, 0.1, 0.2, None))),
        drift=drift,
        search=replace(story.search, trials=trials, chosen=chosen),
        importance={HOSTILE: 1.0},
        past=(PastScore(HOSTILE, HOSTILE, HOSTILE, "log_loss", 0.5, 0.5), *story.past),
    )


def test_no_text_from_outside_becomes_markup_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    page = interactive_page(hostile())
    assert not caplog.records
    assert "<script>alert" not in page
    assert "<img" not in shell(page)
    assert "\x1b" not in page
    assert len(re.findall("</script", page)) == 3
    for text in texts(charts(page)):
        assert not re.search(r"<(?!br>|b>|/b>|extra>|/extra>)", text), text
        assert "$" not in text, text


def test_a_multiclass_page_of_hostile_classes_is_harmless_too() -> None:
    story = stories.promoted("multiclass")
    assert story.table is not None
    target = replace(story.table.columns.target, classes=tuple(f"{HOSTILE}{k}" for k in range(10)))
    table = replace(story.table, columns=Columns(target, story.table.columns.features))
    found = charts(interactive_page(replace(story, table=table)))["confusion"]["layout"]["xaxis"]["ticktext"]
    assert all("<" not in name for name in found)


def test_safe_text_reads_as_it_was_once_the_entities_are_decoded() -> None:
    assert unescape(safe("a < b & c > $d$")) == "a < b & c > $d$"
    assert unescape(safe("@bad")) == "@bad" != safe("@bad")
    assert safe("") == "(empty)"
