"""A Dask cluster as a client sees it: who is there, the data that was sent, and what is wrong when nobody answers."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

from tasks.errors import ConfigError, ServiceUnavailable
from tasks.executors.executor import Workload
from tasks.executors.posts import Orders, close_post, load_post, open_post

ANSWER_SECONDS = 10.0
SCATTER_SECONDS = 120.0
LOOK_SECONDS = 1.0
"""How often workers are counted."""
NO_WORKER_SECONDS = 45.0
CLOSE_SECONDS = 1.5
GONE = "the worker went away over it"


class Cluster:
    """A connection to the scheduler at `address`. `client` is distributed's, `slots` the threads of each worker by its address."""

    def __init__(self, address: str) -> None:
        """Raises ServiceUnavailable when nobody answers, ConfigError when that is no address or Dask is not installed."""
        try:
            from distributed import Client
        except ImportError as error:
            raise ConfigError("tuning.executor: dask needs the package distributed, which `pip install 'evertune[dask]'` brings") from error
        self.address = address
        connect: Any = Client
        try:
            self.client = connect(address, timeout=ANSWER_SECONDS, set_as_default=False, name="evertune")
        except OSError as error:
            raise ServiceUnavailable(f"tuning.dask: no scheduler answers at {address}; start it, or correct the address") from error
        except ValueError as error:
            raise ConfigError(f"tuning.dask: {address!r} is no address such as tcp://scheduler:8786 ({error})") from error
        self.slots: dict[str, int] = {}
        self._opening: list[Any] = []
        self._looked = self._seen = -math.inf
        self.look()

    @property
    def alive(self) -> bool:
        return bool(self.client.status == "running")

    def look(self) -> bool:
        """Count the workers, unless that was done a moment ago; whether it was done now.

        Raises ServiceUnavailable for a scheduler that is gone, silent, or long without workers.
        """
        if not self.alive:
            raise ServiceUnavailable(f"tuning.dask: the scheduler at {self.address} went away; start it, and run again")
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        try:
            self.slots = dict(self.client.sync(self.client.scheduler.ncores, callback_timeout=ANSWER_SECONDS))
        except (OSError, TimeoutError) as error:
            raise ServiceUnavailable(f"tuning.dask: the scheduler at {self.address} answers no more; start it, and run again") from error
        self._looked = time.monotonic()
        if self.slots or math.isinf(self._seen):
            self._seen = self._looked
        if self._looked - self._seen > NO_WORKER_SECONDS:
            raise self._without_workers()
        return True

    def open_posts(self, orders: Orders) -> None:
        """Have every worker start its processes."""
        self._opening = [self.client.submit(open_post, orders, workers=[each], pure=False) for each in self.slots]

    def load(self, workload: Workload, name: str, orders: Orders) -> list[str]:
        """Have every worker there is take the workload; those that have it.

        Raises ServiceUnavailable when that is none, or when one of them does not have Evertune.
        """
        self.look()
        if not self.slots:
            raise self._without_workers()
        loading = self.send(workload, name, orders, list(self.slots))
        errors = {address: error_of(future) for address, future in loading.items()}
        for error in errors.values():
            if isinstance(error, (ImportError, AttributeError)):
                raise ServiceUnavailable(
                    f"tuning.dask: the workers of {self.address} cannot run trials ({error}); install the same version of Evertune there"
                ) from error
        loaded = [address for address, error in errors.items() if error is None]
        if not loaded:
            faults = "; ".join(f"{address}: {error}" for address, error in errors.items())
            raise ServiceUnavailable(f"tuning.dask: no worker of {self.address} took the data ({faults})")
        return loaded

    def send(self, workload: Workload, name: str, orders: Orders, workers: list[str]) -> dict[str, Any]:
        """Send the workload to these workers; for each a future that is done when it has it. Raises ServiceUnavailable."""
        try:
            data = self.client.scatter(workload, workers=workers, broadcast=True, hash=False, timeout=SCATTER_SECONDS)
        except (OSError, TimeoutError) as error:
            raise ServiceUnavailable(f"tuning.dask: the workers of {self.address} did not take the data ({error})") from error
        return {each: self.client.submit(load_post, data, name, orders, workers=[each], pure=False) for each in workers}

    def close(self, session: str) -> None:
        """Have every worker end what it keeps for the session; one that is too busy gives it up by itself, later."""
        if self.alive:
            closing = [self.client.submit(close_post, session, workers=[each], pure=False, priority=100) for each in self.slots]
            deadline = time.monotonic() + CLOSE_SECONDS
            for future in closing:
                with contextlib.suppress(Exception):  # gone, busy or broken: its post closes by itself
                    future.exception(timeout=max(0.01, deadline - time.monotonic()))
        self.client.close(timeout=1)

    def _without_workers(self) -> ServiceUnavailable:
        return ServiceUnavailable(f"tuning.dask: the scheduler at {self.address} has no workers; start some, and run again")


def error_of(future: Any, seconds: float = SCATTER_SECONDS) -> BaseException | None:
    """What a task came to grief over; the lack of an answer included."""
    try:
        error: BaseException | None = future.exception(timeout=seconds)
    except Exception as lost:  # its worker went away, or does not answer
        return lost
    if error is None and future.status != "finished":
        return ConnectionError(GONE)
    return error
