"""`python -m tasks.executors.worker SOCKET PARENT NAME`: a fresh process that carries out one job after the other.

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
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.executors import memory

if TYPE_CHECKING:
    import pandas as pd

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
    """A pickled workload with its rows pickled after it, the folder of prepared folds that belongs to it, and the bytes of a trial."""

    workload: Path
    store: Path
    limit: int


@dataclass(frozen=True)
class Ready:
    """The worker's answer to Begin and to Load."""


@dataclass(frozen=True)
class Began:
    """The rows of a job are prepared: the fit begins."""


def main(socket: int, parent: int, name: str) -> None:
    """Serve until the other end closes."""
    die_with(parent)
    give_way()
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
                bench = load(message)
                connection.send(Ready())
            else:
                assert bench is not None
                connection.send(carry_out(bench, message, name, lambda: connection.send(Began())))


def die_with(parent: int) -> None:
    """The kernel kills this process when the thread that started it ends: in the middle of a fit, with the interpreter locked."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def give_way() -> None:
    """Be the first to go when memory runs out, and leave no core file."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


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


def load(message: Load) -> Bench | Failure:
    """The bench of a workload, behind a wall a little beyond the limit; where there is no room for one, the failure of each job.

    Its rows stay in the file until a fold has to be built from them.
    """
    from tasks.executors.scoring import Bench

    memory.build_wall(message.limit)
    try:
        with message.workload.open("rb") as file:
            workload = pickle.load(file)  # noqa: S301  # our parent's own file, in a folder that is ours alone
            rows = partial(read_rows, message.workload, file.tell())
        return Bench(workload, message.store, keep_bytes=KEEP_SHARE * message.limit, read_rows=rows)
    except Exception as error:
        return failure(error)


def read_rows(path: Path, offset: int) -> pd.DataFrame:
    """The rows in a workload's file."""
    with path.open("rb") as file:
        file.seek(offset)
        rows: pd.DataFrame = pickle.load(file)  # noqa: S301  # as above
    return rows


def carry_out(bench: Bench | Failure, job: Job, name: str, began: Callable[[], None]) -> Outcome:
    """Score the job; whatever a library raises is its outcome. `began` is called when the fit begins."""
    from tasks.executors.executor import Failure, Outcome

    if isinstance(bench, Failure):
        return Outcome(job, failure=bench)
    start = time.perf_counter()
    memory.reset_peak()
    try:
        score = bench.score(job, began)
    except (Exception, SystemExit) as error:
        return Outcome(job, failure=failure(error), seconds=time.perf_counter() - start)
    score = replace(score, peak_mb=memory.peak_mb(), worker=name)
    return Outcome(job, score, seconds=time.perf_counter() - start)


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

    worker.main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
