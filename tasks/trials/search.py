"""The search: proposals go to workers, scores come back, until a limit is reached. One thread, no fit of its own."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tasks.executors.executor import Executor, Failure, Job, Outcome
from tasks.metrics import Metric
from tasks.models.recipes import Candidates
from tasks.records import FoldScore, Hyperparameters, State, Trial
from tasks.settings import TuningSettings
from tasks.trials.limits import reached
from tasks.trials.stores import Told
from tasks.trials.studies import Proposal, Proposer

KEPT = 20
"""So many of the best trials keep their predictions."""
WINDOW = 8
"""In reproducible mode trial n is asked for once trials up to n - WINDOW are told; the most trials that can run side by side then."""
LOOK_SECONDS = 0.5
GONE_SECONDS = 0.5
"""An ended fit is waited for so long, to know what it took."""
CUT = "cut short by the end of the search"
NOTHING_TO_CHOOSE = "having nothing to choose: one trial says everything"
log = logging.getLogger("evertune")

Step = tuple[int, float]
"""A fold's position, and the share of its training rows."""


@dataclass(frozen=True)
class Standing:
    """Where a search stands, for whoever shows its progress. Times in seconds."""

    trials: tuple[Trial, ...]
    running: int
    best: Trial | None
    elapsed: float
    left: float | None
    """Until the limit of time; None without one."""
    most: int | None
    """The limit of trials; None without one."""


@dataclass
class _Running:
    proposal: Proposal
    steps: Iterator[Step]
    started: float
    seconds: float = 0.0
    over: Trial | None = None


