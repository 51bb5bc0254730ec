"""The tuner of one retrain: everything a search needs, put together once, and gone on with by whoever calls next.

The probe of `auto` and the search proper are the same search: what the probe has scored counts.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.comparisons.blocks import block_rows
from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.executors.executor import Executor, Workload
from tasks.models.blend import Blend
from tasks.models.model import Fitting
from tasks.models.recipes import Candidates, Recipe
from tasks.records import Floats, Hyperparameters, Search, Split, Table, Trial
from tasks.searches import Method, say_limits
from tasks.settings import TuningSettings
from tasks.spaces import walk
from tasks.targets import encode, queries
from tasks.trials.blending import mix
from tasks.trials.choice import choose
from tasks.trials.memory import Start
from tasks.trials.noise import count_rows
from tasks.trials.reserves import FinalFit
from tasks.trials.search import Standing, Step, TrialLoop, bare
from tasks.trials.stores import Store, Told
from tasks.trials.studies import Proposer
from tasks.trials.writing import Writer

STORE = "the study store"


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
        self._began, self._stopped_by = time.monotonic(), ""
        self._out_of_time = False
        self._table, self._folds = table, split.folds
        blocks = tuple(block_rows(table, fold) for fold in split.folds)
        self.block_rows = count_rows(blocks)
        self._threads, keep = executor.threads, settings.average > 1
        executor.load(Workload(table.frame, table.columns, split.folds, blocks, fitting.metric.name, fitting.seed, self._threads, keep))
        self._store = Store(*study)
        past = self._store.past()
        self._resumed = len(past)
        self._writer = Writer({STORE: self._store.add, "MLflow": lambda told: record(told.trial)}, _may_pass, {STORE})
        steps = self._steps(split)
        proposer = self._proposer(fitting.seed + len(past), past, steps)
        self._loop = TrialLoop(proposer, executor, candidates, steps, self.metric, settings, self._writer.put, shown, self._began)
        self._loop.resume([told.trial for told in past])

    @property
    def trials(self) -> tuple[Trial, ...]:
        return tuple(self._loop.trials)

    def search(self, most: int | None = None, prune: bool = True) -> None:
        """Run trials until a limit is reached, or until there are `most`. Raises what could not be written down, at the end only."""
        self._stopped_by = self._loop.run(self._deadline, most, prune)
        self._out_of_time = time.monotonic() >= self._deadline()

    def close(self) -> None:
        """Wait until every trial is written. Raises ServiceUnavailable when a store took them no more; they were run all the same."""
        try:
            self._writer.close()
        finally:
            self._store.close()

    def finish(self, last_best: Callable[[], Recipe]) -> tuple[Recipe, Search]:
        """The chosen recipe and the whole search. `last_best` is asked for one when nothing was scored at all.

        Raises TrainingFailed when every trial failed, unless `on_all_failed` says otherwise.
        """
        elapsed = time.monotonic() - self._began
        choice = self._choose()
        chosen, why = choice.chosen, choice.why
        mixture = self._mix(chosen)
        if len(mixture) > 1:
            why += f"; averaged with trial {' and '.join(str(trial.number) for trial in mixture[1:])}, since together they answer better"
        fits = [score for trial in (*self._loop.trials[self._resumed :], *self._loop.partial) for score in trial.scores]
        search = Search(
            metric=self.metric.name,
            trials=tuple(map(bare, self.trials)),
            best=choice.best and bare(choice.best),
            stopped_by=self._stopped_by,
            seconds=elapsed,
            chosen=chosen and bare(chosen),
            choice=why,
            finalists=tuple(map(bare, choice.finalists)),
            method=self.method.words,
            memory=self._start.notes,
            fit_seconds=sum(score.fit_seconds for score in fits) + self._loop.cut_seconds,
            worker_seconds=elapsed * self._executor.capacity,
            resumed=self._resumed,
            limits=say_limits(self.settings, self.metric.name),
            space={name: parameter.model_dump(mode="json") for name, parameter in self.candidates.space.items()},
        )
        return (last_best() if chosen is None else self._recipe(chosen, mixture)), search

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
        ended = f"no trial finished before the search was stopped by {self._stopped_by}"
        return _Chosen(furthest, f"{ended}: trial {furthest.number}, scored on {folds}, is the furthest")

    def _nothing_scored(self) -> str:
        failed = [trial for trial in self._loop.trials if trial.state == "failed"]
        if not failed or self._out_of_time:
            return f"no trial was scored before the search was stopped by {self._stopped_by}: the last best hyperparameters"
        if self.settings.on_all_failed == "last_best":
            return f"all {len(failed)} trials failed: the last best hyperparameters, as tuning.on_all_failed says"
        raise TrainingFailed(f"tuning: none of {len(self._loop.trials)} trials finished; the last one: {failed[-1].error}")

    def _mix(self, chosen: Trial | None) -> tuple[Trial, ...]:
        """The chosen trial and those that make the mean of their answers better; they have to read the same matrix."""
        if chosen is None or chosen.state != "finished" or self.settings.average == 1:
            return ()
        reads = _processing(chosen), self.candidates.recipe(chosen.family, chosen.choices).model.reads
        alike = [
            trial
            for trial in self._loop.trials
            if trial.state == "finished" and (_processing(trial), self.candidates.recipe(trial.family, trial.choices).model.reads) == reads
        ]
        most = self.settings.average
        if self.settings.minutes is not None:
            left = self._began + 60 * self.settings.minutes - time.monotonic()
            most = self._final.affordable(chosen.scores, self._threads, most, left)
        return mix(chosen, alike, self._loss_together, most).trials

    def _loss_together(self, predictions: Sequence[Floats]) -> float:
        """The mean loss over folds, of predictions in the order of the folds."""
        columns, values = self._table.columns, []
        for fold, prediction in zip(self._folds, predictions, strict=True):
            rows = self._table.frame.iloc[fold.valid]
            values.append(self.metric.of(encode(columns.target, rows[columns.target.column]), prediction, queries(columns, rows)))
        return statistics.fmean(map(self.metric.loss, values))

    def _recipe(self, trial: Trial, mixture: tuple[Trial, ...]) -> Recipe:
        """The trial's settings, the median of the folds' best rounds among them; of several trials a blend.

        More rounds for the larger data of the final fit did not make the next month better (flights, retrains of May to
        August 2013: rounds times the growth in rows to the power of 0, 0.5 and 1 differed by less than .0003).
        """
        recipe = self.candidates.recipe(trial.family, trial.choices)
        models = [
            self.candidates.recipe(each.family, each.choices).model.with_hyperparameters(each.hyperparameters)
            for each in mixture or (trial,)
        ]
        return replace(recipe, model=models[0] if len(models) == 1 else Blend(family="blend", members=tuple(models)))

    def _proposer(self, seed: int, past: Sequence[Told], steps: tuple[Step, ...]) -> Proposer:
        """The study with what an earlier process found, and what is to be tried first.

        A grid is gone through in one order, whatever the seed, but for the points that the earlier process has done.
        """
        settings, points = self.settings, self.method.points
        tried = [self.candidates.values(told.trial.family, told.trial.choices) for told in past]
        known = {_alike(values) for values in tried}
        proposer = Proposer(
            self.candidates,
            self.method.sampler(seed),
            self.method.pruner(),
            self.metric,
            settings.constraints,
            rungs=dict(zip(steps, self.method.resources, strict=False)),
            by_block=self.method.by_block,
            window=settings.reproducible,
            points=None if points is None else self._grid(points, known),
        )
        for told in past:
            proposer.restore(told)
        for origin, values in self._start.points if points is None else ():
            if not any(values.items() <= done.items() for done in tried):
                proposer.enqueue(origin, values)
        return proposer

    def _grid(self, points: int, known: set[frozenset[tuple[str, object]]]) -> Iterator[tuple[str, Hyperparameters]]:
        """The champion's settings, where they are to be probed, and then the grid, without what is `known`."""
        probed = self._start.points[:1] if self.settings.when == "auto" else ()
        for origin, values in (*probed, *(("search", point) for point in walk(self.candidates.space, points, 0))):
            if _alike(values) not in known:
                yield origin, values
                known.add(_alike(values))

    def _steps(self, split: Split) -> tuple[Step, ...]:
        """The newest fold first: it is the most like what comes next, so it says most about who is behind."""
        folds = [len(split.folds) - 1 - place for place in range(len(split.folds))]
        return (*((folds[0], share) for share in self.method.rungs), *((fold, 1.0) for fold in folds))

    def _deadline(self) -> float:
        """The instant at which every trial is ended, so that the fits that follow end within the limit."""
        if self.settings.minutes is None:
            return math.inf
        budget = 60 * self.settings.minutes
        return self._began + budget - self._final.reserve(self._loop.timed, self._threads, self.settings.average, budget)


def _may_pass(error: Exception) -> bool:
    """Whether a store may take the next try, as a server that restarts does."""
    return isinstance(error, ServiceUnavailable)


def _processing(trial: Trial) -> Hyperparameters:
    """What a trial chose of features and weights: names with a dot."""
    return {name: value for name, value in trial.choices.items() if "." in name}


def _alike(values: Hyperparameters) -> frozenset[tuple[str, object]]:
    """The same for the same settings, whatever a study and its store did to a number's last digits."""
    return frozenset((name, f"{value:.9g}" if isinstance(value, float) else value) for name, value in values.items())
