"""Plots are small, quick, and SVG that may stand inside any page."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from tasks.reports.plots import plots
from tasks.reports.plots.drawing import draw, label
from tests import stories
from tests.scores import evaluated, noisy

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["promoted", "multiclass", "regression"])
def test_every_svg_holds_shapes_and_text_alone(name: str) -> None:
    for svg in plots(stories.EVERY[name]()).values():
        kinds = {element.tag.removeprefix(SVG) for element in fromstring(svg).iter()}
        assert kinds <= {"svg", "g", "defs", "clipPath", "rect", "path", "use", "text"}
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", ["promoted", "multiclass", "regression"])
def test_ids_are_unique_on_the_page_and_every_reference_finds_one(name: str) -> None:
    page = "".join(plots(stories.EVERY[name]()).values())
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', page)) <= {(name, "") for name in ids} | {("", name) for name in ids}


def test_colours_follow_the_page_and_have_a_fallback_without_one() -> None:
    svg = plots(stories.promoted())["roc"]
    colours = set(re.findall(r"(?:fill|stroke): (?!none|var)([^;\"]+)", svg))
    assert not colours - {"#ffffff"}
    assert "var(--challenger, #" in svg


def test_the_same_story_gives_the_same_text() -> None:
    assert plots(stories.promoted()) == plots(stories.promoted())


def test_large_test_windows_and_long_searches_stay_small_and_quick() -> None:
    started = time.process_time()
    drawn: dict[str, str] = {}
    truth, prediction = noisy(28_000)
    prediction = prediction + np.random.default_rng(0).random(28_000) / 100
    story = stories.promoted()
    assert story.search is not None
    trials = tuple(replace(trial, number=number) for number, trial in enumerate(story.search.trials * 100))
    for task in ("binary", "regression"):
        many = evaluated(task, truth, prediction, prediction**1.1)
        drawn |= plots(replace(many, search=replace(story.search, trials=trials), importance={f"f{k}": 1 / (k + 1) for k in range(5000)}))
    assert time.process_time() - started < 20  # a second; what grows with the square of the rows takes minutes
    assert len(drawn) == 9
    assert max(map(len, drawn.values())) < 100_000


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "a\nb\x1b[31m\x00", "$\\frac{$ _^", "_hidden", "\N{ROCKET} 東京 \ud800", "x" * 500, "&amp;\"'", ""],
)
def test_labels_from_outside_are_text_and_nothing_else(text: str) -> None:
    svg = draw("p", text or "t", "n", lambda axes: axes.set_yticks([0.5], [label(text)]) and None)
    shown = [element.text for element in fromstring(svg).iter() if element.tag == f"{SVG}text"]
    assert label(text) in shown
    assert len(label(text)) <= 28
    assert "<script" not in svg
