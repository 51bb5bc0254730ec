"""MLflow's pages of a retrain: the list of retrains with columns worth reading, comparisons, trials, the model.

Addresses are fragments (`#/...`): behind any server's address they lead to the page, and on a page of MLflow's they are
links that work wherever it is served. Each asks for the machine-learning workflow; without it MLflow opens its GenAI pages.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tasks.records import Story
from tasks.reports.dimensions import known_metric
from tasks.tracking import Run, Tracker

WORKFLOW = "workflowType=machine_learning"
TAG = "mlflow.sharedViewState."
"""Experiment tag of a saved view. MLflow 3.17's own format, not documented: what it no longer knows it answers with its default list."""
HEADER = "deflate;"
NAME = "Retrains"
COMPARED = 8
"""Retrains side by side, this one among them: more lines than that nobody tells apart."""
REPORT, PLOTS = "report.html", "plots/interactive.html"
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Views:
    """Fragments; empty where there is nothing to see."""

    run: str
    retrains: str
    compare: str = ""
    """The last retrains side by side; there have to be two."""
    trials: str = ""
    """This retrain's trials side by side, the best first."""
    report: str = ""
    plots: str = ""
    version: str = ""
    model: str = ""


def find_views(run: Run, story: Story) -> Views:
    """The pages of this retrain; the saved view is put in place where it is missing. Raises nothing that MLflow may raise."""
    result, experiment = story.result, run.tracker.experiment
    metric = str(result.metric.get("name") or next((past.metric for past in reversed(story.past) if past.metric), ""))
    key = ensure_view(run.tracker, experiment, metric)
    compared = [past.run_id for past in story.past if past.run_id and past.run_id != run.id][1 - COMPARED :]
    searched = story.search is not None and bool(story.search.trials)
    return Views(
        run=run_page(experiment, run.id),
        retrains=retrains_page(experiment, key),
        compare=compare_page(experiment, [*compared, run.id]) if compared else "",
        trials=trials_page(experiment, run.id, story.search.metric) if searched and story.search else "",
        report=artifact_page(experiment, run.id, REPORT),
        plots=artifact_page(experiment, run.id, PLOTS) if story.evaluation is not None else "",
        version=version_page(result.model, result.version) if result.version else "",
        model=model_page(result.model) if result.version else "",
    )


def ensure_view(tracker: Tracker, experiment: str, metric: str) -> str:
    """The key of our saved view for this metric, written unless it is there as it should be; empty when MLflow does not take it.

    It is in the list's menu Views too, and whoever changes it there loses the change at the next retrain.
    """
    key = f"evertune-{hashlib.sha256(metric.encode()).hexdigest()[:8]}" if metric else "evertune"
    state = json.dumps(view_state(metric), sort_keys=True, separators=(",", ":"))
    try:
        there = tracker.client.get_experiment(experiment).tags.get(TAG + key)
        if _state_of(there) != state:
            tracker.client.set_experiment_tag(experiment, TAG + key, _pack(f"{NAME} ({metric})" if metric else NAME, state))
    except Exception as error:  # a list without our columns is still a list: the retrain's record must not end here
        log.warning("MLflow's list of retrains opens without our columns: the saved view could not be written: %s", error)
        return ""
    return key


def view_state(metric: str) -> dict[str, Any]:
    """What MLflow's list keeps of a view: which runs, in what order, and the columns from left to right with their widths in px."""
    scores = {f"metrics.`{metric}`": 105, f"metrics.`champion/{metric}`": 145} if metric else {}
    columns = {
        "tags.`evertune.verdict`": 120,
        **scores,
        "tags.`evertune.version`": 120,
        "tags.`evertune.tuning`": 115,
        "metrics.`seconds/total`": 110,
        "metrics.`data/train_rows`": 125,
        "tags.`evertune.as_of`": 190,
    }
    return {
        "searchFilter": "tags.`evertune.kind` = 'retrain'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(columns),
        "columnOrder": ["attributes.`Run Name`", "runDateAndNestInfo", *columns],
        "columnWidths": {"attributes.`Run Name`": 215, "runDateAndNestInfo": 135, **columns},
    }


def run_page(experiment: str, run_id: str) -> str:
    return f"#/experiments/{experiment}/runs/{run_id}?{WORKFLOW}"


def artifact_page(experiment: str, run_id: str, path: str) -> str:
    """A run's artifacts, this one opened."""
    return f"#/experiments/{experiment}/runs/{run_id}/artifacts/{quote(path)}?{WORKFLOW}"


def retrains_page(experiment: str, key: str) -> str:
    """The list of retrains, with our columns where the view is known. No other parameter: with one, MLflow leaves the view aside."""
    return f"#/experiments/{experiment}/runs?{WORKFLOW}" + (f"&viewStateShareKey={quote(key)}" if key else "")


def compare_page(experiment: str, run_ids: Sequence[str]) -> str:
    """These runs side by side, with parallel coordinates of their parameters and metrics."""
    runs, experiments = (quote(json.dumps(list(ids), separators=(",", ":")), safe=",") for ids in (run_ids, [experiment]))
    return f"#/compare-runs?runs={runs}&experiments={experiments}&{WORKFLOW}"


def trials_page(experiment: str, run_id: str, metric: str) -> str:
    """This run's trials in charts: their learning curves, scores and costs, beside a list of them with the best first."""
    known = known_metric(metric)
    ascending = "true" if known is None or not known.greater_is_better else "false"
    mine = quote(f"tags.`mlflow.parentRunId` = '{run_id}'")
    order = f"orderByKey={quote(f'metrics.`{metric}`')}&orderByAsc={ascending}"
    return f"#/experiments/{experiment}/runs?{WORKFLOW}&compareRunsMode=CHART&searchFilter={mine}&{order}"


def model_page(model: str) -> str:
    """A registered model: its versions, aliases and description."""
    return f"#/models/{quote(model, safe='')}?{WORKFLOW}"


def version_page(model: str, version: str) -> str:
    return f"#/models/{quote(model, safe='')}/versions/{quote(version)}?{WORKFLOW}"


def _pack(name: str, state: str) -> str:
    now = int(1000 * time.time())
    packed = HEADER + base64.b64encode(zlib.compress(state.encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": packed})


def _state_of(packed: str | None) -> str | None:
    """The state in a saved view; None for what is not one."""
    try:
        state = json.loads(packed or "")["state"]
        return zlib.decompress(base64.b64decode(state.removeprefix(HEADER), validate=True)).decode()
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error):
        return None
