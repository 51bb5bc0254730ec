"""What a config's tuning needs, put together: the workers, and the tuner of one search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from configs.schema import RetrainConfig
from flows.journal import Journal
from flows.progress import Progress
from tasks.executors import open_executor
from tasks.executors.executor import Executor, JobLimits
from tasks.homes import Home
from tasks.models.model import Fitting
from tasks.models.recipes import Candidates
from tasks.records import Champion, Split, Table
from tasks.searches import find_search
from tasks.trials.memory import start_from
from tasks.trials.tuner import FinalFit, Tuner

GIGABYTE = 10**9


def start_workers(config: RetrainConfig, home: Home) -> Executor | None:
    """Workers that start while data is still being read; None where nothing will be tuned."""
    settings = config.tuning
    if settings.when == "never":
        return None
    seconds = None if settings.trial_minutes is None else 60 * settings.trial_minutes
    limits = JobLimits(seconds, None if settings.trial_memory is None else int(settings.trial_memory * GIGABYTE))
    capacity = settings.parallel or config.usable_threads
    executor = open_executor(settings.executor, capacity, config.usable_threads, limits, home.root / "scratch", settings.dask)
    executor.start()
    return executor


@contextmanager
def open_tuner(
    config: RetrainConfig,
    table: Table,
    split: Split,
    candidates: Candidates,
    fitting: Fitting,
    executor: Executor,
    journal: Journal,
    champion: Champion | None,
    rows: int,
) -> Iterator[Tuner]:
    """The tuner of this retrain; every trial is written when the block ends. `rows` are those of the final fit."""
    settings = config.tuning
    method = find_search(settings, candidates.space)
    start = start_from(candidates, champion, journal.memory.settings, settings.memory)
    final = FinalFit(rows, 2 if config.registry.refit and config.time else 1, config.usable_threads)
    with Progress(fitting.metric, settings) as progress:
        tuner = Tuner(
            table, split, candidates, settings, method, fitting, executor, journal.study(), start, final,
            journal.record_trial, progress.update,
        )  # fmt: skip
        try:
            yield tuner
        finally:
            tuner.close()
