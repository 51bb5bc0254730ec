"""Prefect's own pages in a real browser: the run form, the question of a retrain that asks, its artifacts, and MLflow behind the link."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from flows.deploying.registering import register
from flows.services.pages import open_mlflow
from tasks.homes import Home
from tests.browser.screenshots import NO_ASSISTANT
from tests.operation import Operated, Worker, ask, await_run
from tests.small import small_config, small_table

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    context.add_init_script(NO_ASSISTANT)
    yield context.new_page()
    context.close()


def table_of_today() -> pd.DataFrame:
    """The small table, its last day yesterday: the form's retrain stands at now."""
    table = small_table()
    days = pd.to_datetime(table["day"])
    return table.assign(day=(days + (datetime.now(UTC) - timedelta(hours=1) - days.max())).map(pd.Timestamp.isoformat))


def test_a_person_fills_the_form_answers_the_question_and_finds_the_way_to_mlflow_and_back(
    page: Page, operated: Operated, worker: Worker, store: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(tmp_path / "configs", table_of_today(), name="formed")
    monkeypatch.chdir(tmp_path)
    register([config], operated.api_url, "formed")
    worker("formed")
    deployment = ask(f"{operated.api_url}/deployments/name/retrain/formed")["id"]
    page.goto(f"{operated.address}/v2/deployments/deployment/{deployment}")
    run_id = fill_the_form(page, operated, deployment)

    assert await_run(operated.api_url, run_id, states={"PAUSED", "FAILED", "CRASHED"})["state"]["name"] == "Suspended"
    page.goto(f"{operated.address}/v2/runs/flow-run/{run_id}")
    answer(page)
    assert await_run(operated.api_url, run_id)["state"]["name"] == "Promoted"

    page.reload()
    page.get_by_text("Promoted").first.wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    for artifact in ("approval", "mlflow", "report"):
        page.get_by_text(artifact, exact=True).first.wait_for()
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["mlflow"]}}}
    link = ask(f"{operated.api_url}/artifacts/filter", wanted)[0]["data"]
    with ExitStack() as stack:
        server = open_mlflow(store, stack, sys.stderr).address
        page.goto(server + "/#" + link.partition("/#")[2].partition(")")[0].rstrip(">"))
        page.get_by_text("promoted", exact=False).first.wait_for()
        page.get_by_text(f"{operated.address}/v2/runs/flow-run/{run_id}"[:30], exact=False).first.wait_for()


def fill_the_form(page: Page, operated: Operated, deployment: str) -> str:
    """Submit a retrain by hand, a wrong value first, which the form refuses; the flow run's id."""
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
    for field, choice in (("Tune", "never"), ("Promote", "ask")):
        page.get_by_role("button", name=f"Select {field}").click()
        page.get_by_role("option", name=choice, exact=True).click()
    page.get_by_label("Note").fill("prices have changed")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/deployments/deployment/*?tab=Runs")
    (run,) = ask(f"{operated.api_url}/flow_runs/filter", runs)
    wished = {name: run["parameters"][name] for name in ("tune", "trials", "promote", "note")}
    assert wished == {"tune": "never", "trials": 2, "promote": "ask", "note": "prices have changed"}
    return str(run["id"])


def answer(page: Page) -> None:
    """Approve, in the form behind Resume."""
    page.locator("button[aria-haspopup=menu]").last.click()
    page.get_by_role("menuitem", name="Resume").click()
    form = page.get_by_role("dialog")
    form.get_by_text("Make formed v1 the champion?").wait_for()
    form.get_by_text("Select", exact=True).first.click()
    page.get_by_role("option", name="approve").click()
    form.get_by_label("Your name").fill("Ada")
    form.get_by_label("Reason").fill("looked at the report")
    form.get_by_role("button", name="Resume").click()
    form.wait_for(state="detached")
