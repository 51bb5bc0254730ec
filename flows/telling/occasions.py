"""What set a retrain off, as far as Prefect knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.context import FlowRunContext


@dataclass(frozen=True)
class Occasion:
    """`flow_run_id` is None outside a flow; `instant` is the scheduled start, else now (UTC)."""

    flow_run_id: str | None
    trigger: str
    instant: datetime


def find_occasion() -> Occasion:
    """The Prefect run that this is, if it is one."""
    context, now = FlowRunContext.get(), datetime.now(UTC)
    run = context.flow_run if context else None
    if run is None:
        return Occasion(None, "from Python, without Prefect", now)
    if run.auto_scheduled and run.expected_start_time:
        return Occasion(str(run.id), "by its schedule", run.expected_start_time)
    return Occasion(str(run.id), "through a deployment, by hand or by an event" if run.deployment_id else "by hand", now)
