"""`evertune ui`: Prefect's and MLflow's pages on what was run, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn, TextIO

from flows.services.children import Child
from flows.services.claims import Claim, claim_pages, current_claim, write_claim
from flows.services.preflight import masked
from flows.services.servers import LOOPBACK, START_SECONDS, free_socket, start_prefect
from tasks.errors import ServiceUnavailable
from tasks.homes import Home, first_access

PREFECT_PORT, MLFLOW_PORT = 4200, 5000
GRACE_SECONDS = 4.0
LOOK_SECONDS = 0.5
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_pages(home: Home, out: TextIO) -> int:
    """Start both servers, print their addresses, wait, end both; 0 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

    With a `ui` of this home already there, it says where and returns 0. Raises ServiceUnavailable when a server does
    not start, or ends by itself.
    """
    for variable in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        if os.environ.get(variable):
            print(f"{variable} is set: runs are recorded at {masked(os.environ[variable])}, these pages show {home.root}.", file=out)
    with claim_pages(home) as claim:
        if claim is None:
            print(already_shown(current_claim(home), home), file=out, flush=True)
            return 0
        try:
            with stop_signals(), open_pages(home, out) as pages:
                write_claim(claim, pages.prefect.address, pages.mlflow.address)
                print(pages, file=out, flush=True)
                pages.watch()
        except Stopped as stop:
            print("Ended.", file=out, flush=True)
            return 0 if stop.number == signal.SIGINT else 128 + stop.number


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
        return (
            f"Prefect   {self.prefect.address}/v2/runs\n"
            f"MLflow    {self.mlflow.address}/#/experiments?workflowType=machine_learning\n"
            "Ctrl-C ends both."
        )

    def ask_to_stop(self) -> None:
        """Have both begin to end, so that they take their time side by side."""
        for page in (self.prefect, self.mlflow):
            page.child.ask_to_stop()

    def watch(self) -> NoReturn:
        """Wait for a signal. Raises ServiceUnavailable when one of the servers has ended by itself."""
        while True:
            for page in (self.prefect, self.mlflow):
                if not page.child.alive:
                    raise page.child.failure(f"has ended by itself, with exit code {page.child.process.returncode}")
            time.sleep(LOOK_SECONDS)


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
        print(f"Port {port} is taken: {name}'s pages are on {other.getsockname()[1]}.", file=out, flush=True)
        return other


def already_shown(claim: Claim | None, home: Home) -> str:
    """Where the other `evertune ui` is."""
    if claim is None or not claim.prefect:
        return f"Another `evertune ui` is starting for {home.root}."
    return f"Already shown by process {claim.pid} since {claim.since}:\nPrefect   {claim.prefect}\nMLflow    {claim.mlflow}"


class Stopped(BaseException):
    """A signal that asks us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stop_signals() -> Iterator[None]:
    """Inside, Ctrl-C, SIGTERM and a closed terminal raise Stopped, once: ending, a matter of seconds, is not cut short."""
    before = {number: signal.signal(number, raise_stopped) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_stopped(number: int, _frame: FrameType | None) -> NoReturn:
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise Stopped(number)
