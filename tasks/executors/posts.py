"""Posts: what a Dask worker keeps for a search, and the task that watches over a fit there.

The fit runs in a process of its own, under the same limits as on one machine, so that what crashes or hangs is never
the Dask worker. These functions run inside Dask workers, which therefore need Evertune installed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.executors import memory
from tasks.executors.crew import Crew
from tasks.executors.executor import Job, JobLimits, Outcome, Workload
from tasks.executors.lane import Task
from tasks.executors.scratch import Scratch

if TYPE_CHECKING:
    from distributed import Worker

LOOK_SECONDS = 0.1
IDLE_SECONDS = 120.0
"""A post without work for so long is given up: whoever started it may be dead."""


@dataclass(frozen=True)
class Orders:
    """What a post is told once: whose it is, the limits of a trial, and the threads of one fit."""

    session: str
    limits: JobLimits
    threads: int
    models: tuple[Mapping[str, Any], ...] = ()


class NotLoaded(Exception):
    """This Dask worker does not have the workload that a job is about."""


class Post:
    """A crew with as many workers as its Dask worker has threads, in a folder inside that worker's own."""

    def __init__(self, worker: Worker, orders: Orders) -> None:
        threads = worker.state.nthreads
        self._scratch = Scratch.open(Path(worker.local_directory) / "evertune")
        self.loaded = ""
        self._lock = threading.Lock()
        self._busy = 0
        self._idle: threading.Timer | None = None
        self.crew = Crew(
            threads, orders.threads, orders.limits, self._scratch.folder, lambda _: None, orders.models, share=partial(_share, worker)
        )  # fmt: skip
        self.session = orders.session
        self._rest()

    def load(self, name: str, workload: Workload) -> None:
        """Hand the workload to the crew; jobs ask for it by its name. Raises OSError for a full disk."""
        self.crew.load(workload)
        self.loaded = name

    def carry_out(self, task: Task, over: queue.SimpleQueue[Outcome], key: str, worker: Worker) -> Outcome:
        """Wait for the outcome; a task that Dask was told to forget is ended. Raises what broke the crew."""
        self._work()
        try:
            self.crew.submit(task)
            ended = False
            while True:
                try:
                    return over.get(timeout=LOOK_SECONDS)
                except queue.Empty:
                    if self.crew.error or self.crew.closed:
                        raise self.crew.error or RuntimeError("the search was closed") from None
                if not ended and _forgotten(worker, key):
                    self.crew.end(task.job.trial)
                    ended = True
        finally:
            self._rest()

    def close(self) -> None:
        """End the crew and remove its folder."""
        with _LOCK:
            if _POSTS.get(self.session) is self:
                del _POSTS[self.session]
        if self._idle:
            self._idle.cancel()
        self.crew.close()
        self._scratch.close()

    def _work(self) -> None:
        with self._lock:
            self._busy += 1
            if self._idle:
                self._idle.cancel()

    def _rest(self) -> None:
        with self._lock:
            self._busy = max(0, self._busy - 1)
            if not self._busy:
                self._idle = threading.Timer(IDLE_SECONDS, self.close)
                self._idle.daemon = True
                self._idle.start()


_POSTS: dict[str, Post] = {}
_LOCK = threading.Lock()


def open_post(orders: Orders) -> None:
    """Have this Dask worker start its processes, which import while data is still being read."""
    from distributed import get_worker

    _post(get_worker(), orders)


def load_post(workload: Workload, name: str, orders: Orders) -> None:
    """Have this Dask worker write the workload down, so that nothing that Dask itself forgets is needed for a job."""
    from distributed import get_worker

    _post(get_worker(), orders).load(name, workload)


def watch(name: str, job: Job, spent: float, session: str) -> Outcome:
    """The Dask task: carry out one job of the workload called `name`; its trial's fits took `spent` seconds so far.

    Raises NotLoaded where this worker has no such workload: it is new here, or gave its post up.
    """
    from distributed import get_worker
    from distributed.worker import thread_state  # type: ignore[attr-defined]

    worker, over = get_worker(), queue.SimpleQueue[Outcome]()
    post = _POSTS.get(session)
    if post is None or post.loaded != name or post.crew.error:
        raise NotLoaded(name)
    outcome = post.carry_out(Task(job, over.put, spent), over, thread_state.key, worker)
    if outcome.score is None:
        return outcome
    place = worker.address.partition("://")[2]
    return replace(outcome, score=replace(outcome.score, worker=f"{place} {outcome.score.worker}"))


def close_post(session: str) -> None:
    """End what this Dask worker keeps for that search."""
    with _LOCK:
        post = _POSTS.get(session)
    if post is not None:
        post.close()


def _post(worker: Worker, orders: Orders) -> Post:
    with _LOCK:
        post = _POSTS.get(orders.session)
        if post is not None and not post.crew.error:
            return post
        fresh = _POSTS[orders.session] = Post(worker, orders)
    if post is not None:
        post.close()
    return fresh


def _forgotten(worker: Worker, key: str) -> bool:
    """Whether nobody wants the task's result any more: it was cancelled, or its client is gone."""
    state = worker.state.tasks.get(key)
    return state is None or state.state in ("cancelled", "released", "forgotten")


def _share(worker: Worker, threads: int) -> int:
    """A share of what is free here, and no more than Dask gives the worker."""
    given = worker.memory_manager.memory_limit
    return min(memory.default_limit(threads), given // threads if given else 1 << 62)
