"""Fixtures around the search itself: two real worker processes for the whole test run, and searches on a small table."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.executors.executor import Executor, Job, Outcome, Workload
from tasks.executors.processes import Processes
from tasks.metrics import METRICS
from tasks.models.lightgbm import LightGBM
from tasks.models.model import Fitting, Model
from tasks.models.recipes import Candidates, Recipe
from tasks.records import Columns, Remembered, Search, Split, Table, Target, Trial
from tasks.searches import find_search
from tasks.settings import FeatureSettings, SplitSettings, TuningSettings, WeightSettings
from tasks.spaces import Categorical, Space
from tasks.splitting import split_table
from tasks.trials.memory import Start, start_from
from tasks.trials.reserves import FinalFit
from tasks.trials.search import Standing
from tasks.trials.tuner import Tuner
from tasks.tuning import tune_model
from tests.small import small_table
from tests.tasks.executors.scenes import NUMBERS, WITH_FAULTS, until

QUICK = LightGBM(max_rounds=20, early_stopping_rounds=5)
GOOD = 4
"""A value of max_cat_to_onehot that does no harm."""
NO_FINAL_FIT = FinalFit(rows=1000, fits=0, threads=1)


def going_wrong(*faults: str, good: bool = True, model: LightGBM = QUICK) -> LightGBM:
    """A model whose search has nothing to choose but whether, and how, a fit goes wrong: the first trial does not, if any is `good`."""
    choices = ((GOOD,) if good else ()) + tuple(NUMBERS[fault] for fault in faults)
    fixed = {name: parameter.default for name, parameter in model.default_space("binary").items()}
    space = {"max_cat_to_onehot": Categorical(choices=choices, default=choices[0])}
    changed: LightGBM = model.changed(hyperparameters={**fixed, "min_data_in_leaf": 20}, space=space)
    return changed


def fault_of(trial: Trial) -> str:
    """Which fault a trial of `going_wrong` had; empty for none."""
    numbers = {number: name for name, number in NUMBERS.items()}
    return numbers.get(int(trial.choices["max_cat_to_onehot"]), "")


@pytest.fixture(scope="session")
def small() -> Table:
    """1,000 rows over 100 days."""
    frame = small_table(100).dropna(subset="sold").reset_index(drop=True)
    frame["day"] = pd.to_datetime(frame["day"], utc=True)
    columns = Columns(Target("sold", "binary", (0.0, 1.0)), {"price": "number", "shop": "category"}, "day")
    return Table(frame, columns, "digest", ())


@pytest.fixture(scope="session")
def two_folds(small: Table) -> Split:
    return split_table(small, SplitSettings(test=timedelta(days=20), folds=2), timedelta(0), None, 10)


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two workers that know LightGBM, and whose fits go wrong when asked to; tests ask for `workers`."""
    capacity, scratch = min(2, len(os.sched_getaffinity(0))), tmp_path_factory.mktemp("workers")
    executor = Processes(capacity=capacity, scratch=scratch, models=({"family": "lightgbm"},), environment=WITH_FAULTS)
    with executor:
        executor.start()
        yield executor


@pytest.fixture
def workers(two_workers: Processes) -> Iterator[Processes]:
    """The test run's workers; what a test leaves under way is over before the next one begins."""
    yield two_workers
    drain(two_workers)


def ready(executor: Processes) -> None:
    """Wait until every worker has imported what it needs: where an earlier test killed some, seconds later."""
    until(lambda: executor._crew is not None and all(lane.free for lane in executor._crew._lanes), 60)


def drain(executor: Executor) -> None:
    """Wait for outcomes that nobody asked for any more; a search that was cut short has ended them."""
    began = time.monotonic()
    while executor.wait(30):
        pass
    assert time.monotonic() - began < 30, "a job is still under way half a minute after its search"


class Borrowed(Executor):
    """The test run's workers as one retrain has them: theirs when it starts, somebody else's when it closes them."""

    def __init__(self, lent: Executor) -> None:
        super().__init__(lent.capacity, threads=lent.threads)
        self._lent = lent
        self._trials: set[int] = set()

    def start(self) -> None:
        """They have."""

    def load(self, workload: Workload) -> None:
        self._lent.load(workload)

    def submit(self, job: Job) -> None:
        self._trials.add(job.trial)
        self._lent.submit(job)

    def wait(self, seconds: float) -> list[Outcome]:
        return self._lent.wait(seconds)

    def end(self, trial: int) -> None:
        self._lent.end(trial)

    def close(self) -> None:
        for trial in self._trials:
            self._lent.end(trial)
        drain(self._lent)


@dataclass
class Searching:
    """`search(trials=3, ...)` runs a search and keeps its trials as they were recorded, and where it stood."""

    table: Table
    split: Split
    executor: Executor
    store: str
    recorded: list[Trial] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)

    def tuner(
        self,
        model: Model = QUICK,
        name: str = "study",
        seed: int = 0,
        metric: str = "log_loss",
        others: tuple[Any, ...] = (),
        extra: Space | None = None,
        features: FeatureSettings | None = None,
        weights: WeightSettings | None = None,
        remembered: Sequence[Remembered] | None = (),
        final: FinalFit = NO_FINAL_FIT,
        record: Callable[[Trial], None] | None = None,
        executor: Executor | None = None,
        store: str = "",
        **settings: Any,
    ) -> Tuner:
        """`remembered` None starts from nothing at all: no defaults, no portfolio."""
        chosen = TuningSettings(**{"trials": 3, "minutes": None, **settings})
        base = Recipe(model, features or FeatureSettings(rare=2), weights or WeightSettings())
        candidates = Candidates(base, self.table.columns.target.task, others, extra or {})
        self.recorded, self.standings = [], []
        start = Start() if remembered is None else start_from(candidates, None, remembered, chosen.memory)
        return Tuner(
            self.table,
            self.split,
            candidates,
            chosen,
            find_search(chosen, candidates.space, len(self.split.folds)),
            Fitting(self.table.columns.target, METRICS[metric], seed, 1),
            executor or self.executor,
            (store or self.store, name),
            start,
            final,
            record or self.recorded.append,
            self.standings.append,
        )

    def __call__(self, model: Model = QUICK, last_best: Callable[[], Recipe] | None = None, **changes: Any) -> tuple[Recipe, Search]:
        tuner = self.tuner(model, **changes)
        try:
            return tune_model(tuner, last_best or _nobody)
        finally:
            with suppress(Exception):  # it was raised by the search already
                tuner.close()
            drain(changes.get("executor") or self.executor)


@pytest.fixture
def quick(search: Searching, two_workers: Processes) -> Searching:
    """For tests that take the time: the workers are ready, and so is Optuna."""
    import optuna  # noqa: F401  # seconds of importing, on a busy machine

    ready(two_workers)
    return search


@pytest.fixture
def search(small: Table, two_folds: Split, workers: Processes, tmp_path: Path) -> Searching:
    return Searching(small, two_folds, workers, f"sqlite:///{tmp_path / 'studies.db'}")


def _nobody() -> Recipe:
    raise AssertionError("nobody should have asked for the last best settings")
