"""Dask: fits run on a cluster that is there already, named by its address.

Each job is a task of its own on a worker that we choose, so that jobs go where their fold is prepared, and so that the
loss of a worker costs what ran there one more try, counted by us: Dask's own retries could lead one job from worker to
worker.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.errors import ServiceUnavailable
from tasks.executors.cluster import ANSWER_SECONDS, GONE, LOOK_SECONDS, NO_WORKER_SECONDS, Cluster, error_of
from tasks.executors.crew import fold_key
from tasks.executors.executor import Executor, Failure, Job, Outcome, Workload
from tasks.executors.posts import NotLoaded, Orders, watch


@dataclass
class _Sent:
    """A job, and where it was sent, if it was."""

    job: Job
    address: str = ""
    began: float = 0.0
    lost: int = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began if self.address else 0.0


@dataclass(kw_only=True)
class DaskCluster(Executor):
    """Jobs on the cluster at `address`, `capacity` of them at once: as many as its workers have threads when that is 0.

    A fit has one thread, since each thread of a Dask worker runs one. Every Dask worker needs Evertune, of the same version.
    """

    address: str
    models: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        self._orders = Orders(uuid.uuid4().hex, self.limits, self.threads, self.models)
        self._cluster: Cluster | None = None
        self._name = ""
        self._workload: Workload | None = None
        self._loaded: set[str] = set()
        self._loading: dict[Any, str] = {}
        self._refused: set[str] = set()
        self._refusal, self._able = "they all went away", time.monotonic()
        self._last: dict[str, str] = {}
        self._queue: deque[_Sent] = deque()
        self._running: dict[Any, _Sent] = {}
        self._spent: defaultdict[int, float] = defaultdict(float)
        self._over: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._pending = 0

    def start(self) -> None:
        """Connect, which may take seconds, and have the workers begin. Raises ServiceUnavailable and ConfigError."""
        self._cluster = Cluster(self.address)
        self.capacity = self.capacity or max(1, sum(self._cluster.slots.values()))
        self._cluster.open_posts(self._orders)

    def load(self, workload: Workload) -> None:
        name, workload = uuid.uuid4().hex, workload.cut()
        self._loaded = set(self._started().load(workload, name, self._orders))
        self._name, self._workload, self._able = name, workload, time.monotonic()

    def submit(self, job: Job) -> None:
        self._pending += 1
        with self._lock:
            self._queue.append(_Sent(job))
        self._hand_out()

    def wait(self, seconds: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + seconds
        while self._pending:
            self._look()
            left = deadline - time.monotonic()
            try:
                outcomes.append(self._over.get(timeout=0 if outcomes else max(0.0, min(left, LOOK_SECONDS))))
                self._pending -= 1
            except queue.Empty:
                if outcomes or left <= 0:
                    break
        return outcomes

    def end(self, trial: int) -> None:
        with self._lock:
            ended = [sent for sent in self._queue if sent.job.trial == trial]
            self._queue = deque(sent for sent in self._queue if sent.job.trial != trial)
            running = [future for future, sent in self._running.items() if sent.job.trial == trial]
            ended += [self._running.pop(future) for future in running]
        for future in running:
            future.cancel()  # the task sees it, and kills its process
        for sent in ended:
            self._over.put(Outcome(sent.job, failure=Failure("ended", "ended by the search"), seconds=sent.seconds))
        self._hand_out()

    def close(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is None:
            return
        with self._lock:
            self._queue.clear()
            running = list(self._running)
            self._running.clear()
        if cluster.alive:
            for future in running:
                future.cancel()
        cluster.close(self._orders.session)

    def _started(self) -> Cluster:
        if self._cluster is None:
            raise RuntimeError("the executor was not started")
        return self._cluster

    def _look(self) -> None:
        """Now and then: which workers are left, and what was lost with the others. Raises ServiceUnavailable for none that is of use."""
        cluster = self._started()
        if not cluster.look():
            return
        with self._lock:
            gone = [future for future, sent in self._running.items() if sent.address not in cluster.slots]
            lost = [(future, self._running.pop(future)) for future in gone]
        for future, sent in lost:
            future.cancel()
            self._try_again(sent, f"its Dask worker {sent.address} went away")
        self._load_newcomers(cluster)
        self._hand_out()

    def _load_newcomers(self, cluster: Cluster) -> None:
        """Send the workload to workers that do not have it, without waiting for them."""
        with self._lock:
            self._loaded &= cluster.slots.keys()
            for future in [future for future, address in self._loading.items() if address not in cluster.slots]:
                self._refusal = f"{self._loading.pop(future)}: {GONE}"
            new = cluster.slots.keys() - self._loaded - self._refused - set(self._loading.values())
            if self._loaded:
                self._able = time.monotonic()
            hopeless = not (self._loaded or self._loading or new) and time.monotonic() - self._able > NO_WORKER_SECONDS
        if hopeless:
            raise ServiceUnavailable(
                f"tuning.dask: no worker of {self.address} takes the data ({self._refusal}); install the same version of Evertune there"
            )
        if self._workload is None or not new:
            return
        for address, future in cluster.send(self._workload, self._name, self._orders, list(new)).items():
            with self._lock:
                self._loading[future] = address
            future.add_done_callback(self._has_loaded)

    def _has_loaded(self, future: Any) -> None:
        """A newcomer has the workload, or could not take it and gets no jobs; called in a thread of Dask's."""
        error = error_of(future, ANSWER_SECONDS)
        with self._lock:
            address = self._loading.pop(future, None)
            if address is None:
                return  # it went away
            if error is None:
                self._loaded.add(address)
            else:
                self._refused.add(address)
                self._refusal = f"{address}: {str(error) or type(error).__name__}"
        self._hand_out()

    def _hand_out(self) -> None:
        """Send queued jobs to workers with a free thread."""
        with self._lock:
            cluster = self._cluster
            while cluster is not None and cluster.alive and self._name and self._queue and len(self._running) < self.capacity:
                key = fold_key(self._queue[0].job)
                if (address := self._vacant({each: cluster.slots.get(each, 0) for each in self._loaded}, key)) is None:
                    return
                sent = self._queue.popleft()
                sent.address, sent.began, self._last[address] = address, time.monotonic(), key
                work = (self._name, sent.job, self._spent[sent.job.trial], self._orders.session)
                future = cluster.client.submit(watch, *work, workers=[address], allow_other_workers=False, pure=False)
                self._running[future] = sent
                future.add_done_callback(self._done)

    def _vacant(self, slots: Mapping[str, int], key: str) -> str | None:
        """The worker with a free thread that did such a fold last, else the one with most threads free; None when all are busy."""
        free = dict(slots)
        for sent in self._running.values():
            free[sent.address] = free.get(sent.address, 0) - 1
        vacant = {address: count for address, count in free.items() if count > 0}
        return max(vacant, key=lambda address: (self._last.get(address) == key, vacant[address]), default=None)

    def _done(self, future: Any) -> None:
        """A task is over; called in a thread of Dask's."""
        with self._lock:
            sent = self._running.pop(future, None)
        if sent is None:
            return  # ended, or given up for lost
        try:
            outcome: Outcome = future.result(timeout=ANSWER_SECONDS)
        except NotLoaded:
            with self._lock:
                self._loaded.discard(sent.address)  # the next look sends it the workload again
                self._queue.appendleft(_Sent(sent.job, lost=sent.lost))
        except Exception as error:  # Dask's, or what broke the worker's crew: it was not the job
            self._try_again(sent, f"{sent.address}: {str(error) or type(error).__name__}")
        else:
            self._spent[sent.job.trial] += outcome.fitting
            self._over.put(outcome)
        self._hand_out()

    def _try_again(self, sent: _Sent, reason: str) -> None:
        """A job that came to grief through no fault of its own has one more try."""
        if not sent.lost:
            with self._lock:
                self._queue.appendleft(_Sent(sent.job, lost=1))
        else:
            self._over.put(Outcome(sent.job, failure=Failure("lost", f"lost twice: {reason}"), seconds=sent.seconds))
