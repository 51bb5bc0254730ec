"""A real Prefect server with pages, scheduler and automations for the whole test run, and real workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.services.servers import LOOPBACK, free_socket, start_prefect
from tasks.homes import Home

ROOT = Path(__file__).parent.parent
TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
Worker = Callable[..., "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Operated:
    """`address` is where the pages are."""

    home: Home
    address: str

    @property
    def api_url(self) -> str:
        return f"{self.address}/api"


@pytest.fixture(scope="session")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """The server. Tests share it: each names its deployments, pools and models in a way of its own."""
    home = Home.named(tmp_path_factory.mktemp("operated"))
    home.prepare()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS", "2")
        address, child = start_prefect(home, free_socket(), pages=True)
    try:
        child.wait_until_healthy(f"{address}/api/health", 180)
        yield Operated(home, address)
    finally:
        child.stop()


@pytest.fixture
def worker(operated: Operated, home: Path, tmp_path: Path) -> Iterator[Worker]:
    """Start a process worker: `worker(pool, folder=..., **environment)`. Its flow runs keep their state in this test's home.

    It runs in a folder of its own unless told otherwise, prints to `worker-<n>.log` there, and is ended with everything it started.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(pool: str, folder: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        place = folder or tmp_path / "elsewhere"
        place.mkdir(exist_ok=True)
        given = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        settings = {
            "EVERTUNE_HOME": str(home),
            "PREFECT_API_URL": operated.api_url,
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # the server may have the automation that ends what is silent
            "PREFECT_LOGGING_EXTRA_LOGGERS": "evertune",
            "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
            "NO_PROXY": LOOPBACK,
        }
        command = [
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            pool,
            "--type",
            "process",
            "--name",
            f"{pool}-{len(started)}",
        ]
        with (place / f"worker-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=place, env={**given, **settings, **environment}, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def await_run(api_url: str, flow_run_id: str, seconds: float = 180, states: set[str] = TERMINAL) -> dict[str, Any]:
    """A flow run once its state is one of these. Raises AssertionError with the last state."""
    deadline = time.monotonic() + seconds
    while True:
        run = ask(f"{api_url}/flow_runs/{flow_run_id}")
        if run["state"]["type"] in states:
            return run  # type: ignore[no-any-return]
        assert time.monotonic() < deadline, f"{run['name']} is {run['state']['name']} after {seconds:.0f} s: {run['state']['message']}"
        time.sleep(0.5)


def ask(url: str, body: Any = None, method: str | None = None) -> Any:
    """JSON from Prefect's API: a GET, or a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    for pause in (1, 2, 4, None):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answered = response.read()
        except urllib.error.HTTPError as error:
            if error.code != 503 or pause is None:  # SQLite is busy for a moment
                raise
            time.sleep(pause)
        else:
            break
    return json.loads(answered) if answered else None
