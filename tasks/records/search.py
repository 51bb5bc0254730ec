"""Records of models and of the search for their settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from tasks.records.data import Floats
from tasks.settings import Scalar

Hyperparameters = dict[str, Scalar]


@dataclass(frozen=True)
class Champion:
    """The registered model that a retrain starts from."""

    name: str
    version: str
    uri: str
    run_id: str
    trained_through: datetime | None
    config_digest: str
    data_digest: str
    sides: str
    """What decided which rows a table without time was trained on; see splitting.sides."""
    family: str
    hyperparameters: Hyperparameters
    settings: dict[str, Any]
    """The whole recipe it was trained with, as `tasks.models.recipes.Recipe.to_json` wrote it."""
    live: bool = True
    """Whether the alias points at it; a replay of an earlier date starts from an older version."""
    anchor: str = ""
    """The last version up to this one that was clearly better than the one before it: what a slow slide is measured from."""
    digest: str = ""
    """Of the model's files, as they were when it was registered; empty for a version that was registered without."""


@dataclass(frozen=True)
class Decision:
    """Whether the tuning branch runs, and why. `probe`: the reason is not known before a few trials were looked at."""

    tune: bool
    reason: str
    probe: bool = False
    figures: dict[str, float] = field(default_factory=dict)
    """What the decision rests on, and the seconds it saved, by name."""


@dataclass(frozen=True)
class FoldScore:
    """One fit scored on one fold. Scores are in the metric's own direction.

    `blocks` are the metric on each block of the scored rows (a day, or a slice without time; NaN where it is not
    defined); `size` is what the model costs to answer (leaves, coefficients), the same on every machine; `fit_seconds`
    is inside the library's training, `seconds` everything; `curve` is the metric by round, thinned.
    """

    fold: int
    share: float
    """Share of the fold's training rows, the newest ones, that were used; 1 but for the rungs of hyperband and halving."""
    value: float
    blocks: tuple[float, ...]
    rows: int
    """Training rows."""
    rounds: int | None = None
    size: float | None = None
    fit_seconds: float = 0.0
    seconds: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    peak_mb: float = 0.0
    worker: str = ""
    started: float = 0.0
    """Seconds after the search began; the timeline's. Set by the search, since no worker knows."""
    prediction: Floats | None = field(default=None, compare=False, repr=False)
    """The raw predictions of the scored rows as float32, where a blend may want them; never written down."""


State = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One trial of a search. `value` is the mean over folds of the metric in its own direction; None unless finished.

    `hyperparameters` are the family's own, with what the folds settled (rounds); `choices` is everything the search
    chose, processing and weights included, under the names of the search space.
    """

    number: int
    state: State
    hyperparameters: Hyperparameters
    value: float | None
    fold_values: tuple[float, ...]
    seconds: float
    error: str = ""
    family: str = ""
    choices: Hyperparameters = field(default_factory=dict)
    origin: str = "search"
    """Where it came from: `retrain of 2013-09-01`, `defaults`, `portfolio`, `search`."""
    scores: tuple[FoldScore, ...] = ()
    started: float = 0.0
    """Seconds after the search began."""

    @property
    def size(self) -> float | None:
        """Mean size of its models; None where the family cannot tell."""
        sizes = [score.size for score in self.scores if score.size is not None]
        return sum(sizes) / len(sizes) if sizes else None


@dataclass(frozen=True)
class Search:
    """A search that has ended. `best` has the best mean; `chosen` is the one that is trained, and `choice` says why."""

    metric: str
    trials: tuple[Trial, ...]
    best: Trial | None
    stopped_by: str
    seconds: float
    chosen: Trial | None = None
    choice: str = ""
    finalists: tuple[Trial, ...] = ()
    method: str = ""
    """The search method in words, and why, where `auto` chose it."""
    memory: tuple[str, ...] = ()
    """What became of the settings of earlier retrains: kept, clipped, dropped, defaulted."""
    fit_seconds: float = 0.0
    """Seconds inside the libraries' training, over all workers; fits that the end of the search cut short are counted whole."""
    worker_seconds: float = 0.0
    """Wall time times workers: what could have been inside training."""
    resumed: int = 0
    """Trials that an earlier process of the same retrain had finished."""
    limits: tuple[str, ...] = ()
    """Every limit that was set, in words, such as `50 trials` and `10 minutes`."""
    space: dict[str, Any] = field(default_factory=dict)
    """The search space as JSON: a parameter's name in the study -> its settings."""

    def count(self, state: str) -> int:
        return sum(trial.state == state for trial in self.trials)

    @property
    def counts(self) -> dict[str, int]:
        return {state: self.count(state) for state in ("finished", "pruned", "failed")}


@dataclass(frozen=True)
class Remembered:
    """Good settings of an earlier retrain: what was chosen there, under the names of the search space of then."""

    family: str
    choices: Hyperparameters
    origin: str
    """Such as `retrain of 2013-09-01`."""
    as_of: datetime
