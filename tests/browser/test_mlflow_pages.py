"""MLflow's own pages in a real browser, on a store with real retrains: what one gets to see behind each link we print."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flows.services.pages import open_mlflow
from tasks.homes import Home
from tasks.records import PastScore, Result
from tasks.reports.interactive import interactive_page
from tests import stories
from tests.browser.screenshots import NO_ASSISTANT
from tests.small import at_day, small_config, small_table

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000
GATE = {"min_rows": 20, "margin": 0.9, "slices": ["shop"]}
RETRAINS: tuple[tuple[int, dict[str, Any]], ...] = ((90, {}), (120, {"tuning": {"when": "never"}}))
COLUMNS = [
    "evertune.verdict",
    "log_loss",
    "champion/log_loss",
    "evertune.version",
    "evertune.tuning",
    "seconds/total",
    "data/train_rows",
    "evertune.as_of",
]


@dataclass
class Shown:
    """A served store: where, and what its retrains came to, the last one last."""

    server: str
    results: list[Result]

    def address(self, page: str, result: Result | None = None) -> str:
        """A page of a retrain's (the last one's) summary, at the port where it really is."""
        return self.server + "/" + (result or self.results[-1]).look[page].partition("/#")[2].join(["#", ""])


@pytest.fixture(scope="module")
def shown(browser: Browser, migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Two retrains of the small example, the first one tuned, served by MLflow."""
    from configs.reading import read_config
    from flows.retrain import run_retrain

    folder = tmp_path_factory.mktemp("mlflow-pages")
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        environment.setenv("EVERTUNE_HOME", str(folder / "home"))
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "EVERTUNE_STUDIES_URL"):
            environment.delenv(name, raising=False)
        home = Home.from_environment()
        shutil.copy(migrated_store, home.root / "mlflow.db")
        results = []
        for day, changes in RETRAINS:
            path = small_config(folder / "shop", small_table(day), description="Does a shop sell today?", gate=GATE, **changes)
            results.append(run_retrain(read_config(path), at_day(day)))
        yield Shown(open_mlflow(home, stack, sys.stderr).address, results)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(NO_ASSISTANT)
    yield context.new_page()
    context.close()


def listen(page: Page, *ours: str) -> list[str]:
    """What a page asks of anybody else, and what goes wrong on it, from now on."""
    heard: list[str] = []
    page.on("request", lambda request: None if request.url.startswith((*ours, "data:", "blob:")) else heard.append(request.url))
    page.on("pageerror", lambda error: heard.append(str(error)))
    # a 404 of MLflow's own is none of our business, and it is heard as one
    page.on(
        "console", lambda said: heard.append(said.text) if said.type == "error" and "Failed to load resource" not in said.text else None
    )
    return heard


def test_the_list_of_retrains_opens_with_our_columns_in_our_order(page: Page, shown: Shown) -> None:
    page.goto(shown.address("retrains"))
    for result in shown.results:
        page.get_by_role("link", name=f"shop {result.as_of} {result.verdict}", exact=True).wait_for()
    headers = page.locator(".ag-header-cell")
    headers.get_by_text("data/train_rows").wait_for()
    placed = sorted((cell["x"], name) for name in COLUMNS if (cell := headers.get_by_text(name, exact=True).first.bounding_box()))
    assert [name for _, name in placed] == COLUMNS
    assert page.get_by_text("Retrains (log_loss)").first.is_visible()
    assert page.get_by_text(re.compile("^trial 0")).count() == 0


def test_a_runs_page_begins_with_the_verdict_and_its_links_lead_where_they_say(page: Page, shown: Shown) -> None:
    page.goto(shown.address("MLflow"))
    page.get_by_text("shop v2 is the champion now").wait_for()
    assert page.get_by_text("Promoted", exact=True).is_visible()
    page.get_by_text("Show more").click()
    links = {
        name: page.get_by_role("link", name=name, exact=True).get_attribute("href")
        for name in ("Report", "plots", "version 2", "the last retrains side by side", "all retrains")
    }
    for name, text in (
        ("version 2", "Version 2"),
        ("the last retrains side by side", "Comparing 2 Runs from 1 Experiment"),
        ("all retrains", "Retrains (log_loss)"),
    ):
        page.goto(f"{shown.server}/{links[name]}")
        page.get_by_text(text).first.wait_for()
    page.goto(f"{shown.server}/{links['Report']}")
    page.frame_locator("iframe").get_by_text("shop v2 is the champion now").first.wait_for()


def test_the_scores_come_first_among_the_models_metrics(page: Page, shown: Shown) -> None:
    page.goto(shown.address("MLflow", shown.results[0]))
    page.get_by_role("link", name="log_loss", exact=True).wait_for()
    names = page.get_by_role("link").all_inner_texts()
    scores = [name for name in names if name in ("log_loss", "champion/log_loss", "search/best_so_far")]
    assert scores[0] == "log_loss"


