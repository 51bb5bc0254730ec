"""`python -m tasks.executors.worker SOCKET PARENT NAME LIMIT`: a fresh process that carries out one job after the other.

It is started early and imports while its parent reads data. It dies with the thread that started it, at once and
whatever it is doing; it is the first to go when memory runs out; and a wall keeps it from taking the machine along.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import os
import pickle
import resource
import signal
import sys
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.executors import memory

if TYPE_CHECKING:
    from tasks.executors.executor import Failure, Job, Outcome
    from tasks.executors.scoring import Bench

log = logging.getLogger("evertune")

PR_SET_PDEATHSIG = 1
TEXT = 600
"""Most characters of what a library said that go into a report."""
KEEP_SHARE = 0.5
"""Prepared folds are forgotten beyond this share of the limit: the rest is the trial's own."""
NO_MEMORY = ("bad_alloc", "Cannot allocate memory", "MemoryError", "Unable to allocate")
"""How libraries say that the wall was hit."""


@dataclass(frozen=True)
class Begin:
    """The first message: models (settings as JSON) whose libraries are imported before the worker says that it is ready."""

    models: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Load:
    """A pickled workload, and the folder of prepared folds that belongs to it."""

    workload: Path
    store: Path


@dataclass(frozen=True)
class Ready:
    """The worker's answer to Begin and to Load."""


def main(socket: int, parent: int, name: str, limit: int) -> None:
    """Serve until the other end closes."""
    die_with(parent)
    give_way(limit)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.set_inheritable(socket, False)
    with Connection(socket) as connection:
        bench: Bench | Failure | None = None
        while True:
            try:
                message = connection.recv()
            except EOFError:
                return
            if isinstance(message, Begin):
                import_libraries(message.models)
                connection.send(Ready())
            elif isinstance(message, Load):
                bench = load(message, limit)
                connection.send(Ready())
            else:
                assert bench is not None
                connection.send(carry_out(bench, message, name))


def die_with(parent: int) -> None:
    """The kernel kills this process when the thread that started it ends: in the middle of a fit, with the interpreter locked."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def give_way(limit: int) -> None:
    """Be the first to go when memory runs out, leave no core file, and hit a wall a little beyond the limit."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory.build_wall(limit)


def import_libraries(models: tuple[dict[str, Any], ...]) -> None:
    """Import what scoring needs, and what these models need by preparing a few rows; without the garbage collector, in half the time."""
    gc.disable()
    import numpy as np

    importlib.import_module("tasks.executors.scoring")
    from tasks.metrics import METRICS
    from tasks.models import parse_model
    from tasks.models.model import Fitting, Matrix
    from tasks.records import Target

    truth = np.tile([0.0, 1.0], 20)
    rows = Matrix(truth.reshape(-1, 1), truth, ("column",), ())
    fitting = Fitting(Target("target", "binary", (0, 1)), METRICS["log_loss"], 0, 1)
    for settings in models:
        try:
            parse_model(settings).prepare(rows, rows, fitting)
        except Exception as error:  # these rows are not its task's: what is really wrong with it, its jobs will say
            log.info("%s could not be tried out: %s", settings, error)
    gc.enable()
    gc.freeze()


def load(message: Load, limit: int) -> Bench | Failure:
    """The bench of a workload; where there is no room for one, the failure that each job will have."""
    from tasks.executors.scoring import Bench

    try:
        with message.workload.open("rb") as file:
            workload = pickle.load(file)  # noqa: S301  # our parent's own file, in a folder that is ours alone
        return Bench(workload, message.store, keep_bytes=KEEP_SHARE * limit)
    except Exception as error:
        return failure(error)


def carry_out(bench: Bench | Failure, job: Job, name: str) -> Outcome:
    """Score the job; whatever a library raises is its outcome."""
    from tasks.executors.executor import Failure, Outcome

    if isinstance(bench, Failure):
        return Outcome(job, failure=bench)
    began = time.perf_counter()
    memory.reset_peak()
    try:
        score = bench.score(job)
    except (Exception, SystemExit) as error:
        return Outcome(job, failure=failure(error), seconds=time.perf_counter() - began)
    score = replace(score, peak_mb=memory.peak_mb(), worker=name)
    return Outcome(job, score, seconds=time.perf_counter() - began)


def failure(error: BaseException) -> Failure:
    """What went wrong, for the report; its whole story goes to this worker's log."""
    from tasks.errors import EvertuneError
    from tasks.executors.executor import Failure

    log.warning("a job failed", exc_info=error)
    text = " ".join(str(error).split())[:TEXT]
    if isinstance(error, MemoryError) or any(word in text for word in NO_MEMORY):
        return Failure("memory", f"ran out of memory: {text or 'MemoryError'}")
    return Failure("raised", text if isinstance(error, EvertuneError) else f"{type(error).__name__}: {text}")


if __name__ == "__main__":
    # by its full name, so that the messages are those that the parent knows
    from tasks.executors import worker

    worker.main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
