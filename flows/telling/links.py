"""Addresses of a retrain's pages, in Prefect and in MLflow.

Without servers of the user's own, the pages are those of `evertune up`: where it shows this home now, else where it will be.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from flows.services.claims import current_claim
from flows.services.pages import MLFLOW_PORT, PREFECT_PORT
from flows.services.preflight import without_user
from flows.services.servers import LOOPBACK, PAGELESS
from flows.telling.views import Views, run_page
from tasks.homes import Home
from tasks.tracking import Run

MLFLOW_PAGES = "EVERTUNE_MLFLOW_PAGES"
"""Variable with the address at which people's browsers reach MLflow's server, where runs reach it at another one."""


@dataclass(frozen=True)
class Links:
    """`prefect` is None outside a flow; `embedded` says that `evertune up` has to be running for an address to answer."""

    mlflow: str
    prefect: str | None
    embedded: bool

    def to_look(self, views: Views | None = None) -> dict[str, str]:
        """Page name -> where, for the summary; a line each."""
        found = {"MLflow": self.mlflow, **({"Prefect": self.prefect} if self.prefect else {})}
        if views is not None:
            pages = {"retrains": views.retrains, "compare": views.compare, "trials": views.trials}
            found |= {name: self.behind(page) for name, page in pages.items() if page}
        return found | ({"pages": "evertune up  (serves the addresses above)"} if self.embedded else {})

    def behind(self, fragment: str) -> str:
        """The whole address of a page of MLflow's."""
        return self.mlflow.partition("#")[0] + fragment


def find_links(home: Home, run: Run, flow_run_id: str | None) -> Links:
    """The pages of this MLflow run and this Prefect run."""
    claim = current_claim(home)
    tracker_served, prefect_served = run.tracker.uri.startswith("http"), _prefect_pages()
    given = os.environ.get(MLFLOW_PAGES) or run.tracker.uri
    mlflow = given if tracker_served else (claim and claim.mlflow) or f"http://{LOOPBACK}:{MLFLOW_PORT}"
    mlflow, prefect_served = without_user(mlflow)[0], prefect_served and without_user(prefect_served)[0]
    prefect = prefect_served or (claim and claim.prefect) or f"http://{LOOPBACK}:{PREFECT_PORT}"
    return Links(
        mlflow=f"{mlflow.rstrip('/')}/{run_page(run.tracker.experiment, run.id)}",
        prefect=f"{prefect.rstrip('/')}/v2/runs/flow-run/{flow_run_id}" if flow_run_id else None,
        embedded=not (tracker_served and prefect_served) and not (claim and claim.mlflow),
    )


def _prefect_pages() -> str | None:
    """Where the server of this flow has its pages; None for an embedded one, whose address ends with it."""
    from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

    address: str | None = PREFECT_API_URL.value()
    return None if address in (None, os.environ.get(PAGELESS)) else PREFECT_UI_URL.value()
