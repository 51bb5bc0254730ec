"""What a config's tuning needs, put together: the workers, and the tuner of one search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from configs.schema import RetrainConfig
from flows.telling.journal import Journal
from flows.telling.progress import Progress
from flows.telling.recording import SearchRecord
from tasks.errors import EvertuneError
from tasks.executors import open_executor
from tasks.executors.executor import Executor, JobLimits
from tasks.homes import Home, first_access
from tasks.models.model import Fitting
from tasks.models.recipes import Candidates
from tasks.records import Split, Table, Trial
from tasks.searches import find_search
from tasks.tracking import service_fault
from tasks.trials.memory import start_from
from tasks.trials.reserves import FinalFit
from tasks.trials.tuner import Tuner

GIGABYTE = 10**9


class Workers:
    """The workers of one retrain: they start while data is still being read, and end with the search, or with the block."""

    def __init__(self, config: RetrainConfig, home: Home) -> None:
        self._executor: Executor | None = None
        self._error: EvertuneError | None = None
        self._config, self._home = config, home

    def __enter__(self) -> Self:
        if self._config.tuning.when != "never":
            try:
                self._executor = self._open()
                self._executor.start()
            except EvertuneError as error:  # of no matter to a retrain that turns out to need no workers
                self._error = error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def executor(self) -> Executor:
        """Raises what starting them raised."""
        if self._error is not None:
            raise self._error
        assert self._executor is not None, "nothing is tuned without workers"
        return self._executor

    def close(self) -> None:
        if self._executor is not None:
            self._executor.close()

    def _open(self) -> Executor:
        config, settings = self._config, self._config.tuning
        seconds = None if settings.trial_minutes is None else 60 * settings.trial_minutes
        limits = JobLimits(seconds, None if settings.trial_memory is None else int(settings.trial_memory * GIGABYTE))
        models = [model.model_dump(mode="json") for model in (config.model, *config.alternatives)]
        scratch = self._home.root / "scratch"
        return open_executor(settings.executor, settings.parallel, config.usable_threads, limits, scratch, settings.dask, models)


@contextmanager
def open_tuner(
    config: RetrainConfig,
    table: Table,
    split: Split,
    candidates: Candidates,
    fitting: Fitting,
    workers: Workers,
    journal: Journal,
    rows: int,
) -> Iterator[Tuner]:
    """The tuner of this retrain; when the block ends every trial is written and the workers' memory is free. `rows` are the final fit's."""
    settings, champion = config.tuning, journal.prior.champion
    method = find_search(settings, candidates.space, len(split.folds))
    memory = settings.memory if settings.when != "auto" else settings.memory.changed(settings=max(1, settings.memory.settings))
    start = start_from(candidates, champion, journal.memory.settings, memory)
    fits = 1 + (config.registry.refit and config.time is not None) + (champion is not None and not split.unseen)
    record = journal.begin_search()
    with Progress(fitting.metric.name, settings) as progress:
        with first_access(journal.home, "studies"):
            tuner = Tuner(
                table, split, candidates, settings, method, fitting, workers.executor, journal.study(), start,
                FinalFit(rows, fits, fitting.threads), lambda trial: _record(record, trial), progress.update,
            )  # fmt: skip
        try:
            yield tuner
        finally:
            workers.close()
            tuner.close()


def _record(record: SearchRecord, trial: Trial) -> None:
    """Write one trial. Raises ServiceUnavailable for what may pass, such as a server that restarts."""
    try:
        record.add(trial)
    except Exception as error:
        raise service_fault(error) or error from error
