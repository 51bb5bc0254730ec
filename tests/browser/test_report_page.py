"""The report in a real browser: nothing fetched, nothing cut off, everything readable, by day, by night and on paper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.reporting import write_report
from tests import stories

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
WIDTHS = (390, 900, 1400)
NARROW = 640
"""Below it wide tables and plots are moved sideways inside the page; the page itself never is."""
SCREENSHOTS = os.environ.get("EVERTUNE_SCREENSHOTS")
CUT_OFF = "[...document.querySelectorAll('.wide, .plots')].filter(e => e.scrollWidth > e.clientWidth).length"
# The contrast of every visible text with what lies behind it, as WCAG 2 reckons it; texts below the limit.
FAINT = """limit => {
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), colour = parse(e.closest('svg') ? style.fill : style.color).slice(0, 3);
    const [a, b] = [light(colour), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < limit) faint.push(e.textContent.trim() + ' ' + ((a + 0.05) / (b + 0.05)).toFixed(2));
  }
  return faint;
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@cache
def html(name: str) -> str:
    return write_report(stories.EVERY[name]()).html


def show(page: Page, folder: Path, name: str) -> list[str]:
    """Open a story's report; everything the page asked for or complained about while it did."""
    file = folder / f"{name}.html"
    file.write_text(html(name), encoding="utf-8")
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.set_viewport_size({"width": 900, "height": 900})
    page.goto(file.as_uri())
    assert heard.pop(0) == file.as_uri()
    return heard


def looks(page: Page, name: str) -> Iterator[str]:
    """The page by day and by night, on a telephone, in MLflow's frame and on a laptop, one after the other."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if SCREENSHOTS:
                page.screenshot(path=Path(SCREENSHOTS) / f"report-{name}-{width}-{scheme}.png", full_page=True)
            yield f"{name} {width} {scheme}"


@pytest.mark.parametrize("name", stories.EVERY)
def test_the_page_fetches_nothing_fits_its_window_and_can_be_read(page: Page, tmp_path: Path, name: str) -> None:
    heard = show(page, tmp_path, name)
    for look in looks(page, name):
        page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, look
        assert page.evaluate(CUT_OFF) == 0 or page.viewport_size["width"] < NARROW, look
        assert page.evaluate(FAINT, 4.5) == [], look
    assert heard == []
    assert page.evaluate(FAINT, 21.1) != []


def test_names_without_a_single_space_break_rather_than_leave_the_window(page: Page, tmp_path: Path) -> None:
    story, long = stories.promoted("multiclass"), "averyveryverylongname" * 30
    assert story.table is not None
    columns = replace(story.table.columns, left_out={long: long}, target=replace(story.table.columns.target, classes=(long,) * 10))
    findings = tuple(
        replace(finding, check=long, column=long, expected=long, observed=long, examples=(long,)) for finding in stories.FINDINGS
    )
    result = replace(story.result, model=long, reason=long, hyperparameters={long: long}, look={long: f"http://{long}"})
    story = replace(
        story, result=result, findings=findings, table=replace(story.table, columns=columns), importance={long: 1.0}, description=long
    )
    (tmp_path / "long.html").write_text(write_report(story).html, encoding="utf-8")
    page.goto((tmp_path / "long.html").as_uri())
    for look in looks(page, "long"):
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, look


def test_the_verdict_its_reason_and_what_to_do_are_in_the_first_screen(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, "asked")
    page.set_viewport_size({"width": 1280, "height": 720})
    for text in (
        "Undecided",
        "rmse 59.04 against the champion's",
        "evertune promote tumours 4",
        "evertune reject tumours 4",
        "the margin:",
    ):
        place = page.locator("main").get_by_text(text).first.bounding_box()
        assert place is not None, text
        assert place["y"] + place["height"] < 720, text


def test_the_interval_is_drawn_where_its_numbers_say(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, "asked")
    page.set_viewport_size({"width": 1280, "height": 900})
    found = stories.asked().evaluation
    assert found is not None
    assert found.interval is not None
    boxes = {name: page.locator(f".interval .{name}").bounding_box() for name in ("reach", "alike", "margin", "middle")}
    left, width = boxes["reach"]["x"], boxes["reach"]["width"]  # type: ignore[index]

    def value(name: str) -> float:
        """What a mark's place stands for."""
        box, interval = boxes[name], found.interval  # type: ignore[union-attr]
        assert box is not None
        assert interval is not None
        return interval.low + (box["x"] + box["width"] / 2 - left) / width * (interval.high - interval.low)

    per_pixel = (found.interval.high - found.interval.low) / width
    assert value("alike") == pytest.approx(0.0, abs=2 * per_pixel)
    assert value("margin") == pytest.approx(stories.asked().verdict.margin, abs=2 * per_pixel)  # type: ignore[union-attr]
    assert value("middle") == pytest.approx(found.interval.difference, abs=2 * per_pixel)


def test_day_and_night_look_different_and_so_do_the_plots(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, "promoted")
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('svg text')).fill]"
    seen = [page.evaluate(colours) for _ in looks(page, "promoted")]
    assert all(day != night for day, night in zip(seen[0], seen[-1], strict=True))


def test_no_text_of_a_plot_leaves_its_plot(page: Page, tmp_path: Path) -> None:
    for name in ("promoted", "searched", "families", "multiclass", "regression"):
        show(page, tmp_path, name)
        outside = """[...document.querySelectorAll('svg')].flatMap(svg => {
          const sheet = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < sheet.left - 2 || box.right > sheet.right + 2 || box.bottom > sheet.bottom + 2;
          }).map(text => svg.getAttribute('aria-label') + ': ' + text.textContent);
        })"""
        assert page.evaluate(outside) == []


def test_it_works_in_the_sandboxed_frame_that_mlflow_gives_it(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, "promoted")
    page.set_content("<iframe sandbox='' style='width:900px;height:800px;border:0'></iframe>")
    page.evaluate("html => document.querySelector('iframe').srcdoc = html", html("promoted"))
    frame = page.frame_locator("iframe")
    frame.get_by_text("Promoted tumours v4 is the champion now").wait_for()
    assert frame.locator("svg").count() == html("promoted").count("<svg")
    frame.get_by_text("The resolved config").click()
    assert frame.get_by_text("function: tumours:read").is_visible()


def test_on_paper_it_is_black_on_white_and_no_plot_is_cut_in_two(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path, "promoted")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('svg')).breakInside") == "avoid"
    pdf = page.pdf(format="A4", print_background=True)
    assert 3 <= pdf.count(b"/Type /Page\n") <= 8


@pytest.mark.parametrize("count", [1, 2, 500])
def test_the_page_of_a_short_and_of_a_long_search_fits_and_can_be_read(page: Page, tmp_path: Path, count: int) -> None:
    (tmp_path / "search.html").write_text(write_report(stories.searched(count)).html, encoding="utf-8")
    page.goto((tmp_path / "search.html").as_uri())
    for look in looks(page, f"search-{count}"):
        page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, look
        assert page.evaluate(CUT_OFF) == 0 or page.viewport_size["width"] < NARROW, look
        assert page.evaluate(FAINT, 4.5) == [], look
