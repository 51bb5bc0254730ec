"""The build step of deploy/prefect.yaml: where runs will find the project, which version it is, and schedules that went away.

Prefect runs it at each `prefect deploy`; `evertune deploy` uses its parts.
"""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def prepare(deployment: str, schedules: list[str] | None = None) -> dict[str, Any]:
    """Clear the schedules that `deployment` has no more, and tell `folder` and `version`: what the file's templates name."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        clear_schedules(client, deployment, schedules or [])
    folder = Path.cwd()
    return {"folder": str(folder), "version": find_version(folder)}


def clear_schedules(client: SyncPrefectClient, deployment: str, kept: list[str]) -> list[str]:
    """Delete the schedules of a deployment but those kept; Prefect only ever adds. Returns the names (or "unnamed") of the deleted."""
    from prefect.exceptions import ObjectNotFound

    try:
        there = client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        return []
    gone = [schedule for schedule in there.schedules if schedule.slug not in kept]
    for schedule in gone:
        client.delete_deployment_schedule(there.id, schedule.id)
    return [schedule.slug or "unnamed" for schedule in gone]


def find_version(folder: Path) -> str:
    """git's word for the checkout, with -dirty where it was changed since; elsewhere the package's version."""
    command = ["git", "-C", os.fspath(folder), "describe", "--always", "--dirty"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return version("evertune")
    return told.stdout.strip() or version("evertune")
