"""What an executor is: jobs go in, outcomes come out, and no outcome can take the search down with it.

A job is one fit scored on one fold, a pure function of the workload and itself: it may run anywhere, and again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Columns, Fold, FoldScore


@dataclass(frozen=True)
class Workload:
    """Everything that the jobs of a search share. It is sent to workers once, and pickled on its way.

    `frame` is the whole table as validation left it, in time order where it has a time column, and may hold columns that
    no job reads; folds are row positions in it, and no row after the last of them is sent. `blocks` has for each fold the
    block of each scored row: whole numbers from 0, shape (scored rows,).
    """

    frame: pd.DataFrame
    columns: Columns
    folds: tuple[Fold, ...]
    blocks: tuple[NDArray[np.int64], ...]
    metric: str
    seed: int
    threads: int = 1
    """Threads of one fit."""
    keep_predictions: bool = False
    """Whether scores bring the predictions they rest on."""

    def cut(self) -> Workload:
        """The workload without the rows after the last that a fold uses, such as those of the test window."""
        last = max((int(rows.max()) for fold in self.folds for rows in (fold.train, fold.valid) if len(rows)), default=-1)
        return replace(self, frame=self.frame.iloc[: last + 1])


@dataclass(frozen=True)
class Job:
    """Score a recipe on a fold. `share` below 1 trains on the newest part of the fold's training rows only."""

    trial: int
    fold: int
    recipe: dict[str, Any]
    """As `tasks.models.recipes.Recipe.to_json` wrote it."""
    share: float = 1.0


Kind = Literal["raised", "died", "slow", "memory", "lost", "ended"]
"""raised: the library said no. died: its process crashed (segmentation fault, abort). slow, memory: it broke a limit of one
trial and was ended. lost: its worker went away through no fault of its own, twice. ended: we asked for it."""


@dataclass(frozen=True)
class Failure:
    """Why a job has no score; `text` is for the report, such as `died of SIGSEGV` or `took more than 2 GB`."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Outcome:
    """A job that is over, one way or the other. `seconds` is wall time in the worker; `fitting` those after the rows were prepared."""

    job: Job
    score: FoldScore | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    fitting: float = 0.0


PREPARING = 10


@dataclass(frozen=True)
class JobLimits:
    """What one trial may take: seconds of fitting over all its folds, and bytes of its process.

    Preparing a fold's rows, or waiting for another worker that does, is no fault of a trial's: it may take PREPARING times
    as many seconds, for each fold.
    """

    seconds: float | None = None
    bytes: int | None = None


@dataclass
class Executor(ABC):
    """Runs jobs on `capacity` workers. Not thread-safe: one thread submits and waits.

    `start` may be called long before there is a workload, so that workers import while data is still being read.
    """

    capacity: int
    limits: JobLimits = field(default_factory=JobLimits)
    threads: int = 1
    """Threads of one fit, where it runs."""

    @abstractmethod
    def start(self) -> None:
        """Begin to start the workers, without waiting for them; a cluster is connected to, for ten seconds at most.

        Raises ServiceUnavailable for a cluster that does not answer.
        """

    @abstractmethod
    def load(self, workload: Workload) -> None:
        """Hand the workload over; jobs submitted from now on are about it. Raises ServiceUnavailable, or OSError for a full disk."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Queue a job. More than `capacity` may be waiting; they start in the order they were submitted."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that have come in, at least one unless `seconds` pass first (0: only look), or unless nothing is pending.

        Never raises for a job's sake; raises ServiceUnavailable when workers cannot be had at all.
        """

    @abstractmethod
    def end(self, trial: int) -> None:
        """End this trial's job now, running or queued; its outcome comes as a failure of kind `ended`. Takes at most a second."""

    @abstractmethod
    def close(self) -> None:
        """End all workers and remove what they wrote; safe to call twice. No process is left behind, at most two seconds later."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
