"""The sweep over all models: what `end_dead_runs` does for one at the start of its retrain, done for every one."""

from __future__ import annotations

import logging
from typing import Any

from flows.reconciling.flow_runs import end_silent_flow_runs
from flows.reconciling.leftovers import remove_leftovers
from flows.reconciling.owners import is_dead
from flows.reconciling.runs import PARENT_TAG, Tell, end_dead_runs, end_runs, find_running, label, parents
from flows.services.preflight import studies_url
from flows.services.registries import LEASE_SECONDS
from tasks.errors import Conflict
from tasks.homes import Home
from tasks.leases import hold_lease
from tasks.registry import repair_aliases
from tasks.remembering import MODEL_TAG
from tasks.tracking import Tracker

log = logging.getLogger("evertune")


def sweep(home: Home, tracker: Tracker, tell: Tell | None = None) -> list[str]:
    """End all dead runs of MLflow, then the silent ones of Prefect, then remove what dead processes left on the disk.

    A line for everything that was mended. Cheap where nothing is wrong: one search of MLflow, one of Prefect.
    Raises ServiceUnavailable, httpx.HTTPError.
    """
    running = find_running(tracker)
    dead = [run for run in parents(running) if is_dead(home, tracker, run)]
    lines = end_runs(tracker, [run for run in dead if not _may_have_registered(run)], running, None, tell)
    for model in sorted({run.data.tags[MODEL_TAG] for run in dead if _may_have_registered(run)}):
        lines += _mend_model(home, tracker, model, tell)
    lines += _end_orphans(tracker, running)
    living = {str(run.data.tags.get("evertune.flow_run_id", "")) for run in parents(find_running(tracker) if lines else running)}
    return [*lines, *end_silent_flow_runs(living), *remove_leftovers(home)]


def _may_have_registered(run: Any) -> bool:
    """A dry run, or one that was killed before it named its model, cannot have."""
    return MODEL_TAG in run.data.tags and run.data.tags.get("evertune.kind") == "retrain"


def _mend_model(home: Home, tracker: Tracker, model: str, tell: Tell | None) -> list[str]:
    """As a retrain does at its start. Whoever holds the model has done so, and is left alone."""
    try:
        with hold_lease(studies_url(home), model, LEASE_SECONDS, "evertune's reconciler") as lease:
            repair_aliases(tracker, model, lease)
            return end_dead_runs(home, tracker, model, tell)
    except Conflict as error:
        log.info("%s is left to whoever holds it: %s", model, error)
        return []


def _end_orphans(tracker: Tracker, running: list[Any]) -> list[str]:
    """Trials that say RUNNING under a retrain that is over: a signal came while they were written down."""
    lines, open_runs = [], {run.info.run_id for run in running}
    for run in running:
        parent = run.data.tags.get(PARENT_TAG)
        if parent and parent not in open_runs and tracker.client.get_run(run.info.run_id).info.status == "RUNNING":
            tracker.client.set_terminated(run.info.run_id, "KILLED")
            lines.append(f"{label(run)}: KILLED, its retrain is over")
    return lines
