"""A lane: one worker process as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tasks
from tasks.executors import memory
from tasks.executors.executor import Job, Outcome
from tasks.executors.worker import Began, Begin, Load, Ready
from tasks.homes import open_private

ROOT = Path(tasks.__file__).parent.parent
LOG_BYTES = 4_000_000
LAST_LINES = 3
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip


@dataclass
class Task:
    """A job on its way, and who wants to know its outcome."""

    job: Job
    done: Callable[[Outcome], None]
    spent: float = 0.0
    """Seconds that its trial's fits took elsewhere."""
    lost: int = 0
    """How many workers went away under it."""


class Lane:
    """A worker process, started at once. `free` when it can be handed a task. Belongs to the thread that made it: it dies with it."""

    def __init__(self, name: str, folder: Path, threads: int, environment: Mapping[str, str], models: Any) -> None:
        self.name, self.log = name, folder / f"{name.replace(' ', '-')}.log"
        self.task: Task | None = None
        self._began = self._heard = time.monotonic()
        self._fit_began: float | None = None
        self.last: object = None
        """What the last job's fold was made of: a job of the same is done sooner here."""
        self._awaited = 1
        ours, theirs = socket.socketpair()
        with open_private(self.log) as output, theirs:
            self._log_start = self.log.stat().st_size
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "tasks.executors.worker", str(theirs.fileno()), str(os.getpid()), name],
                env=worker_environment(threads, environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for us; what the worker starts is killed with it
            )
        self.connection = Connection(ours.detach())
        self._send(Begin(tuple(models)))

    @property
    def free(self) -> bool:
        return self.task is None and self._awaited == 0

    @property
    def starting(self) -> bool:
        """Whether it has yet to begin or to load, and nothing else to do."""
        return self.task is None and self._awaited > 0

    def load(self, message: Load) -> None:
        """Have the worker read a workload, after what it is doing."""
        if self.free:
            self._heard = time.monotonic()
        self._awaited += 1
        self.last = None
        self._send(message)

    def begin(self, task: Task, key: object) -> None:
        """Hand it a task; it must be free."""
        if self.log.stat().st_size > LOG_BYTES:
            os.truncate(self.log, 0)
        self._log_start = self.log.stat().st_size
        self.task, self.last, self._began, self._fit_began = task, key, time.monotonic(), None
        self._send(task.job)

    def receive(self) -> Outcome | None:
        """The next message, which is there: an outcome, or None for one about what it does. Raises EOFError, OSError for a dead one."""
        message = self.connection.recv()
        self._heard = time.monotonic()
        if isinstance(message, Ready):
            self._awaited -= 1
            return None
        if isinstance(message, Began):
            self._fit_began = self._heard
            return None
        assert isinstance(message, Outcome)
        return message

    def release(self) -> Task | None:
        """The task that it had, no longer its own."""
        task, self.task = self.task, None
        return task

    def elapsed(self) -> float:
        """Seconds that its task has taken; 0 without one."""
        return time.monotonic() - self._began if self.task else 0.0

    def preparing(self) -> float:
        """Seconds that its task's fit has been waiting for its rows; 0 once it has begun."""
        return self.elapsed() if self._fit_began is None else 0.0

    def fitting(self) -> float:
        """Seconds since its task's fit began; 0 before."""
        return time.monotonic() - self._fit_began if self.task and self._fit_began is not None else 0.0

    def silence(self) -> float:
        """Seconds that it has been starting without a word."""
        return time.monotonic() - self._heard if self.starting else 0.0

    def bytes(self) -> int:
        """Memory of its own."""
        return memory.private_bytes(self.process.pid)

    def kill(self) -> None:
        """End the worker and what it started, without waiting for it to be gone."""
        with contextlib.suppress(ProcessLookupError):  # all of it is gone already
            os.killpg(self.process.pid, signal.SIGKILL)
        self.connection.close()

    def last_words(self) -> str:
        """The last lines that it wrote since its task began, in one."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - 4000))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-LAST_LINES:])[:600]

    def _send(self, message: object) -> None:
        try:
            self.connection.send(message)
        except OSError:
            return  # it has just died, which the next look at it finds out and deals with


def worker_environment(threads: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: so many threads, this package and no stray file on its path, warnings that stay warnings."""
    given = {**os.environ, **dict.fromkeys(THREADS, str(threads)), **environment}
    path = os.pathsep.join(filter(None, [str(ROOT), given.get("PYTHONPATH")]))
    return {name: value for name, value in given.items() if name != "PYTHONWARNINGS"} | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
