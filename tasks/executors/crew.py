"""A crew: so many workers, and one thread that starts them, hands out jobs, holds the limits and replaces the dead.

The thread does all this while whoever submits is busy with something else, and it is the workers' parent: they die with it.
"""

from __future__ import annotations

import json
import logging
import multiprocessing.connection
import os
import pickle
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.errors import ServiceUnavailable
from tasks.executors import memory
from tasks.executors.endings import OUTSIDE, ending, name_of, said
from tasks.executors.executor import PREPARING, Failure, Job, JobLimits, Outcome, Workload
from tasks.executors.lane import Lane, Task
from tasks.executors.worker import NO_MEMORY, Load

log = logging.getLogger("evertune")

LOOK_SECONDS = 0.1
"""How often limits are looked at."""
FALSE_STARTS = 3
"""So many workers in a row that died or hung before they were ready: there is no point in starting another."""
START_SECONDS = 120.0
"""What a worker may take to import its libraries, and as much again to load the workload (without its rows)."""
GONE_SECONDS = 2.0


class Crew:
    """Workers in `folder`, which somebody else removes. Any thread may call; each task's `done` is called in the crew's own thread.

    `share` says what each of so many workers may take of the memory that is free at the first load, if there is no limit.
    `broken` is called, in that thread too, with the error after which the crew works no more; it stays in `error`.
    """

    def __init__(
        self,
        capacity: int,
        threads: int,
        limits: JobLimits,
        folder: Path,
        broken: Callable[[BaseException], None],
        models: Sequence[Mapping[str, Any]] = (),
        environment: Mapping[str, str] | None = None,
        share: Callable[[int], int] = memory.default_limit,
    ) -> None:
        self.capacity, self.threads, self.folder = capacity, threads, folder
        self.seconds, self.bytes = limits.seconds, limits.bytes or 0
        self._share = share
        self._broken, self._models, self._environment = broken, models, environment or {}
        self._lanes: list[Lane] = []
        self._dying: list[Lane] = []
        self._queue: deque[Task] = deque()
        self._orders: deque[Callable[[], None]] = deque()
        self._spent: defaultdict[int, float] = defaultdict(float)
        self._loaded: Load | None = None
        self._loads = 0
        self._false_starts = 0
        self._closing = False
        self.error: BaseException | None = None
        self._closed_once = threading.Lock()
        self._wake = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, name="evertune-crew", daemon=True)
        self._thread.start()

    def load(self, workload: Workload) -> None:
        """Write the workload down once, for all workers. Raises OSError for a full disk."""
        self._loads += 1
        path, store = self.folder / f"workload-{self._loads}.pickle", self.folder / f"folds-{self._loads}"
        self.bytes = self.bytes or self._share(self.capacity)
        try:
            with path.open("wb") as file:
                for part in (replace(workload, frame=pd.DataFrame()), workload.cut().frame):
                    pickle.dump(part, file, protocol=5)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._order(lambda: self._load(Load(path, store, self.bytes)))

    def submit(self, task: Task) -> None:
        """Queue a task."""
        self._order(lambda: self._queue.append(task))

    def end(self, trial: int) -> None:
        """End what this trial has running or queued."""
        self._order(lambda: self._end(trial))

    @property
    def closed(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Kill all workers and wait until they are gone; safe to call twice. Tasks that are under way have no outcome."""
        with self._closed_once:
            if self._closing:
                return
            self._closing = True
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            os.close(self._wake)

    def _order(self, order: Callable[[], None]) -> None:
        with self._closed_once:
            if not self._closing:
                self._orders.append(order)
                os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            self._lanes = [self._open(f"worker {number}") for number in range(1, self.capacity + 1)]
            while not self._closing:
                self._look()
                self._hold_limits()
                self._hand_out()
        except BaseException as error:  # told to whoever waits for outcomes, which would else never come
            self.error = error
            self._broken(error)
        finally:
            self._end_all()

    def _open(self, name: str) -> Lane:
        lane = Lane(name, self.folder, self.threads, self._environment, self._models)
        if self._loaded is not None:
            lane.load(self._loaded)
        return lane

    def _look(self) -> None:
        """Wait for messages or orders, a little while at most, and deal with them."""
        ready = multiprocessing.connection.wait([*(lane.connection for lane in self._lanes), self._wake], LOOK_SECONDS)
        if self._wake in ready:
            os.eventfd_read(self._wake)
        for lane in [lane for lane in self._lanes if lane.connection in ready]:
            self._listen(lane)
        while self._orders:
            self._orders.popleft()()
        for lane in [lane for lane in self._lanes if lane.process.poll() is not None and not lane.connection.poll()]:
            self._bury(lane)
        self._dying = [lane for lane in self._dying if lane.process.poll() is None]

    def _listen(self, lane: Lane) -> None:
        try:
            outcome = lane.receive()
        except (EOFError, OSError):
            return self._bury(lane)
        if outcome is not None:
            fitting = lane.fitting()
            if task := lane.release():
                self._over(task, replace(outcome, fitting=fitting))
        elif lane.free:
            self._false_starts = 0
        return None

    def _over(self, task: Task, outcome: Outcome) -> None:
        self._spent[task.job.trial] += outcome.fitting
        task.done(outcome)

    def _bury(self, lane: Lane) -> None:
        """A worker has died by itself, or by somebody else's hand: say so, or try its task once more, and start another."""
        lane.kill()  # what it may have started
        code, words = lane.process.wait(), lane.last_words()
        if lane.starting:
            return self._start_again(lane, said(ending(code), words))
        seconds, fitting, task = lane.elapsed(), lane.fitting(), lane.release()
        self._replace(lane)
        if task is None:
            return None
        if -code in OUTSIDE and not task.lost:
            task.lost += 1
            return self._queue.appendleft(task)
        return self._over(task, Outcome(task.job, failure=self._cause(code, words), seconds=seconds, fitting=fitting))

    def _cause(self, code: int, words: str) -> Failure:
        """Why a worker that ended with this code, after these words, had no outcome."""
        if -code in OUTSIDE:
            return Failure("lost", f"its worker was killed twice by somebody else ({name_of(code)}), or by the kernel for want of memory")
        if any(word in words for word in NO_MEMORY):
            return self._out_of_memory()
        return Failure("died", said(ending(code), words))

    def _start_again(self, lane: Lane, reason: str) -> None:
        """Start another in place of a worker that came to grief before it was ready. Raises ServiceUnavailable for one too many."""
        self._false_starts += 1
        log.warning("%s did not start: %s", lane.name, reason)
        if self._false_starts >= FALSE_STARTS:
            raise ServiceUnavailable(f"the processes that trials run in do not start: {reason}")
        self._replace(lane)

    def _replace(self, lane: Lane) -> None:
        self._lanes[self._lanes.index(lane)] = self._open(lane.name)

    def _hold_limits(self) -> None:
        for lane in [lane for lane in self._lanes if lane.silence() > START_SECONDS]:
            lane.kill()
            self._dying.append(lane)
            self._start_again(lane, said(f"no answer within {START_SECONDS:g} seconds", lane.last_words()))
        running = [(lane, lane.task) for lane in self._lanes if lane.task is not None]
        taken: defaultdict[int, float] = defaultdict(float)
        for lane, task in running:
            taken[task.job.trial] += lane.fitting()
        for lane, task in running:
            if slow := self._slow(self._account(task) + taken[task.job.trial], lane.preparing()):
                self._stop(lane, slow)
            elif lane.bytes() > self.bytes:
                self._stop(lane, self._out_of_memory())

    def _slow(self, fitting: float, preparing: float) -> Failure | None:
        """What is wrong with so many seconds of a trial's fitting, or of preparing one of its folds."""
        if self.seconds is None:
            return None
        if fitting > self.seconds:
            return Failure("slow", f"took more than {self.seconds:g} seconds")
        if preparing > PREPARING * self.seconds:
            return Failure("slow", f"took more than {PREPARING * self.seconds:g} seconds to prepare its rows")
        return None

    def _account(self, task: Task) -> float:
        """Seconds that its trial's fits took before what runs now, here or elsewhere."""
        return max(self._spent[task.job.trial], task.spent)

    def _out_of_memory(self) -> Failure:
        return Failure("memory", f"took more than {memory.words(self.bytes)}")

    def _stop(self, lane: Lane, failure: Failure) -> None:
        """Kill a worker for what its task does, and start another at once."""
        seconds, fitting, task = lane.elapsed(), lane.fitting(), lane.release()
        lane.kill()
        self._dying.append(lane)
        self._replace(lane)
        if task is not None:
            self._over(task, Outcome(task.job, failure=failure, seconds=seconds, fitting=fitting))

    def _hand_out(self) -> None:
        while self._queue and (free := [lane for lane in self._lanes if lane.free]) and self._loaded:
            task = self._queue.popleft()
            key = fold_key(task.job)
            next((lane for lane in free if lane.last == key), free[0]).begin(task, key)

    def _load(self, message: Load) -> None:
        self._loaded = message
        for lane in self._lanes:
            lane.load(message)

    def _end(self, trial: int) -> None:
        ended = Failure("ended", "ended by the search")
        for task in [task for task in self._queue if task.job.trial == trial]:
            self._queue.remove(task)
            self._over(task, Outcome(task.job, failure=ended))
        for lane in [lane for lane in self._lanes if lane.task is not None and lane.task.job.trial == trial]:
            self._stop(lane, ended)

    def _end_all(self) -> None:
        for lane in self._lanes:
            lane.kill()
        deadline = time.monotonic() + GONE_SECONDS
        for lane in (*self._lanes, *self._dying):
            lane.process.wait(max(0.0, deadline - time.monotonic()))


def fold_key(job: Job) -> str:
    """Jobs of the same key share a prepared fold, as far as can be told without reading the recipe."""
    recipe = job.recipe
    return json.dumps([job.fold, job.share, recipe.get("features"), recipe.get("weights"), recipe["model"].get("family")], sort_keys=True)
