"""Cool-downs: a retrain that an event set off too soon after another one of the same event does nothing.

Prefect's trigger keeps most of a cool-down, not all of it; see flows.events.automations.
"""

from __future__ import annotations

from configs.schema import RetrainConfig
from flows.events.causes import find_causes
from tasks.settings import format_duration
from tasks.wording import say_moment

SKIPPED = "Skipped"
PAGE = 200


def cooling(config: RetrainConfig) -> str | None:
    """Why this flow run is left out: another run of the same automation began less than its cool-down before. None for any other.

    Runs that were left out themselves do not count: an event that never stops coming still sets off a retrain each cool-down.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.created_by is None or run.expected_start_time is None:
        return None
    by = run.created_by.display_value
    cause = next((cause for cause in find_causes(config) if cause.automation == by), None)
    if cause is None:
        return None
    window = {"after_": run.expected_start_time - cause.held, "before_": run.expected_start_time}
    wanted = FlowRunFilter.model_validate({"deployment_id": {"any_": [run.deployment_id]}, "expected_start_time": window})
    with get_client(sync_client=True) as client:
        near = client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)
    same = [other for other in near if other.created_by is not None and other.created_by.display_value == by]
    times = [other.expected_start_time for other in same if other.state_name != SKIPPED and other.expected_start_time]
    last = max((time for time in times if time < run.expected_start_time), default=None)
    if last is None:
        return None
    return (
        f"cooling down: {cause.event} set off a retrain at {say_moment(last)}, less than {format_duration(cause.cooldown)} before this one"
    )
