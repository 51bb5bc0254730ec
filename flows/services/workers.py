"""A process worker of pool `evertune` on this machine: it takes flow runs from Prefect's server and runs each in a process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flows.services.children import Child, healthy
from flows.services.environment import EMBEDDED, past_proxies, without_prefect
from flows.services.flow_runs import crash_runs, worker_is_online
from flows.services.servers import LOOPBACK
from tasks.homes import VARIABLE, Home

POOL = "evertune"
GRACE_SECONDS = 5.0
"""What its flow runs are given to end in order."""
LIMIT = 4
"""Flow runs at once on one machine: each is a process of its own, and a backlog would take all memory. Others wait as Late."""
START_SECONDS = 180.0
LOOK_SECONDS = 0.2


@contextmanager
def open_worker(home: Home, api_url: str) -> Iterator[Child]:
    """A worker that takes runs inside the block; after it, neither the worker nor a run of its is left, and none says that it runs.

    Prefect's client in this process must be pointed at the same server (flows.services.servers.client_of). A run that was
    left behind by a worker before is ended first: only we run this pool on this home's server. Raises ServiceUnavailable.
    """
    crash_runs(POOL, "the evertune up that ran it was killed")
    child = start_worker(home, api_url)
    try:
        wait_until_online(child, worker_name())
        yield child
    finally:
        child.stop()
        if healthy(f"{api_url}/health"):  # else the next one says so
            crash_runs(POOL, "evertune up was ended while this ran")


def start_worker(home: Home, api_url: str) -> Child:
    """Start it; what it and its flow runs print goes to worker.log."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", worker_name()]
    command += ["--limit", str(LIMIT)]
    settings = worker_environment(home, api_url)
    return Child.start("Prefect's worker", [*command, "--install-policy", "never"], settings, home.logs / "worker.log", grace=GRACE_SECONDS)


def worker_environment(home: Home, api_url: str) -> dict[str, str]:
    """What the worker and every flow run of it find: this home, this server, and the user's own variables but Prefect's."""
    return {
        **EMBEDDED,
        **without_prefect(os.environ),
        **{name: value for name, value in EMBEDDED.items() if name.startswith("PREFECT_")},
        **past_proxies(LOOPBACK),
        VARIABLE: str(home.root),
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",  # the console is a file, which says why a run could not start
        "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }


def wait_until_online(child: Child, name: str) -> None:
    """Block until the server has heard of this worker. Raises ServiceUnavailable with the end of its log."""
    deadline = time.monotonic() + START_SECONDS
    while not worker_is_online(POOL, name):
        if not child.alive:
            raise child.failure(f"ended with exit code {child.process.returncode} before it took runs")
        if time.monotonic() > deadline:
            raise child.failure(f"took no runs within {START_SECONDS:.0f} seconds")
        time.sleep(LOOK_SECONDS)


def worker_name() -> str:
    """One a process of ours, so that a worker of yesterday that Prefect still believes in is not taken for it."""
    return f"evertune-up-{os.getpid()}"
