"""Flow runs as Prefect's server knows them: which run, which have ended, which come next. Through Prefect's client as it is set up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

OPEN = ("RUNNING", "PENDING", "CANCELLING")
"""States of runs that a process works on, or should."""
MOST = 200
"""The most that Prefect's server lists at once."""
QUICK = "-quick"


@dataclass(frozen=True)
class FlowRun:
    """One run; `verdict` is the name of its state in small letters, such as running, promoted or crashed."""

    id: str
    name: str
    flow: str
    deployment: str | None
    verdict: str
    message: str
    started: datetime | None
    ended: datetime | None

    @property
    def model(self) -> str | None:
        """The config's name, which the deployments of a config carry; None for a run without one."""
        return self.deployment.removesuffix(QUICK) if self.deployment else None


@dataclass(frozen=True)
class Deployed:
    """One deployment; `next` is None where nothing is scheduled."""

    name: str
    flow: str
    next: datetime | None

    @property
    def model(self) -> str:
        return self.name.removesuffix(QUICK)


class Names:
    """Names of flows and deployments by their ids, asked for once."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self._known: dict[object, str] = {}

    def flow(self, flow_id: Any) -> str:
        if flow_id not in self._known:
            self._known[flow_id] = self._client.read_flow(flow_id).name
        return self._known[flow_id]

    def deployment(self, deployment_id: Any) -> str | None:
        """None for a run of none, or of one that was deleted."""
        from prefect.exceptions import ObjectNotFound

        if deployment_id is None:
            return None
        if deployment_id not in self._known:
            try:
                self._known[deployment_id] = self._client.read_deployment(deployment_id).name
            except ObjectNotFound:
                return None
        return self._known[deployment_id]


class FlowRuns:
    """Asks a server for its runs through one client."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self._names = Names(client)

    def running(self) -> list[FlowRun]:
        return self._read({"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}}, "START_TIME_ASC")

    def ended_since(self, instant: datetime) -> list[FlowRun]:
        """Those that ended after it, and have started at all."""
        wanted = {"end_time": {"after_": instant}, "start_time": {"is_null_": False}}
        return self._read(wanted, "END_TIME_DESC")[::-1]

    def deployed(self) -> list[Deployed]:
        """Every deployment with its next slot, the soonest first, those without one last."""
        found = [Deployed(one.name, self._names.flow(one.flow_id), self._next(one.id)) for one in self._client.read_deployments(limit=MOST)]
        return sorted(found, key=lambda one: (one.next is None, one.next, one.flow, one.name))

    def slots_known(self) -> bool:
        """Whether every deployment with a schedule that is on has its next slot."""
        scheduled = [
            one for one in self._client.read_deployments(limit=MOST) if not one.paused and any(slot.active for slot in one.schedules)
        ]
        return all(self._next(one.id) is not None for one in scheduled)

    def _next(self, deployment_id: Any) -> datetime | None:
        """Asked for each by itself: a hundred slots of a flow that runs every few minutes would hide those of the others."""
        from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
        from prefect.client.schemas.sorting import FlowRunSort

        found = self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}}),
            deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [deployment_id]}}),
            sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC,
            limit=1,
        )
        return found[0].next_scheduled_start_time or found[0].expected_start_time if found else None

    def waiting(self) -> list[FlowRun]:
        """Suspended ones: somebody is asked."""
        return self._read({"state": {"type": {"any_": ["PAUSED"]}}}, "START_TIME_ASC")

    def _read(self, wanted: dict[str, Any], sort: str) -> list[FlowRun]:
        from prefect.client.schemas.filters import FlowRunFilter
        from prefect.client.schemas.sorting import FlowRunSort

        found = self._client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted), sort=FlowRunSort(sort), limit=MOST)
        return [self._told(run) for run in found]

    def _told(self, run: Any) -> FlowRun:
        state = run.state
        return FlowRun(
            str(run.id),
            run.name,
            self._names.flow(run.flow_id),
            self._names.deployment(run.deployment_id),
            state.name.lower() if state else "unknown",
            (state.message if state else None) or "",
            run.start_time,
            run.end_time,
        )


def crash_runs(pool: str, why: str) -> list[str]:
    """Say of every run of a pool that is not over that it is: Crashed, or Cancelled where that was asked for. Their names."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
    from prefect.states import Cancelled, Crashed

    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": list(OPEN)}}})
        pools = WorkPoolFilter.model_validate({"name": {"any_": [pool]}})
        runs = client.read_flow_runs(flow_run_filter=wanted, work_pool_filter=pools, limit=MOST)
        for run in runs:
            cancelling = run.state is not None and run.state.is_cancelling()
            client.set_flow_run_state(run.id, Cancelled(message=why) if cancelling else Crashed(message=why), force=True)
    return [run.name for run in runs]


def worker_is_online(pool: str, name: str) -> bool:
    """Whether the server has heard of the worker of that name."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        with get_client(sync_client=True) as client:
            return any(worker.name == name for worker in client.read_workers_for_work_pool(pool))
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 404:  # the pool, which the worker makes, is not there yet
            raise
        return False
