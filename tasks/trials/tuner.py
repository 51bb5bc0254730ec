"""The tuner of one retrain: everything a search needs, put together once, and gone on with by whoever calls next.

The probe of `auto` and the search proper are the same search: what the probe has scored counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.executors.executor import Executor, Workload
from tasks.models.model import Fitting
from tasks.models.recipes import Candidates, Recipe
from tasks.records import FoldScore, Search, Split, Table, Trial
from tasks.searches import Method
from tasks.settings import TuningSettings
from tasks.spaces import walk
from tasks.trials.blocks import block_rows
from tasks.trials.choice import choose
from tasks.trials.memory import Start
from tasks.trials.noise import count_rows
from tasks.trials.search import Standing, Step, TrialLoop
from tasks.trials.stores import Store
from tasks.trials.studies import Proposer
from tasks.trials.writing import Writer

CAUTION = 1.3
"""What is reserved for the final fit is so many times what it should take."""
MOST_RESERVED = 0.5
UNKNOWN_RESERVE = 0.1
"""Shares of the limit of time: at most, and before any fit was timed."""
SECOND_THREAD = 0.6
"""What each further thread adds to the speed of one fit, measured with LightGBM on 300,000 rows."""


@dataclass(frozen=True)
class FinalFit:
    """What follows the search within its time: so many fits of the chosen settings on `rows` rows, with `threads` threads."""

    rows: int
    fits: int
    threads: int


@dataclass(frozen=True)
class _Chosen:
    chosen: Trial | None
    why: str
    best: Trial | None = None
    finalists: tuple[Trial, ...] = ()


class Tuner:
    """One search over the candidates' space on the split's folds. `search` may be called more than once; then `finish`.

    `study` is the store's URL and the study's name: a search of that name is gone on with, its trials counted.
    `record` is called with each trial that is over, from a thread of its own.
    """

    def __init__(
        self,
        table: Table,
        split: Split,
        candidates: Candidates,
        settings: TuningSettings,
        method: Method,
        fitting: Fitting,
        executor: Executor,
        study: tuple[str, str],
        start: Start,
        final: FinalFit,
        record: Callable[[Trial], None],
        shown: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        self.candidates, self.settings, self.method, self.metric = candidates, settings, method, fitting.metric
        self._executor, self._final, self._start = executor, final, start
        self._began = time.monotonic()
        blocks = tuple(block_rows(table, fold) for fold in split.folds)
        self.block_rows = count_rows(blocks)
        threads = max(1, fitting.threads // executor.capacity)
        executor.load(Workload(table.frame, table.columns, split.folds, blocks, fitting.metric.name, fitting.seed, threads))
        store = Store(*study)
        past = store.past()
        frozen: dict[int, Any] = {}
        self._writer = Writer(
            {"the study store": lambda trial: store.add(frozen.pop(trial.number), trial), "MLflow": record},
            lambda error: isinstance(error, ServiceUnavailable),
        )

        def written(told: object, trial: Trial) -> None:
            frozen[trial.number] = told
            self._writer.put(trial)

        proposer = self._proposer(fitting.seed + len(past), len(past))
        self._resumed = len(past)
        for told, trial in past:
            proposer.restore(told, trial)
        tried = [self.candidates.values(trial.family, trial.choices) for _, trial in past]
        for origin, values in start.points if method.points is None else ():
            if not any(values.items() <= known.items() for known in tried):
                proposer.enqueue(origin, values)
        self._loop = TrialLoop(proposer, executor, candidates, self._steps(split), self.metric, settings, written, shown, self._began)
        self._loop.resume([trial for _, trial in past])
        self._stopped_by = ""

    @property
    def trials(self) -> tuple[Trial, ...]:
        return tuple(self._loop.trials)

    def search(self, most: int | None = None) -> None:
        """Run trials until a limit is reached, or until there are `most`. Raises what could not be written down, at the end only."""
        self._stopped_by = self._loop.run(self._deadline, most)

    def close(self) -> None:
        """Wait until every trial is written. Raises ServiceUnavailable when a store took them no more; they were run all the same."""
        self._writer.close()

    def finish(self, last_best: Recipe) -> tuple[Recipe, Search]:
        """The chosen recipe and the whole search. `last_best` is what is trained when nothing was scored at all.

        Raises TrainingFailed when every trial failed, unless `on_all_failed` says otherwise.
        """
        elapsed = time.monotonic() - self._began
        choice = self._choose()
        chosen, why = choice.chosen, choice.why
        fits = [score for trial in (*self._loop.trials, *self._loop.partial) for score in trial.scores]
        search = Search(
            metric=self.metric.name,
            trials=self.trials,
            best=choice.best,
            stopped_by=self._stopped_by,
            seconds=elapsed,
            chosen=chosen,
            choice=why,
            finalists=choice.finalists,
            method=self.method.words,
            memory=self._start.notes,
            fit_seconds=sum(score.fit_seconds for score in fits),
            worker_seconds=elapsed * self._executor.capacity,
            resumed=self._resumed,
        )
        return (last_best if chosen is None else self._recipe(chosen)), search

    def _choose(self) -> _Chosen:
        """Among the finished trials; failing these the one that time cut short last; failing that nothing."""
        if self._loop.best is not None:
            found = choose(self._loop.trials, self.block_rows, self.metric, self.settings.choice, self.settings.finalists)
            return _Chosen(found.chosen, found.why, found.best, found.finalists)
        scored = [trial for trial in self._loop.partial if trial.scores]
        if not scored:
            return _Chosen(None, self._nothing_scored())
        furthest = min(scored, key=lambda trial: (-len(trial.scores), sum(map(self.metric.loss, trial.fold_values)), trial.number))
        folds = f"{len(furthest.scores)} fold" + ("s" if len(furthest.scores) > 1 else "")
        return _Chosen(furthest, f"no trial finished before the time was up: trial {furthest.number}, scored on {folds}, is the furthest")

    def _nothing_scored(self) -> str:
        failed = [trial for trial in self._loop.trials if trial.state == "failed"]
        if not failed:
            return "no trial was scored before the time was up: the last best hyperparameters"
        if self.settings.on_all_failed == "last_best":
            return f"all {len(failed)} trials failed: the last best hyperparameters, as tuning.on_all_failed says"
        raise TrainingFailed(f"tuning: none of {len(self._loop.trials)} trials finished; the last one: {failed[-1].error}")

    def _recipe(self, trial: Trial) -> Recipe:
        """The trial's settings; the number of rounds is fitted to the larger data of the final fit."""
        recipe = self.candidates.recipe(trial.family, trial.choices)
        settled = {**trial.hyperparameters}
        name = recipe.model.rounds_name
        if name and name in settled and name not in recipe.model.hyperparameters:
            rows = sum(score.rows for score in trial.scores) / len(trial.scores)
            settled[name] = max(1, round(int(settled[name]) * (self._final.rows / rows) ** recipe.model.rounds_growth))
        return replace(recipe, model=recipe.model.with_hyperparameters(settled))

    def _proposer(self, seed: int, done: int) -> Proposer:
        """A grid is gone through in one order, whatever the seed: what an earlier process has `done` were its first points."""
        settings, points = self.settings, self.method.points
        return Proposer(
            self.candidates,
            self.method.sampler(seed),
            self.method.pruner(),
            self.metric,
            settings.constraints,
            rungs=self.method.resources,
            by_block=self.method.by_block,
            window=settings.reproducible,
            points=None if points is None else islice(walk(self.candidates.space, points, 0), done, None),
        )

    def _steps(self, split: Split) -> tuple[Step, ...]:
        """The newest fold first: it is the most like what comes next, so it says most about who is behind."""
        folds = [len(split.folds) - 1 - place for place in range(len(split.folds))]
        return (*((folds[0], share) for share in self.method.rungs), *((fold, 1.0) for fold in folds))

    def _deadline(self) -> float:
        """The instant at which every trial is ended, so that the fits that follow end within the limit."""
        if self.settings.minutes is None:
            return math.inf
        budget = 60 * self.settings.minutes
        return self._began + budget - min(MOST_RESERVED * budget, self._reserve(budget))

    def _reserve(self, budget: float) -> float:
        """Seconds of the fits that follow, by the speed at which the best trial's folds were fitted."""
        trial = self._loop.best or next((trial for trial in self._loop.trials if trial.scores), None)
        if trial is None or not self._final.fits:
            return UNKNOWN_RESERVE * budget if self._final.fits else 0.0
        seconds = sum(_per_row(score) for score in trial.scores) / len(trial.scores) * self._final.rows
        model = self.candidates.recipe(trial.family, trial.choices).model
        growth = (self._final.rows * len(trial.scores) / sum(score.rows for score in trial.scores)) ** model.rounds_growth
        faster = 1 + SECOND_THREAD * (self._final.threads - 1)
        around = max(score.seconds - score.fit_seconds for score in trial.scores)
        return float(CAUTION * self._final.fits * (seconds * growth / faster + around))


def _per_row(score: FoldScore) -> float:
    return score.fit_seconds / max(score.rows, 1)
