"""Prefect's server for a run that was given none: our own child process, on this home's database.

Prefect would start one by itself, but only when the flow starts, which costs 10 to 18 seconds of waiting. Ours is
started first and waited for last, while imports and data reading fill the time.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from flows.services.children import Child, healthy
from flows.services.claims import current_claim
from flows.services.environment import past_proxies, without_prefect
from tasks.homes import VARIABLE, Home

LOOPBACK = "127.0.0.1"
PAGELESS = "EVERTUNE_PAGELESS_PREFECT"
"""Variable with the address of a server that has no pages, so that no link is made to them."""
START_SECONDS = 180.0  # a first migration on a slow disk
FLUSH_SECONDS = 5.0


@contextmanager
def embedded_prefect(home: Home) -> Iterator[PrefectServer]:
    """Start Prefect's server on a free port and point this process at it; both end with the block.

    Enter it before Prefect is imported, and call `wait()` on what it yields before a flow is started. Where an
    `evertune up` of this home is running, its server is used.
    """
    with ExitStack() as stack:
        server = server_of_pages(home)
        if server is None:
            server = PrefectServer(*start_prefect(home, free_socket()))
            stack.callback(server.stop)
        stack.enter_context(client_of(home, server.api_url, pageless=server.child is not None))
        try:
            yield server
        finally:
            flush_client(server)


@dataclass(frozen=True)
class PrefectServer:
    """Prefect's server, perhaps still starting; `child` is None for somebody else's."""

    address: str
    child: Child | None

    @property
    def api_url(self) -> str:
        return f"{self.address}/api"

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Block until it answers. Raises ServiceUnavailable with the end of its log if that does not come."""
        if self.child is not None:
            self.child.wait_until_healthy(f"{self.api_url}/health", seconds)

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()


def server_of_pages(home: Home) -> PrefectServer | None:
    """The server of an `evertune up` of this home, if one answers."""
    claim = current_claim(home)
    server = PrefectServer(claim.prefect, None) if claim and claim.prefect else None
    return server if server and healthy(f"{server.api_url}/health") else None


def start_prefect(home: Home, listener: socket.socket, *, pages: bool = False, grace: float = 5.0) -> tuple[str, Child]:
    """Start it on a bound socket, which becomes the server's; with `pages`, also its UI and its scheduler. Address and child."""
    with listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "flows.services.prefect_server", str(listener.fileno())]
        settings = {**server_settings(home, port), **(pages_settings(home) if pages else embedded_settings())}
        log = home.logs / "prefect-server.log"
        child = Child.start("Prefect's server", command, settings, log, sockets=[listener.fileno()], grace=grace)
    return f"http://{LOOPBACK}:{port}", child


def free_socket(port: int = 0) -> socket.socket:
    """A socket listening on the loopback; port 0 takes any. Raises OSError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(128)  # now it is ours alone: two sockets that are only bound may share a port
    except OSError:
        listener.close()
        raise
    return listener


def server_settings(home: Home, port: int) -> dict[str, str]:
    """The server's environment: ours without any PREFECT_ variable, which are about the user's own server."""
    return {
        **without_prefect(os.environ),
        VARIABLE: str(home.root),
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{LOOPBACK}:{port},http://localhost:{port}",  # by default any web page may ask it
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",  # several runs on one file wait for each other
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": home.prefect_url,
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",  # done under a lock, by flows.services.prefect_server
    }


def embedded_settings() -> dict[str, str]:
    return {"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT__SERVER_EPHEMERAL": "1"}


def pages_settings(home: Home) -> dict[str, str]:
    return {
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home.prefect / "pages"),  # its package may be read-only
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


@contextmanager
def client_of(home: Home, api_url: str, pageless: bool = False) -> Iterator[None]:
    """Point Prefect's client in this process, and in those it starts, at a server of this home."""
    settings = {"PREFECT_API_URL": api_url, "PREFECT_HOME": str(home.prefect), PAGELESS: api_url if pageless else ""}
    with ExitStack() as stack:
        stack.enter_context(environment({**settings, **past_proxies(LOOPBACK)}))
        if "prefect" in sys.modules:  # it has read its settings already
            from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

            stack.enter_context(temporary_settings({PREFECT_API_URL: api_url, PREFECT_HOME: home.prefect}))
        yield


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and put them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def flush_client(server: PrefectServer) -> None:
    """Hand over the log lines and events that Prefect's client still holds, while there is a server to take them."""
    if "prefect" not in sys.modules or not healthy(f"{server.api_url}/health"):
        return
    with ThreadPoolExecutor(1) as thread:  # in a notebook this thread has an event loop, and draining would not wait
        thread.submit(drain, FLUSH_SECONDS).result()


def drop_events() -> None:
    """Let go of the events that a server which is gone will never take: at exit each would be tried for seven seconds."""
    from prefect.events.worker import EventsWorker

    for worker in list(EventsWorker._instances.values()):  # type: ignore[misc]  # it is one for each class
        with worker._queue.mutex:
            worker._queue.queue.clear()


def drain(seconds: float) -> None:
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=seconds)
    EventsWorker.drain_all(timeout=seconds)
