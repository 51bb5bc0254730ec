"""Deployments, work pool and automations in Prefect, as the configs have them. Done twice, it changes nothing the second time."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from flows.deploying.checkouts import clear_schedules, find_version
from flows.deploying.plans import POOL, TAG, Deployment, Plan, plan_deployments
from tasks.errors import ConfigError, ServiceUnavailable
from tasks.sources.source import mask

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PAGE = 200
UNASKED = ("watch", "monitor")
"""Flows whose deployment goes when its config asks for it no more; it holds nothing that is not in the config."""


def register(configs: Sequence[Path], api_url: str, pool: str = POOL) -> list[str]:
    """Register the deployments of these configs, which runs will find from this folder. Returns what was done, a line each.

    What a person paused stays paused. Raises ConfigError, ServiceUnavailable.
    """
    return register_plan(plan_deployments(configs, Path.cwd(), pool), api_url)


def register_plan(plan: Plan, api_url: str) -> list[str]:
    """The same for a plan."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.events import automations
    from flows.reconciling.automation import register_heartbeats

    try:
        with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
            done = _ensure_pool(client, plan.pool)
            version = find_version(plan.root)
            for deployment in plan.deployments:
                done += _register(client, deployment, plan, version)
            done += _tidy(client, plan)
        for config in plan.configs:
            done += automations.register(config, api_url)
        register_heartbeats(api_url)
    except PrefectHTTPStatusError as error:
        if error.response.status_code >= 500 or error.response.status_code in (401, 403):
            raise ServiceUnavailable(f"Prefect's server at {mask(api_url)} answers {error.response.status_code}; see its log") from error
        raise ConfigError(f"Prefect's server refuses a deployment: {error.response.text[:1000]}") from error
    except httpx.HTTPError as error:
        raise ServiceUnavailable(
            f"Prefect's server at {mask(api_url)} does not answer ({type(error).__name__}); start it, or correct PREFECT_API_URL"
        ) from error
    return done


def _ensure_pool(client: SyncPrefectClient, pool: str) -> list[str]:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process", description="Where Evertune's retrains run."))
        except ObjectAlreadyExists:
            return []
        return [f"work pool {pool}: made"]
    return []


def _register(client: SyncPrefectClient, deployment: Deployment, plan: Plan, version: str) -> list[str]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.utilities.callables import parameter_schema

    flow = getattr(importlib.import_module(f"flows.{deployment.flow}"), deployment.flow)
    schedules = [_as_prefect_has_it(schedule) for schedule in deployment.schedules]
    content: dict[str, Any] = {
        "version": version,
        "tags": list(deployment.tags),
        "description": deployment.description,
        "entrypoint": deployment.entrypoint,
        "parameters": deployment.parameters,
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(plan.root)}}],
        "work_pool_name": plan.pool,
        "job_variables": deployment.job_variables,
    }
    try:
        there = client.read_deployment_by_name(deployment.full_name)
    except ObjectNotFound:
        made = [DeploymentScheduleCreate(**schedule) for schedule in schedules]
        client.create_deployment(client.create_flow_from_name(deployment.flow), deployment.name, schedules=made, **content)
        return [f"deployment {deployment.full_name}: made"]
    gone = clear_schedules(client, deployment.full_name, [schedule["slug"] for schedule in schedules])
    told = [DeploymentScheduleUpdate(**schedule) for schedule in schedules]
    client.update_deployment(there.id, DeploymentUpdate(schedules=told, **content))
    return [
        f"deployment {deployment.full_name}: brought up to date",
        *(f"schedule {deployment.full_name} {slug}: removed" for slug in gone),
    ]


def _as_prefect_has_it(schedule: dict[str, Any]) -> dict[str, Any]:
    """Without `active`, which is up to people."""
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

    when: Any
    if "cron" in schedule:
        when = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    else:
        anchor = datetime.fromisoformat(schedule["anchor_date"])
        when = IntervalSchedule.model_validate(
            {"interval": timedelta(seconds=schedule["interval"]), "anchor_date": anchor, "timezone": schedule["timezone"]}
        )
    return {"schedule": when, "slug": schedule["slug"], "parameters": schedule.get("parameters", {})}


def _tidy(client: SyncPrefectClient, plan: Plan) -> list[str]:
    """Delete what a config asks for no more; of a deployment whose config is gone, only say so: a person may want its history."""
    wanted = {deployment.full_name for deployment in plan.deployments}
    named = {config.name for config in plan.configs}
    done: list[str] = []
    for there, flow_name in _read_ours(client):
        full = f"{flow_name}/{there['name']}"
        if full in wanted:
            continue
        if flow_name in UNASKED and there["name"] in named:
            client.delete_deployment(there["id"])
            done.append(f"deployment {full}: removed, its config asks for it no more")
            continue
        config, steps = there["parameters"].get("config"), there["pull_steps"] or []
        here = any(str(plan.root) in str(step) for step in steps)
        if config and here and not (plan.root / config).is_file():
            done.append(f"deployment {full}: its config {config} is gone, so its runs fail; to delete it: prefect deployment delete {full}")
    return done


def _read_ours(client: SyncPrefectClient) -> list[tuple[dict[str, Any], str]]:
    """Deployments with our tag, each with its flow's name."""
    found: list[dict[str, Any]] = []
    wanted = {"deployments": {"tags": {"all_": [TAG]}}, "limit": PAGE}
    while True:
        page = client.request("POST", "/deployments/filter", json={**wanted, "offset": len(found)}).json()
        found += page
        if len(page) < PAGE:
            break
    flows = {
        name: client.request("GET", "/flows/{id}", path_params={"id": name}).json()["name"] for name in {one["flow_id"] for one in found}
    }
    return [(one, flows[one["flow_id"]]) for one in found]
