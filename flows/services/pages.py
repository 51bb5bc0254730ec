"""Prefect's and MLflow's servers with their pages, on the ports people know."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TextIO

from flows.services.children import Child
from flows.services.servers import LOOPBACK, START_SECONDS, free_socket, start_prefect
from tasks.errors import ServiceUnavailable
from tasks.homes import Home, first_access

PREFECT_PORT, MLFLOW_PORT = 4200, 5000
GRACE_SECONDS = 4.0


@dataclass(frozen=True)
class Page:
    """One server with pages, healthy."""

    address: str
    child: Child


@dataclass(frozen=True)
class Pages:
    """Both; prints as what a user needs to know."""

    prefect: Page
    mlflow: Page

    def __str__(self) -> str:
        return f"Prefect   {self.prefect.address}/v2/runs\nMLflow    {self.mlflow.address}/#/experiments?workflowType=machine_learning"

    def ask_to_stop(self) -> None:
        """Have both begin to end, so that they take their time side by side."""
        for page in (self.prefect, self.mlflow):
            page.child.ask_to_stop()


@contextmanager
def open_pages(home: Home, out: TextIO) -> Iterator[Pages]:
    """Both servers, started side by side, healthy inside the block and gone after it."""
    with ExitStack() as stack:
        prefect = Page(*start_prefect(home, page_socket("Prefect", PREFECT_PORT, out), pages=True, grace=GRACE_SECONDS))
        stack.callback(prefect.child.stop)
        mlflow = open_mlflow(home, stack, out)
        prefect.child.wait_until_healthy(f"{prefect.address}/api/health", START_SECONDS)
        pages = Pages(prefect, mlflow)
        stack.callback(pages.ask_to_stop)
        yield pages


def open_mlflow(home: Home, stack: ExitStack, out: TextIO) -> Page:
    """MLflow's server, started under the lock because it migrates a fresh database, and waited for."""
    with first_access(home):
        for _ in range(3):
            with page_socket("MLflow", MLFLOW_PORT, out) as listener:
                port = listener.getsockname()[1]
            child = start_mlflow(home, port)
            stack.callback(child.stop)
            try:
                child.wait_until_healthy(f"http://{LOOPBACK}:{port}/health", START_SECONDS)
            except ServiceUnavailable:
                if "address already in use" not in child.last_words():
                    raise
                continue  # it takes a port by number, and somebody else was quicker
            return Page(f"http://{LOOPBACK}:{port}", child)
    raise child.failure("found no free port")


def start_mlflow(home: Home, port: int) -> Child:
    """Its server on this home's database, without the user's MLFLOW_ variables, which are about another server."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", home.mlflow_url, "--artifacts-destination", str(home.artifacts)]
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else ten processes and 1.8 GB
    }
    return Child.start("MLflow's server", [*command, *stores], settings, home.logs / "mlflow-server.log", grace=GRACE_SECONDS)


def page_socket(name: str, port: int, out: TextIO) -> socket.socket:
    """The port people know, or any other, said aloud."""
    try:
        return free_socket(port)
    except OSError:
        other = free_socket()
        print(f"Port {port} is taken{holder(port)}: {name}'s pages are on {other.getsockname()[1]}.", file=out, flush=True)
        return other


def holder(port: int) -> str:
    """Who listens on a port, as far as the system tells us: nobody sees the processes of another user."""
    import psutil

    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port:
            continue
        if connection.pid is None:
            return " by a process of another user"
        try:
            return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
        except psutil.Error:  # it has ended
            return f" by process {connection.pid}"
    return ""