def test_the_trials_of_a_retrain_lie_side_by_side_the_best_first(page: Page, shown: Shown) -> None:
    page.goto(shown.address("trials", shown.results[0]))
    page.get_by_text("curve/fold_1", exact=True).first.wait_for()
    names = page.get_by_role("link", name=re.compile("^trial 0"))
    assert names.count() == shown.results[0].trials["finished"] + shown.results[0].trials["pruned"] + shown.results[0].trials["failed"]
    assert "best" in names.first.inner_text()


def test_the_models_page_tells_what_is_live_and_shows_aliases_and_tags(page: Page, shown: Shown) -> None:
    page.goto(f"{shown.server}/#/models/shop?workflowType=machine_learning")
    page.get_by_text("Does a shop sell today?").first.wait_for()
    page.get_by_text("Version 2 is the champion since the retrain as of 30 April 2024").wait_for()
    for text in ("champion", "previous", "evertune.verdict"):
        page.locator("table, [role=table]").get_by_text(text).first.wait_for()


def test_the_interactive_page_draws_in_mlflows_frame_and_asks_for_nothing(page: Page, shown: Shown) -> None:
    heard = listen(page, shown.server)
    page.goto(shown.address("MLflow"))
    page.get_by_text("Show more").click()
    page.goto(f"{shown.server}/{page.get_by_role('link', name='plots', exact=True).get_attribute('href')}")
    frame = page.frame_locator("iframe")
    drawn(frame)
    assert {"roc", "lift", "thresholds", "slices", "importance", "score_history"} <= set(
        frame.locator(".chart").evaluate_all("all => all.map(e => e.id)")
    )
    assert heard == []


# the page by itself


def drawn(place: FrameLocator | Page) -> None:
    """Wait until every chart is there, with something on it."""
    place.locator("body[data-drawn]").wait_for()
    empty = "all => all.filter(e => !e.querySelector('svg.main-svg path, svg.main-svg .table')).map(e => e.id)"
    assert place.locator(".chart").evaluate_all(empty) == []


def opened(page: Page, folder: Path, story: Any) -> list[str]:
    file = folder / "interactive.html"
    file.write_text(interactive_page(story), encoding="utf-8")
    heard = listen(page, file.as_uri())
    page.goto(file.as_uri())
    drawn(page)
    return heard


@pytest.mark.parametrize("name", ["searched", "multiclass", "regression"])
def test_every_chart_draws_by_day_and_by_night_and_fits_its_window(page: Page, tmp_path: Path, name: str) -> None:
    for scheme, width in (("light", 1400), ("dark", 700)):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 900})
        assert opened(page, tmp_path, stories.EVERY[name]()) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_hovering_tells_figures_and_a_trials_whole_line_comes_to_the_front(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, stories.searched(30))
    page.locator("#importance").scroll_into_view_if_needed()
    page.locator("#importance .bars .point path").first.hover(force=True)
    told = page.locator("#importance .hoverlayer .hovertext text").first
    assert re.fullmatch(r".+: \d+\.\d\d%", told.text_content() or "")
    page.locator("#parallel").scroll_into_view_if_needed()
    followed = "() => document.getElementById('parallel').data.at(-1).x.length"
    assert page.evaluate(followed) == 0
    page.locator("#parallel .trace").nth(1).locator(".point").nth(3).hover(force=True)
    page.wait_for_function(f"({followed})() > 5")
    assert "trial" in (page.locator("#parallel .hoverlayer").text_content() or "")


def test_hostile_names_are_text_in_every_label_and_hover(page: Page, tmp_path: Path) -> None:
    story, evil = stories.promoted(), "<img src=x onerror=\"document.body.dataset.owned='yes'\"><a href='https://example.org'>$x$</a>"
    earlier = (PastScore("2013-09-01", evil, evil, "log_loss", 0.4, 0.4), *story.past)
    assert story.evaluation is not None
    slices = tuple(replace(one, column=evil, value=evil) for one in story.evaluation.slices)
    story = replace(story, importance={evil: 1.0}, past=earlier, evaluation=replace(story.evaluation, slices=slices))
    assert opened(page, tmp_path, story) == []
    page.locator("#importance").scroll_into_view_if_needed()
    page.locator("#importance .bars .point path").first.hover(force=True)
    assert "<img src=x" in (page.locator("#importance .hoverlayer .hovertext").first.text_content() or "")
    assert page.locator("img, svg a[href]").count() == 0
    assert page.evaluate("document.body.dataset.owned") is None
