"""Prefect's own pages in a real browser: the run form of a registered deployment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flows.deploying.registering import register
from tests.browser.test_report_page import browser
from tests.operation import Operated, ask
from tests.small import small_config

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]
pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_a_person_fills_the_run_form_and_a_wrong_value_is_refused_there(
    page: Page, operated: Operated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(tmp_path / "configs", name="formed")
    monkeypatch.chdir(tmp_path)
    register([config], operated.api_url, "formed")
    deployment = ask(f"{operated.api_url}/deployments/name/retrain/formed")["id"]
    page.goto(f"{operated.address}/v2/deployments/deployment/{deployment}")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.get_by_text("Stop after this many trials; 0 leaves it to the config.").wait_for()
    trials = page.get_by_label("Trials")
    assert (page.get_by_label("Config").input_value(), trials.input_value()) == ("configs/shop.yaml", "0")

    trials.fill("-1")
    page.get_by_role("button", name="Submit").click()
    assert trials.evaluate("field => field.validationMessage") == "Value must be greater than or equal to 0."
    runs = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    assert ask(f"{operated.api_url}/flow_runs/filter", runs) == []

    trials.fill("2")
    for field, choice in (("Tune", "always"), ("Promote", "ask")):
        page.get_by_role("button", name=f"Select {field}").click()
        page.get_by_role("option", name=choice, exact=True).click()
    page.get_by_label("Note").fill("prices have changed")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/deployments/deployment/*?tab=Runs")
    (run,) = ask(f"{operated.api_url}/flow_runs/filter", runs)
    wished = {name: run["parameters"][name] for name in ("tune", "trials", "promote", "note")}
    assert wished == {"tune": "always", "trials": 2, "promote": "ask", "note": "prices have changed"}
