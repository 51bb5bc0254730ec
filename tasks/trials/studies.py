"""The study: proposals by an Optuna sampler, and which trials are not worth going on with, by an Optuna pruner.

Everything here happens in memory and in the search's own thread. What a pruner is told are differences to a baseline,
the first trial that finished: months are hard or easy for every trial alike, and only what is left tells trials apart.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from tasks.metrics import Metric
from tasks.models.recipes import Candidates
from tasks.records import FoldScore, Hyperparameters, State
from tasks.spaces import broken, internal, suggest
from tasks.trials.stores import STATES, Told

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

DRAWS = 200
"""A proposal that breaks a constraint is drawn again, at most this often."""
BLOCK_STEPS = 10_000
"""Steps a fold takes up when a pruner is told every block."""


@dataclass
class Proposal:
    """One trial that was asked for: its number, its settings, and where they came from."""

    number: int
    family: str
    choices: Hyperparameters
    origin: str
    asked: Any
    """Optuna's own trial."""
    known: int
    """How many trials had been told when it was asked for."""
    scores: list[FoldScore] = field(default_factory=list)
    reported: int = 0


class Proposer:
    """Asks, tells and prunes. With `window` the answers depend on the order of numbers alone, never on which trial ended first.

    `rungs` are the steps of a pruner that counts resources (hyperband), by fold and share of a score; `by_block` has
    the pruner see every block of a fold rather than the fold's mean. `points` are the settings of a grid: nothing else is proposed.
    """

    def __init__(
        self,
        candidates: Candidates,
        sampler: BaseSampler,
        pruner: BasePruner,
        metric: Metric,
        constraints: tuple[str, ...] = (),
        rungs: Mapping[tuple[int, float], int] | None = None,
        by_block: bool = False,
        window: bool = False,
        points: Iterator[tuple[str, Hyperparameters]] | None = None,
    ) -> None:
        import optuna

        self.candidates, self.metric, self.constraints = candidates, metric, constraints
        self._rungs, self._by_block, self._window = rungs or {}, by_block, window
        self._study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
        self._told: list[FrozenTrial] = []
        self._baseline: dict[tuple[int, float], FoldScore] = {}
        self._baseline_from = 0
        self._points = points
        self._known = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner) if window else self._study
        self._copied = 0
        self._number = 0

    def restore(self, told: Told) -> None:
        """Take in a trial of an earlier process: it is known, counted, not run again, and its number is not given to another."""
        import optuna

        trial, frozen = told.trial, told.frozen
        if trial.state == "finished":
            self._keep_baseline(trial.scores)
        steps = dict(step for place, score in enumerate(trial.scores) for step in self._steps(place, [*trial.scores], score))
        known = optuna.trial.create_trial(
            state=frozen.state,
            value=frozen.value,
            params=frozen.params,
            distributions=frozen.distributions,
            intermediate_values=steps if self._baseline else None,
        )
        self._study.add_trial(known)
        self._told.append(self._study.get_trials(deepcopy=False)[-1])
        self._number = max(self._number, trial.number + 1)

    def enqueue(self, origin: str, values: Hyperparameters) -> None:
        """Have these settings proposed before anything the sampler thinks of; what is left open is the sampler's."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, message=".*")  # Optuna's word on values that are out of range
            self._study.enqueue_trial(internal(self.candidates.space, values), user_attrs={"origin": origin})

    @property
    def spent(self) -> str:
        """Why `propose` came to nothing, in words."""
        return f"none of {DRAWS} draws satisfying the constraints" if self._points is None else "every combination of the grid"

    def propose(self) -> Proposal | None:
        """The next trial; None when a grid is used up, or no draw satisfies the constraints."""
        import optuna

        for _ in range(DRAWS) if self._points is None else count():
            if self._points is not None:
                if (point := next(self._points, None)) is None:
                    return None
                self.enqueue(*point)
            asked = self._study.ask()
            values = suggest(asked, self.candidates.space)
            if broken(self.constraints, {**self.candidates.base.model.hyperparameters, **self.candidates.choices(values)}) is None:
                number, self._number = self._number, self._number + 1
                family = self.candidates.family(values)
                origin = asked.user_attrs.get("origin", "search")
                return Proposal(number, family, self.candidates.choices(values), origin, asked, len(self._told))
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return None

    def hopeless(self, proposal: Proposal, score: FoldScore) -> bool:
        """Take in a fold's score; whether the trial is so far behind that the rest of its folds is not worth fitting.

        Never the first trial: it is the champion's settings, or the defaults, and what others are compared with.
        """
        proposal.scores.append(score)
        if not self._baseline or not proposal.number or (self._window and self._baseline_from >= proposal.known):
            return False
        self._report(proposal)
        study = self._seen_by(proposal)
        return bool(study.pruner.prune(study, self._study._storage.get_trial(proposal.asked._trial_id)))

    def tell(self, proposal: Proposal, state: State, loss: float | None) -> FrozenTrial:
        """The trial is over; what the sampler will learn from is what it is told here, in the order it is told."""
        import optuna

        if state == "finished":
            self._keep_baseline(proposal.scores)
        self._report(proposal)
        told = optuna.trial.TrialState[STATES[state]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self._study.tell(proposal.asked, loss, state=None if loss is not None else told)
        frozen = self._study._storage.get_trial(proposal.asked._trial_id)
        self._told.append(frozen)
        return frozen

    def _seen_by(self, proposal: Proposal) -> Study:
        """The study as this trial's pruning may know it: with a window only what was told before it was asked for.

        Pruners that look at finished trials alone can be asked so; those that have trials compete as they run cannot.
        """
        if self._window:
            for told in self._told[self._copied : proposal.known]:
                self._known.add_trial(told)
            self._copied = max(self._copied, proposal.known)
        return self._known

    def _report(self, proposal: Proposal) -> None:
        """Tell the pruner's steps of every score that has none yet, as differences to the baseline, once there is one."""
        if not self._baseline:
            return
        for place in range(proposal.reported, len(proposal.scores)):
            for step, value in self._steps(place, proposal.scores, proposal.scores[place]):
                proposal.asked.report(value, step)
        proposal.reported = len(proposal.scores)

    def _steps(self, place: int, scores: list[FoldScore], score: FoldScore) -> Iterable[tuple[int, float]]:
        base = self._baseline.get((score.fold, score.share))
        if base is None:
            return
        loss = self.metric.loss
        behind = [
            loss(each.value) - loss(self._baseline[each.fold, each.share].value)
            for each in scores[: place + 1]
            if each.share == score.share
        ]
        mean = sum(behind) / len(behind)
        if not self._by_block:
            yield self._rungs.get((score.fold, score.share), place + 1), mean
            return
        for block, (own, other) in enumerate(zip(score.blocks, base.blocks, strict=True)):
            if math.isfinite(own - other):
                yield place * BLOCK_STEPS + block, loss(own) - loss(other)
        yield (place + 1) * BLOCK_STEPS - 1, mean  # the last one is what samplers rank pruned trials by

    def _keep_baseline(self, scores: Iterable[FoldScore]) -> None:
        """The first trial's; of a search that is gone on with another one's where the first is not known by: rungs are not kept."""
        if not self._baseline:
            self._baseline_from = len(self._told)
        for score in scores:
            self._baseline.setdefault((score.fold, score.share), score)
