"""MLflow runs whose process is dead: they say RUNNING for ever unless somebody ends them.

Trials that a dead search was running need nothing: a study holds only trials that are over, so the next search of the same
retrain runs them again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flows.reconciling.flow_runs import end_flow_run
from flows.reconciling.leftovers import remove_leftovers
from flows.reconciling.owners import began, is_dead, owner_of
from tasks.baselines import METRIC_TAG, VERDICT_TAG
from tasks.homes import Home
from tasks.registry import Entry, read_entry
from tasks.registry.aliases import INTENT
from tasks.registry.versions import read_log
from tasks.remembering import MODEL_TAG
from tasks.tracking import TABLES_TAG, Run, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class End:
    """What a dead retrain came to, which it could tell nobody; `version` is the one that had gone live."""

    run: Any
    model: str
    verdict: Literal["promoted", "failed"]
    reason: str
    version: str | None = None


Tell = Callable[[End], None]
"""Who is told of each end; the events and notices of a retrain are not known here."""
PARENT_TAG = "mlflow.parentRunId"
KINDS = ("retrain", "dry_run")
PAGE = 1000
log = logging.getLogger("evertune")


def end_dead_runs(home: Home, tracker: Tracker, model: str, tell: Tell | None = None) -> list[str]:
    """End what dead processes left open of a model, whose lease this process holds and whose aliases are repaired.

    A run whose candidate went live is FINISHED, any other FAILED; its open trials are KILLED, its Prefect run ends with it.
    A line for each run that was ended. Raises ServiceUnavailable when the study database does not answer.
    """
    running = find_running(tracker)
    own = [run for run in parents(running) if belongs_to(run, model, tracker.experiment)]
    dead = [run for run in own if is_dead(home, tracker, run)]
    if not dead:
        return []
    return [*end_runs(tracker, dead, running, read_entry(tracker, model), tell), *remove_leftovers(home)]


def find_running(tracker: Tracker) -> list[Any]:
    """Every run of Evertune's, of any experiment, that says RUNNING: retrains, dry runs and trials."""
    experiments = [found.experiment_id for found in tracker.client.search_experiments(max_results=PAGE)]
    found: list[Any] = []
    token: str | None = None
    while token != "" and experiments:
        wanted = "attributes.status = 'RUNNING' and tags.`evertune.kind` LIKE '%'"
        page = tracker.client.search_runs(experiments, wanted, max_results=PAGE, page_token=token)
        found += page
        token = page.token or ""
    return found


def parents(running: Iterable[Any]) -> list[Any]:
    """Those among them that are retrains or dry runs."""
    return [run for run in running if run.data.tags.get("evertune.kind") in KINDS]


def belongs_to(run: Any, model: str, experiment: str) -> bool:
    """Whether it is a run of this model; one that was killed before it could say so is by its experiment."""
    told = run.data.tags.get(MODEL_TAG)
    return told == model or (told is None and run.info.experiment_id == experiment)


def end_runs(tracker: Tracker, dead: Sequence[Any], running: Iterable[Any], entry: Entry | None, tell: Tell | None = None) -> list[str]:
    """End these runs and what hangs on them; `entry` is their model's, None where they cannot have registered anything."""
    lines = []
    for run in dead:
        if tracker.client.get_run(run.info.run_id).info.status != "RUNNING":  # it came to its end while we looked
            continue
        end_children(tracker.client, run, running)
        end_models(tracker.client, run)
        version = entry and promoted_version(entry, run.info.run_id)
        end, line = _finish(tracker, run, version) if version else _fail(tracker, run, entry)
        log.warning("mended: %s", line)
        lines.append(line)
        if tell is not None and end.model and run.data.tags.get("evertune.kind") == "retrain":
            tell(end)
    return lines


def end_children(client: MlflowClient, run: Any, running: Iterable[Any]) -> None:
    """Trials that were being written down when the process died."""
    for child in running:
        if child.data.tags.get(PARENT_TAG) == run.info.run_id:
            client.set_terminated(child.info.run_id, "KILLED")


def end_models(client: MlflowClient, run: Any) -> None:
    """A model that was being written when the process died: no version is made of it before it is whole."""
    for model in client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"):
        if model.status == "PENDING":
            client.finalize_logged_model(model.model_id, "FAILED")


def promoted_version(entry: Entry, run_id: str) -> Any | None:
    """The version that this run made champion, whatever became of it since. Its commit point had passed: it was a success."""
    by = f"retrain {run_id}"
    for version in entry.versions:
        if any((act.get("act"), act.get("by")) == ("promoted", by) for act in read_log(version)):
            return version
    live = entry.champion
    if live is not None and f'"by": "{by}"' in live.tags.get(INTENT, ""):  # the alias moved, and nothing was recorded any more
        return live
    return None


def _finish(tracker: Tracker, run: Any, version: Any) -> tuple[End, str]:
    reason = version.tags.get("evertune.reason", "")
    message = f"v{version.version} of {version.name} is live: {reason}; {say_death(run)} right after, so there is no report"
    tags = {VERDICT_TAG: "promoted", "evertune.reason": message, "evertune.version": str(version.version)}
    _close(tracker, run, "FINISHED", {**tags, "mlflow.runName": f"{run.info.run_name} promoted"})
    end_flow_run(_flow_run_id(run), began(run), "Promoted", message)
    line = f"{label(run)}: FINISHED, since v{version.version} of {version.name} had gone live when {say_death(run)}"
    return End(run, version.name, "promoted", message, str(version.version)), line


def _fail(tracker: Tracker, run: Any, entry: Entry | None) -> tuple[End, str]:
    stage = find_stage(run, entry)
    message = f"{say_death(run)} in stage {stage}; run the same retrain again: it goes on with what was finished"
    tags = {VERDICT_TAG: "failed", "evertune.reason": message, "failure.stage": stage, "failure.message": message}
    _close(tracker, run, "FAILED", {**tags, "mlflow.runName": f"{run.info.run_name} failed"})
    end_flow_run(_flow_run_id(run), began(run), "Crashed", message)
    return End(run, run.data.tags.get(MODEL_TAG, ""), "failed", message), f"{label(run)}: FAILED, {say_death(run)} in stage {stage}"


def _close(tracker: Tracker, run: Any, status: str, tags: dict[str, str]) -> None:
    """The tags first: whoever sees the status sees why."""
    Run(tracker, run.info.run_id).tags(tags)
    tracker.client.set_terminated(run.info.run_id, status)


def find_stage(run: Any, entry: Entry | None) -> str:
    """The stage that it died in, as far as its record tells: what a stage found is written when it is over."""
    tags, found = run.data.tags, run.data.params
    if entry is not None and any(version.tags.get("evertune.run_id") == run.info.run_id for version in entry.versions):
        return "register"
    if METRIC_TAG in tags:
        return "gate, refit or register"
    if "family" in found:
        return "evaluate"
    if tags.get("evertune.tuning") == "ran" and "trials.json" not in tags.get(TABLES_TAG, ""):
        return "tune"
    if "evertune.tuning" in tags:
        return "train"
    return "split or features" if "evertune.data_digest" in tags else "load or validate"


def label(run: Any) -> str:
    """`shop 2024-04-30 (run 1a2b3c4d)`."""
    return f"{run.info.run_name} (run {run.info.run_id[:8]})"


def say_death(run: Any) -> str:
    """Who died, as the rest of a sentence."""
    owner = owner_of(run)
    return "its process died" if owner is None else f"its process (pid {owner.pid} on {owner.host}) died"


def _flow_run_id(run: Any) -> str:
    return str(run.data.tags.get("evertune.flow_run_id", ""))
