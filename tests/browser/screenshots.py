"""`python tests/browser/screenshots.py HOME FOLDER`: pictures of what was last run in a home, for the README and for eyes.

Starts the servers of `evertune ui`, opens the pages in Chromium, waits for what they are about, and writes PNG files.
Run by hand, or by `make screenshots`; needs `chromium` from the system and the dev extra.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from flows.pages import Pages, open_pages
from tasks.homes import Home

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"  # else its panel takes a quarter


def take_pictures(home: Home, folder: Path) -> list[Path]:
    """The newest Prefect run with its artifacts, the newest MLflow run with its artifacts, and the list of runs."""
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
    api, mode = f"{pages.mlflow.address}/api/2.0/mlflow", "?workflowType=machine_learning"
    experiments = [one["experiment_id"] for one in ask(f"{api}/experiments/search", {"max_results": 1000})["experiments"]]
    runs = ask(f"{api}/runs/search", {"experiment_ids": experiments, "order_by": ["attributes.start_time DESC"], "max_results": 1000})[
        "runs"
    ]
    run = next(one for one in runs if "mlflow.parentRunId" not in {tag["key"] for tag in one["data"]["tags"]})
    name, identity = run["info"]["run_name"], run["info"]["run_id"]
    address = f"{pages.mlflow.address}/#/experiments/{run['info']['experiment_id']}"
    page.goto(f"{address}/runs/{identity}{mode}")
    page.get_by_text(name).first.wait_for()
    yield picture(page, folder / "mlflow-run.png")
    page.goto(f"{address}/runs/{identity}/artifacts{mode}")
    page.get_by_text("report.html").first.click()
    yield picture(page, folder / "mlflow-artifacts.png")
    page.goto(f"{address}/runs{mode}")
    page.get_by_text(name).first.wait_for()
    yield picture(page, folder / "mlflow-runs.png")


def picture(page: Page, path: Path) -> Path:
    """The page as it looks when nothing moves any more."""
    page.wait_for_timeout(2_500)  # plots and lists draw after their texts; both pages poll, so the network is never idle
    page.screenshot(path=path)
    print(path)
    return path


@contextmanager
def chromium() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
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
