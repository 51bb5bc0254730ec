"""The locked environment still has a Prefect server that schedules.

A newer FastAPI keeps it from starting; a newer SQLAlchemy silently stops its scheduler, and everything else goes on.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.services.children import Child
from flows.services.servers import free_socket
from tasks.homes import Home

pytestmark = pytest.mark.flow
SCHEDULER_SECONDS = 90.0


@pytest.fixture
def server(used_home: Home) -> Iterator[str]:
    """`prefect server start` as a deployment would run it, all services on; its API address."""
    with free_socket() as listener:
        port = listener.getsockname()[1]
    settings = {"PREFECT_HOME": str(used_home.prefect), "PREFECT_SERVER_API_PORT": str(port)}
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start"]
    child = Child.start("Prefect's server", command, {**os.environ, **settings}, used_home.logs / "server.log")
    try:
        child.wait_until_healthy(f"http://127.0.0.1:{port}/api/health", 120)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        child.stop()


def post(url: str, body: dict[str, Any], patience: float = 60.0) -> Any:
    """Ask again while the server is busy with its database, as Prefect's own client does."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(1)


def test_a_deployment_with_a_cron_gets_scheduled_runs(server: str) -> None:
    flow = post(f"{server}/flows/", {"name": "retrain"})
    schedule = {"active": True, "schedule": {"cron": "0 4 * * *", "timezone": "UTC"}}
    deployment = post(f"{server}/deployments/", {"name": "nightly", "flow_id": flow["id"], "schedules": [schedule]})
    query = {"deployments": {"id": {"any_": [deployment["id"]]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    deadline = time.monotonic() + SCHEDULER_SECONDS
    while not (runs := post(f"{server}/flow_runs/filter", query)):
        assert time.monotonic() < deadline, f"no run was scheduled within {SCHEDULER_SECONDS:.0f} seconds"
        time.sleep(1)
    assert all(run["expected_start_time"][11:19] == "04:00:00" for run in runs)
