"""What set a retrain off, as far as Prefect knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext


class Skipped(Exception):
    """Nothing is to do; the reason is its text."""


ALIVE = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED]


@dataclass(frozen=True)
class Occasion:
    """`flow_run_id` is None outside a flow; `instant` is the scheduled start, else now (UTC); `deployed`: a worker runs it."""

    flow_run_id: str | None
    trigger: str
    instant: datetime
    deployed: bool = False


def find_occasion() -> Occasion:
    """The Prefect run that this is, if it is one."""
    context, now = FlowRunContext.get(), datetime.now(UTC)
    run = context.flow_run if context else None
    if run is None:
        return Occasion(None, "from Python, without Prefect", now)
    if run.auto_scheduled and run.expected_start_time:
        return Occasion(str(run.id), "by its schedule", plain(run.expected_start_time), deployed=True)
    deployed = run.deployment_id is not None
    return Occasion(str(run.id), "through a deployment, by hand or by an event" if deployed else "by hand", now, deployed)


def plain(instant: datetime) -> datetime:
    """An aware instant as Python's own datetime in UTC: Prefect's is a subclass, whose differences pandas cannot compare with."""
    return datetime.fromtimestamp(instant.timestamp(), UTC)


def superseded() -> str | None:
    """Why a scheduled run is left to a later one: its slot was missed, and one of the same schedule that came later is due too; else None.

    So any number of missed slots is caught up once, by the last of them.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or not run.auto_scheduled or run.deployment_id is None or run.expected_start_time is None:
        return None
    wanted = FlowRunFilter.model_validate(
        {
            "deployment_id": {"any_": [run.deployment_id]},
            "state": {"type": {"any_": ALIVE}},
            "expected_start_time": {"after_": run.expected_start_time, "before_": datetime.now(UTC)},
        }
    )
    with get_client(sync_client=True) as client:
        due = [other for other in client.read_flow_runs(flow_run_filter=wanted) if other.auto_scheduled and _same_schedule(other, run)]
    later = [
        other.expected_start_time for other in due if other.expected_start_time and other.expected_start_time > run.expected_start_time
    ]
    if not later:
        return None
    missed = f"{run.expected_start_time:%Y-%m-%d %H:%M}"
    return f"nothing to do: the slot of {max(later):%Y-%m-%d %H:%M} UTC is due too, and stands for the missed one of {missed}"


def _same_schedule(other: FlowRun, run: FlowRun) -> bool:
    """Each schedule of a deployment has parameters of its own: a short retrain does not stand for a long one."""
    ours, theirs = (found.created_by.id if found.created_by else None for found in (run, other))
    return other.id != run.id and ours == theirs
