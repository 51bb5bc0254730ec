"""`python tests/browser/screenshots.py HOME FOLDER`: pictures of what was last run in a home, for the README and for eyes.

Starts the servers of `evertune up`, opens the pages in Chromium, waits for what they are about, and writes PNG files.
Run by hand, or by `make screenshots`; needs `chromium` from the system and the dev extra.
"""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.services.pages import Pages, open_pages
from flows.telling.views import (
    COMPARED,
    PLOTS,
    REPORT,
    TAG,
    artifact_page,
    compare_page,
    model_page,
    retrains_page,
    run_page,
    trials_page,
)
from tasks.homes import Home

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--headless"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_MS = 30_000
NO_ASSISTANT = """try { localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true') } catch { /* a sandboxed frame */ }"""
"""Else its panel takes a quarter."""


def take_pictures(home: Home, folder: Path) -> list[Path]:
    """The newest Prefect run with its artifacts, and MLflow's pages of the newest retrain."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_pages(home, sys.stderr) as pages, chromium() as page:
        return [*prefect_pictures(pages, page, folder), *mlflow_pictures(pages, page, folder)]


def prefect_pictures(pages: Pages, page: Page, folder: Path) -> Iterator[Path]:
    run = ask(f"{pages.prefect.address}/api/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    page.goto(f"{pages.prefect.address}/v2/runs/flow-run/{run['id']}")
    page.get_by_text(run["name"]).first.wait_for()
    page.get_by_role("tab", name="Logs").wait_for()
    yield picture(page, folder / "prefect-run.png")
    page.get_by_role("tab", name="Artifacts").click()
    yield picture(page, folder / "prefect-artifacts.png")
    page.goto(f"{pages.prefect.address}/v2/runs")
    page.get_by_text(run["name"]).first.wait_for()
    yield picture(page, folder / "prefect-runs.png")


def mlflow_pictures(pages: Pages, page: Page, folder: Path) -> Iterator[Path]:
    """The newest retrain's page, report and plots, its trials, the list of retrains, the last ones side by side, the model."""
    server, api = f"{pages.mlflow.address}/", f"{pages.mlflow.address}/api/2.0/mlflow"
    experiments = {one["experiment_id"]: one for one in ask(f"{api}/experiments/search", {"max_results": 1000})["experiments"]}
    retrains = ask(
        f"{api}/runs/search",
        {
            "experiment_ids": list(experiments),
            "filter": "tags.`evertune.kind` = 'retrain'",
            "order_by": ["attributes.start_time DESC"],
            "max_results": 1000,
        },
    )["runs"]
    newest = retrains[0]
    name, identity, experiment = (newest["info"][key] for key in ("run_name", "run_id", "experiment_id"))
    tags = {tag["key"]: tag["value"] for tag in newest["data"]["tags"]}
    views = [tag["key"] for tag in experiments[experiment].get("tags", []) if tag["key"].startswith(f"{TAG}evertune-")]
    others = [run["info"]["run_id"] for run in retrains if run["info"]["experiment_id"] == experiment][:COMPARED]
    tuned = next((run["info"]["run_id"] for run in retrains if "mlflow.loggedArtifacts" in {tag["key"] for tag in run["data"]["tags"]}), "")

    page.goto(server + run_page(experiment, identity))
    page.get_by_text(name).first.wait_for()
    yield picture(page, folder / "mlflow-run.png")
    for artifact, file in ((REPORT, "mlflow-artifacts.png"), (PLOTS, "mlflow-plots.png")):
        page.goto(server + artifact_page(experiment, identity, artifact))
        page.reload()  # from one artifact to another only the address changes
        page.get_by_text("Path:").evaluate("line => line.style.visibility = 'hidden'")  # a folder of this machine
        page.frame_locator("iframe").get_by_role("heading").first.wait_for()
        yield picture(page, folder / file)
    page.goto(server + retrains_page(experiment, views[0].removeprefix(TAG) if views else ""))
    page.get_by_role("link", name=name).first.wait_for()
    yield picture(page, folder / "mlflow-retrains.png")
    if tuned:
        page.goto(server + trials_page(experiment, tuned, tags.get("evertune.metric_name", "")))
        page.get_by_role("link", name="trial 0").first.wait_for()
        yield picture(page, folder / "mlflow-trials.png")
    if len(others) > 1:
        page.goto(server + compare_page(experiment, others[::-1]))
        page.get_by_text("Run details").wait_for()
        yield picture(page, folder / "mlflow-compare.png")
    if "evertune.version" in tags:
        page.goto(server + model_page(tags["evertune.model"]))
        page.get_by_text("Versions").first.wait_for()
        yield picture(page, folder / "mlflow-model.png")


def picture(page: Page, path: Path) -> Path:
    """The page as it looks when nothing moves any more."""
    page.wait_for_timeout(2_500)  # plots and lists draw after their texts; both pages poll, so the network is never idle
    page.screenshot(path=path)
    print(path)
    return path


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1440, "height": 900}, device_scale_factor=1)
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(NO_ASSISTANT)
        yield page
        browser.close()


def ask(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


if __name__ == "__main__":
    take_pictures(Home.named(sys.argv[1]), Path(sys.argv[2]))
