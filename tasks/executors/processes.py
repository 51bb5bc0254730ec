"""Processes: fits run in processes of this machine."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.errors import ConfigError
from tasks.executors.cores import usable_cores
from tasks.executors.crew import Crew
from tasks.executors.executor import Executor, Job, Outcome, Workload
from tasks.executors.lane import Task
from tasks.executors.scratch import Scratch


@dataclass(kw_only=True)
class Processes(Executor):
    """So many worker processes, each with `threads` threads; what they write is in a folder of their own in `scratch`.

    `models` (settings as JSON) are those whose libraries workers import before there is a job; `environment` is added to
    the workers' own. The memory limit, where none is given, is a share of what is free when the first workload is there.
    """

    scratch: Path
    models: tuple[Mapping[str, Any], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cores = usable_cores()
        if self.capacity < 1 or self.threads < 1 or self.capacity * self.threads > cores:
            raise ConfigError(
                f"tuning.parallel: trials side by side times their threads must be 1 to {cores}, the cores there are, "
                f"got {self.capacity} times {self.threads}; lower tuning.parallel or threads"
            )
        self._crew: Crew | None = None
        self._scratch: Scratch | None = None
        self._over: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._pending = 0

    def start(self) -> None:
        """Begin to start the workers. Raises OSError for a disk that takes nothing."""
        self._scratch = Scratch.open(self.scratch)
        self._crew = Crew(
            self.capacity, self.threads, self.limits, self._scratch.folder, self._over.put, self.models, self.environment
        )  # fmt: skip

    def load(self, workload: Workload) -> None:
        self._started().load(workload)

    def submit(self, job: Job) -> None:
        self._pending += 1
        self._started().submit(Task(job, self._over.put))

    def wait(self, seconds: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + seconds
        while self._pending:
            try:
                over = self._over.get(timeout=0 if outcomes else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(over, BaseException):
                self._over.put(over)  # for whoever waits again
                raise over
            outcomes.append(over)
            self._pending -= 1
        return outcomes

    def end(self, trial: int) -> None:
        self._started().end(trial)

    def close(self) -> None:
        if self._crew is not None:
            self._crew.close()
        if self._scratch is not None:
            self._scratch.close()

    def _started(self) -> Crew:
        if self._crew is None:
            raise RuntimeError("the executor was not started")
        return self._crew
