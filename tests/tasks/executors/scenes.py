"""A small workload, jobs on it that go well or wrong in earnest, and a Dask cluster of real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.executors.executor import Executor, Job, Outcome, Workload
from tasks.executors.scoring import Bench
from tasks.records import Columns, Fold, FoldScore, Target

ROOT = Path(__file__).parents[3]
FAULTS = Path(__file__).parent / "faults"
IN_ORDER = (
    "raise_error", "segfault", "abort", "leave", "hang", "hold_the_interpreter", "eat_slowly", "eat_at_once", "write_much",
    "wait_to_be_killed", "always_killed", "start_a_child", "take_a_second",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(IN_ORDER, start=101)} | {
    "not_a_number": 150,
    "prepare_for_two_seconds": 160,
    "prepare_for_ever": 161,
}
"""What faults/sitecustomize.py makes of LightGBM's max_cat_to_onehot, in its order."""
WITH_FAULTS = {"PYTHONPATH": str(FAULTS)}


def workload(rows: int = 1500) -> Workload:
    """Two folds of a table with a number, a category and a signal."""
    random = np.random.default_rng(0)
    number, group = random.normal(size=rows), random.choice(["a", "b", "c"], rows)
    late = (number + (group == "a") + random.normal(size=rows) > 0).astype(float)
    frame = pd.DataFrame({"number": number, "group": group, "late": late})
    columns = Columns(Target("late", "binary", (0.0, 1.0)), {"number": "number", "group": "category"})
    scored = rows // 5
    folds = tuple(Fold(np.arange(first), np.arange(first, first + scored)) for first in (rows - 2 * scored, rows - scored))
    return Workload(frame, columns, folds, tuple(np.arange(scored) // 50 for _ in folds), "log_loss", 0, 1)


@dataclass(frozen=True)
class Breaks:
    """In place of a part of the workload: what a worker does as soon as it reads it."""

    code: str

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code,)


def job(trial: int, fault: str | None = None, fold: int = 0, share: float = 1.0, family: str = "lightgbm", **hyperparameters: Any) -> Job:
    """A fit that takes milliseconds, but for its fault."""
    model: dict[str, Any] = {"family": family, "max_rounds": 20, "early_stopping_rounds": 5}
    wrong = {"max_cat_to_onehot": NUMBERS[fault]} if fault else {}
    return Job(trial, fold, {"model": {**model, "hyperparameters": {**hyperparameters, **wrong}}}, share)


def run(executor: Executor, *jobs: Job, seconds: float = 40.0) -> dict[tuple[int, int], Outcome]:
    """The jobs' outcomes by trial and fold."""
    for each in jobs:
        executor.submit(each)
    return outcomes(executor, seconds)


def outcomes(executor: Executor, seconds: float = 40.0) -> dict[tuple[int, int], Outcome]:
    """Everything that is under way; AssertionError when it takes too long."""
    found: dict[tuple[int, int], Outcome] = {}
    deadline = time.monotonic() + seconds
    while came := executor.wait(max(0.0, deadline - time.monotonic())):
        found |= {(each.job.trial, each.job.fold): each for each in came}
    assert time.monotonic() < deadline, f"still under way after {seconds:g} s; so far {found}"
    return found


def score(outcome: Outcome) -> FoldScore:
    assert outcome.score is not None, outcome.failure
    return outcome.score


def failure(outcome: Outcome) -> tuple[str, str]:
    assert outcome.failure is not None, outcome.score
    return outcome.failure.kind, outcome.failure.text


def in_process(*jobs: Job) -> dict[tuple[int, int], FoldScore]:
    """What the same jobs come to in this process."""
    bench = Bench(workload())
    return {(each.trial, each.fold): bench.score(each) for each in jobs}


def until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What `condition` returns as soon as it is true; AssertionError when it never is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)
    return found


def workers_below(folder: Path) -> list[int]:
    """The processes that work in this folder, or in one below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            if (
                Path(os.readlink(process / "cwd")).is_relative_to(folder)
                and b"tasks.executors.worker" in (process / "cmdline").read_bytes()
            ):
                found.append(int(process.name))
    return sorted(found)


def alive(pid: int) -> bool:
    """Whether a process runs, zombies apart."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class DaskProcesses:
    """A scheduler and its workers, each a process of this machine, in `folder`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.running: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        listening = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        self.scheduler = self._start("distributed.cli.dask_scheduler", *listening)
        until(file.exists, 30)
        import json

        self.address = str(until(lambda: json.loads(file.read_text() or "{}"), 5)["address"])

    def add_worker(self, name: str) -> subprocess.Popen[bytes]:
        """A worker with one thread, and nobody to restart it."""
        place = ("--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(self.folder), "--name", name)
        return self._start("distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny", *place)

    def close(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [self.environment.get("PYTHONPATH"), str(ROOT)]))
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**os.environ, **self.environment, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        return process


@contextmanager
def dask_cluster(folder: Path, workers: int, environment: Mapping[str, str]) -> Iterator[DaskProcesses]:
    """A cluster of one scheduler and so many workers, all of them there."""
    from distributed import Client

    cluster = DaskProcesses(folder, environment)
    try:
        for number in range(workers):
            cluster.add_worker(f"w{number}")
        if workers:
            with Client(cluster.address, timeout=20, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=60)
        yield cluster
    finally:
        cluster.close()
