"""Prefect runs whose process is dead: kill -9, or a worker that went down, leaves them Running for ever.

A living flow sends a heartbeat every 30 seconds where a deployment says so, every 180 by Prefect's default; the server keeps
them as events for a week.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.events.filters import EventFilter, EventNameFilter, EventOrder, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Completed, Crashed

from flows.reconciling.owners import SAFE_AGE

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State

FLOWS = ("retrain", "watch", "monitor", "reconcile")
TAG = "evertune"
"""Which every deployment of ours gives its runs: other people's flows may have the same names."""
HEARTBEAT = "prefect.flow-run.heartbeat"
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(seconds=180)
"""Between two heartbeats: the least that Prefect takes, and its default."""
MISSED = 3
"""So many heartbeats have to be missing."""
UNDER_WAY = (StateType.RUNNING, StateType.CANCELLING)
log = logging.getLogger("evertune")


def end_flow_run(flow_run_id: str, before: datetime, name: Literal["Promoted", "Crashed"], message: str) -> bool:
    """End the Prefect run of an MLflow run that was opened at `before` (UTC), whose process is dead; whether there was anything to end.

    Promoted also replaces a crash that a worker has noticed. Does nothing where no server is named or the run is another
    server's, for a run that is over, and for one that was started again since, as this very process may be.
    """
    if not flow_run_id or not PREFECT_API_URL.value():
        return False
    import httpx

    try:
        with get_client(sync_client=True) as client:
            return _end(client, client.read_flow_run(UUID(flow_run_id)), before, name, message)
    except (ObjectNotFound, ValueError):  # of another server, or no id of Prefect's
        return False
    except httpx.HTTPError as error:
        log.warning("Prefect's run %s could not be ended as %s, which is tried again: %s", flow_run_id, name, error)
        return False


def end_silent_flow_runs(living: Collection[str]) -> list[str]:
    """End every run of ours that has not been heard of for too long; a line for each. `living` are ids known to be at work.

    Raises httpx.HTTPError when Prefect's server does not answer.
    """
    if not PREFECT_API_URL.value():  # a client would start a server of its own
        return []
    lines = []
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": [*UNDER_WAY, StateType.PENDING]}}, "tags": {"all_": [TAG]}})
        ours = FlowFilter.model_validate({"name": {"any_": list(FLOWS)}})
        for run in client.read_flow_runs(flow_filter=ours, flow_run_filter=wanted):
            if str(run.id) not in living and run.id != _own_id() and (silence := _too_silent(client, run)):
                message = f"ended by evertune's reconciler: {silence}"
                cancelled = run.state_type == StateType.CANCELLING
                client.set_flow_run_state(run.id, Cancelled(message=message) if cancelled else Crashed(message=message), force=True)
                lines.append(f"Prefect's run {run.name}: {'Cancelled' if cancelled else 'Crashed'}, {silence}")
    return lines


def _end(client: SyncPrefectClient, run: FlowRun, before: datetime, name: str, message: str) -> bool:
    state = run.state
    replaceable = (*UNDER_WAY, StateType.CRASHED) if name == "Promoted" else UNDER_WAY
    if state is None or state.type not in replaceable or run.id == _own_id():
        return False
    if state.type != StateType.CRASHED and state.timestamp > before:  # it was started again: an MLflow run is opened after its flow began
        return False
    ended: State = Completed(name="Promoted", message=message) if name == "Promoted" else Crashed(message=message)
    client.set_flow_run_state(run.id, ended, force=True)
    return True


def _too_silent(client: SyncPrefectClient, run: FlowRun) -> str:
    """Since when nothing was heard of it, where that is too long; empty for one that may live."""
    now, since = datetime.now(UTC), _began(run)
    if run.state_type == StateType.PENDING:
        return f"no worker has begun it since {since:%Y-%m-%d %H:%M} UTC" if now - since > SAFE_AGE else ""
    beats = _heartbeats(client, run.id, since)
    if not beats:
        return f"it runs since {since:%Y-%m-%d %H:%M} UTC and never sent a heartbeat" if now - since > SAFE_AGE else ""
    gap = min(max(beats[0] - beats[1], SHORTEST), LONGEST) if len(beats) > 1 else LONGEST
    return f"its last heartbeat was at {beats[0]:%Y-%m-%d %H:%M:%S} UTC" if now - beats[0] > MISSED * gap else ""


def _began(run: FlowRun) -> datetime:
    """When it entered the state that it is in."""
    assert run.state is not None, "a run that is found by its state has one"
    return run.state.timestamp


def _heartbeats(client: SyncPrefectClient, flow_run_id: UUID, since: datetime) -> list[datetime]:
    """The last two since then, the newest first."""
    wanted = EventFilter(
        event=EventNameFilter(name=[HEARTBEAT]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{flow_run_id}"]),
        order=EventOrder.DESC,
    )
    found = [event.occurred for event in client.read_events(wanted, limit=2).events]
    return [beat for beat in found if beat >= since - SHORTEST]


def _own_id() -> UUID | None:
    context = FlowRunContext.get()
    return context.flow_run.id if context and context.flow_run else None
