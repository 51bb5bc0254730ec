"""The reconciler: a small flow, every ten minutes, that ends what dead processes left behind as if it were alive.

A retrain does the same for its own model when it starts; this is for models that nobody retrains meanwhile, for Prefect's
runs, and for approvals that nobody answered.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
from prefect import flow
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from flows.reconciling.sweeping import sweep
from flows.retraining.approving import expire_approvals
from flows.retraining.obituaries import tell_end
from flows.services.registries import open_registry
from flows.telling.occasions import superseded
from flows.telling.settling import settle_in
from tasks.artifacts import publish_table
from tasks.errors import EvertuneError
from tasks.homes import Home

SHOWN = 5


@flow(name="reconcile", flow_run_name="reconcile", persist_result=False)
def reconcile() -> State[Any]:
    """End dead runs of MLflow and Prefect, and approvals that nobody answered; the state says whether anything was mended."""
    settle_in()
    if reason := superseded():
        return Completed(name="Skipped", message=reason)
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (Home.from_environment().root / "mlflow.db").is_file():
        return Completed(name="Nothing to mend", message="nothing was retrained yet")
    try:
        with open_registry() as (tracker, home):
            home.prepare()
            lines = [*sweep(home, tracker, tell_end), *expire_approvals()]
    except (EvertuneError, OSError, httpx.HTTPError) as error:
        return Failed(message=f"not everything could be looked at, which is tried again at the next run: {error}")
    if not lines:
        return Completed(name="Nothing to mend", message="every run that says it runs is alive")
    publish_table("mended", [{"what was mended": line} for line in lines], f"{len(lines)} mended")
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return Completed(name="Mended", message="; ".join(lines[:SHOWN]) + more)