class TrialLoop:
    """Runs trials until told to stop; may be called again to go on with the same search.

    `steps` are the fits of one trial in order, `deadline(trials)` the monotonic instant at which everything is ended,
    `written` is handed each trial that is over.
    """

    def __init__(
        self,
        proposer: Proposer,
        executor: Executor,
        candidates: Candidates,
        steps: tuple[Step, ...],
        metric: Metric,
        settings: TuningSettings,
        written: Callable[[Told], None],
        shown: Callable[[Standing], None],
        started: float,
    ) -> None:
        self._proposer, self._executor, self._candidates = proposer, executor, candidates
        self._steps, self._metric, self._settings = steps, metric, settings
        self._written, self._shown, self._started = written, shown, started
        self._running: dict[int, _Running] = {}
        self._waiting: dict[int, _Running] = {}  # over, but not told yet: reproducible mode tells in the order of numbers
        self._next_told = 0
        self._spent = ""  # why there is nothing more to propose
        self.trials: list[Trial] = []
        self.partial: list[Trial] = []
        """Trials that the end of the search cut short, with the folds they were scored on."""
        self.cut_seconds = 0.0
        """Worker time of fits that were cut short."""

    def resume(self, trials: list[Trial]) -> None:
        """Count trials of an earlier process. What it was running is lost, and so are these numbers."""
        over = max((trial.started + trial.seconds for trial in trials), default=0.0)  # by a clock that began with the earlier process
        self.trials += [replace(trial, started=trial.started - over) for trial in trials]
        self._next_told = max((trial.number + 1 for trial in trials), default=0)
        self._spent = NOTHING_TO_CHOOSE if trials and not self._candidates.space else ""

    def run(self, deadline: Callable[[], float], most: int | None = None, prune: bool = True) -> str:
        """Run until a limit is reached; which one, in words. `most` trials at most, on top of the settings' own limits.

        What runs at a limit of trials is waited for; at every other one it is ended.
        """
        self._prune = prune
        while True:
            now = time.monotonic()
            if why := self._over(deadline(), now, most):
                self._end_running()
                return why
            self._submit(most)
            if not self._running:
                return self._over(deadline(), now, most) or self._spent
            for outcome in self._executor.wait(max(0.0, min(LOOK_SECONDS, deadline() - now))):
                self._take(outcome)
            self._show(deadline())

    @property
    def best(self) -> Trial | None:
        finished = (trial for trial in self.trials if trial.state == "finished")
        return min(finished, key=lambda trial: self._metric.loss(trial.value or 0.0), default=None)

    def _over(self, deadline: float, now: float, most: int | None) -> str:
        if now >= deadline:
            minutes = self._settings.minutes
            return f"{minutes:g} minute" + ("" if minutes == 1 else "s") if minutes else "the limit of time"
        if most is not None and len(self.trials) >= most:
            return f"{most} trials"
        return reached(self._settings, self.trials, self._metric, now - self._started)

    def _submit(self, most: int | None) -> None:
        """Keep every worker busy; one job more than there are workers waits, so that none waits for a proposal.

        In reproducible mode a trial is told when the window is full, one at a time, and another one asked for: what was
        known when a trial was proposed then hangs on its number alone.
        """
        while True:
            if self._may_propose(most):
                self._propose()
            elif not (self._settings.reproducible and self._tell_next(most)):
                return

    def _may_propose(self, most: int | None) -> bool:
        under_way = len(self._running) + len(self._waiting)
        limits = [limit for limit in (most, self._settings.trials) if limit is not None]
        room = WINDOW if self._settings.reproducible else self._executor.capacity + 1
        return not self._spent and under_way < room and len(self.trials) + under_way < min(limits, default=math.inf)

    def _propose(self) -> None:
        if (proposal := self._proposer.propose()) is None:
            self._spent = self._proposer.spent
            return
        running = _Running(proposal, iter(self._steps), time.monotonic())
        self._running[proposal.number] = running
        self._next_job(running)
        self._spent = "" if self._candidates.space else NOTHING_TO_CHOOSE

    def _tell_next(self, most: int | None) -> bool:
        """Tell the trial whose turn it is, if it is over and no limit was reached; whether there was one."""
        if self._next_told not in self._waiting or self._over(math.inf, time.monotonic(), most):
            return False
        self._tell(self._waiting.pop(self._next_told))
        self._next_told += 1
        return True

    def _next_job(self, running: _Running) -> bool:
        """Submit the trial's next fit; False when it has had them all."""
        if (step := next(running.steps, None)) is None:
            return False
        proposal = running.proposal
        recipe = self._candidates.recipe(proposal.family, proposal.choices).to_json()
        self._executor.submit(Job(proposal.number, step[0], recipe, step[1]))
        return True

    def _take(self, outcome: Outcome) -> None:
        running = self._running.get(outcome.job.trial)
        if running is None:
            return  # of a trial that was ended in the meantime
        running.seconds += outcome.seconds
        if outcome.score is None:
            failure = outcome.failure or Failure("raised", "no reason was given")
            self._finish(running, "pruned" if failure.kind == "ended" else "failed", failure.text)
            return
        score = replace(outcome.score, started=time.monotonic() - self._started - outcome.seconds)
        if self._proposer.hopeless(running.proposal, score) and self._prune and len(running.proposal.scores) < len(self._steps):
            self._finish(running, "pruned", "")
        elif not self._next_job(running):
            self._finish(running, "finished", "")

    def _finish(self, running: _Running, state: State, error: str) -> None:
        number = running.proposal.number
        if state == "failed":
            log.warning("trial %d failed: %s", number, error)
        del self._running[number]
        running.over = self._trial(running, state, error)
        if self._settings.reproducible:
            self._waiting[number] = running
        else:
            self._tell(running)

    def _tell(self, running: _Running) -> None:
        trial = running.over
        assert trial is not None
        loss = None if trial.value is None else self._metric.loss(trial.value)
        frozen = self._proposer.tell(running.proposal, trial.state, loss)
        if trial.error == CUT:
            self.partial.append(trial)  # it says nothing about its settings, and is not counted
            return
        self.trials.append(trial)
        self._forget_predictions()
        self._written(Told(trial, frozen))

    def _trial(self, running: _Running, state: State, error: str) -> Trial:
        proposal = running.proposal
        whole = [score for score in proposal.scores if score.share == 1]
        model = self._candidates.recipe(proposal.family, proposal.choices).model
        settled: Hyperparameters = {**model.hyperparameters}
        rounds = [score.rounds for score in whole if score.rounds is not None]
        if model.rounds_name and rounds:
            settled[model.rounds_name] = round(statistics.median(rounds))
        values = tuple(score.value for score in whole)
        return Trial(
            number=proposal.number,
            state=state,
            hyperparameters=settled,
            value=statistics.fmean(values) if state == "finished" else None,
            fold_values=values,
            seconds=running.seconds,
            error=error,
            family=proposal.family,
            choices=proposal.choices,
            origin=proposal.origin,
            scores=tuple(whole),
            started=running.started - self._started,
        )

    def _forget_predictions(self) -> None:
        """Of all but the best trials, which alone may come into a blend: those of a large table would fill the memory."""
        kept = sorted(
            (place for place, trial in enumerate(self.trials) if trial.value is not None and _predicts(trial)),
            key=lambda place: self._metric.loss(self.trials[place].value or 0.0),
        )
        for place in kept[KEPT:]:
            self.trials[place] = bare(self.trials[place])

    @property
    def timed(self) -> tuple[FoldScore, ...]:
        """Scores to tell the speed of fits by: the best trial's, else those of whichever trial has any."""
        if self.best is not None:
            return self.best.scores
        running = [tuple(running.proposal.scores) for running in self._running.values()]
        return next(filter(None, (*(trial.scores for trial in self.trials), *running)), ())

    def _end_running(self) -> None:
        """End what still runs, and what is over before its turn: these trials are cut short, which is no judgement on them."""
        for number, running in sorted((self._running | self._waiting).items()):
            if number in self._running:
                self._executor.end(number)
            running.over = self._trial(running, "pruned", CUT)
            self._tell(running)
        ended = set(self._running)
        self._running.clear()
        self._waiting.clear()
        while ended and (outcomes := self._executor.wait(GONE_SECONDS)):
            for outcome in outcomes:
                ended.discard(outcome.job.trial)
                self.cut_seconds += outcome.seconds

    def _show(self, deadline: float) -> None:
        now = time.monotonic()
        left = None if math.isinf(deadline) else max(0.0, deadline - now)
        self._shown(Standing(tuple(self.trials), len(self._running), self.best, now - self._started, left, self._settings.trials))


def bare(trial: Trial) -> Trial:
    """The trial without the predictions that only a blend needs."""
    return replace(trial, scores=tuple(replace(score, prediction=None) for score in trial.scores))


def _predicts(trial: Trial) -> bool:
    return any(score.prediction is not None for score in trial.scores)
