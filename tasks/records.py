"""What travels between the stages: frozen records, no behaviour beyond reading themselves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.settings import ColumnKind, Scalar, Severity, Task

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Hyperparameters = dict[str, Scalar]


@dataclass(frozen=True)
class SourceRecord:
    """What was read: `location` holds no secret, `bytes` is the frame's size in memory, `digest` is of its content."""

    kind: str
    location: str
    rows: int
    columns: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class LoadedTable:
    """A frame as it came from its source, every row of it."""

    frame: pd.DataFrame
    source: SourceRecord


@dataclass(frozen=True)
class Target:
    """The column to predict. `classes` are its sorted values (two for binary, the last one positive; else none)."""

    column: str
    task: Task
    classes: tuple[Scalar, ...] = ()


@dataclass(frozen=True)
class Columns:
    """The role of every column that is used: `features` maps a name to its kind, in the order models see them."""

    target: Target
    features: dict[str, ColumnKind]
    time: str | None = None
    key: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that are not used -> why."""
    query: str | None = None
    """A ranking's: the column that says which rows are ranked together."""


@dataclass(frozen=True)
class Finding:
    """One row of the validation table. `expected` and `observed` are short texts; `examples` are a few failing values."""

    check: str
    column: str
    severity: Severity
    passed: bool
    expected: str
    observed: str
    failed_rows: int = 0
    examples: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Suspect:
    """A feature that may be known only after the event: `score` runs from chance (0) to perfect (1)."""

    column: str
    reason: str
    score: float


@dataclass(frozen=True)
class Table:
    """The rows a retrain may see: labelled, before the as-of cut, in time order, with their roles.

    `digest` covers exactly these rows, whatever their order; `unlabelled` and `after_cut` count what was left out.
    """

    frame: pd.DataFrame
    columns: Columns
    digest: str
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...] = ()
    unlabelled: int = 0
    after_cut: int = 0
    expectations: dict[str, Any] = field(default_factory=dict)
    """Great Expectations' raw result, JSON-ready."""

    @property
    def newest(self) -> datetime | None:
        """The last row's time (UTC); None without a time column."""
        if self.columns.time is None:
            return None
        newest: datetime = self.frame[self.columns.time].max().to_pydatetime()
        return newest


@dataclass(frozen=True)
class Fold:
    """Row positions into the table's frame: models are fitted on `train` and scored on `valid`."""

    train: Rows
    valid: Rows


@dataclass(frozen=True)
class Split:
    """Row positions into the table's frame. No row of `test` is in `train`, nor within the gap of it."""

    folds: tuple[Fold, ...]
    train: Rows
    test: Rows
    note: str
    """How it was cut, in one sentence for the report."""
    unseen: bool = True
    """Whether the champion was trained on no row of `test`; else its settings, refitted, stand in for it."""


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


Scores = dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Challenger and champion on the same rows; `champion` is empty when there is none or it could not be scored."""

    metric: str
    challenger: Scores
    champion: Scores
    rows: int
    compared_with: Literal["nobody", "champion", "stand-in"]
    note: str
    truth: Floats
    prediction: Floats
    champion_prediction: Floats | None = None


@dataclass(frozen=True)
class Check:
    """One condition of the gate."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What the gate says: promoted or kept, why, and each condition."""

    passed: bool
    reason: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Result:
    """The outcome of a retrain; prints as the summary a person reads, `to_json` is what `--json` writes."""

    verdict: Literal["promoted", "kept", "unchanged", "data_rejected", "failed"]
    reason: str
    model: str
    as_of: str
    version: str | None = None
    tuned: bool = False
    tune_reason: str = ""
    trials: dict[str, int] = field(default_factory=lambda: {"finished": 0, "pruned": 0, "failed": 0})
    hyperparameters: Hyperparameters = field(default_factory=dict)
    metric: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=lambda: {"train": 0, "test": 0})
    mlflow_run_id: str | None = None
    prefect_flow_run_id: str | None = None
    report: str | None = None
    look: dict[str, str] = field(default_factory=dict)
    """Where to look: page name -> address or command."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, default=str, allow_nan=False)

    def __str__(self) -> str:
        lines = [f"{self.model} {self.as_of}: {self.verdict}", f"  why      {self.reason}"]
        if self.metric:
            lines.append(f"  metric   {format_metric(self.metric)}")
        if self.tune_reason:
            counts = ", ".join(f"{count} {state}" for state, count in self.trials.items() if count)
            lines.append(f"  tuning   {self.tune_reason}" + (f" ({counts})" if counts else ""))
        if self.rows:
            lines.append("  rows     " + ", ".join(f"{name} {count:,}" for name, count in self.rows.items()))
        if self.version:
            lines.append(f"  version  {self.model} v{self.version}")
        if self.seconds:
            lines.append("  seconds  " + ", ".join(f"{name} {spent:.1f}" for name, spent in self.seconds.items()))
        if self.report:
            lines.append(f"  report   {self.report}")
        lines += [f"  {name:<8} {where}" for name, where in self.look.items()]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class Story:
    """Everything a report tells of one retrain. What did not happen is None: a rejected data set has a report too."""

    result: Result
    description: str
    started: datetime
    config: str
    """The resolved config as YAML, secrets masked."""
    source: SourceRecord | None = None
    table: Table | None = None
    split: Split | None = None
    decision: Decision | None = None
    search: Search | None = None
    evaluation: Evaluation | None = None
    verdict: Verdict | None = None
    champion: Champion | None = None
    family: str = ""
    importance: dict[str, float] = field(default_factory=dict)
    """Feature -> its share of the model's total gain, largest first; empty where a family has none."""
    findings: tuple[Finding, ...] = ()
    """The validation table, also when it rejected the data set and there is no `table`."""
    trigger: str = ""
    """What set the run off, such as `by hand` or `schedule nightly`; empty when nobody knows."""
    undo: str = ""
    """The command that puts the champion back that was live before; empty where there is none."""
    earlier: tuple[dict[str, Any], ...] = ()
    """The memory of earlier retrains as their runs wrote it down, the oldest first; see tasks.reports.history."""


@dataclass(frozen=True)
class Report:
    """One page twice: self-contained HTML, and Markdown for Prefect."""

    html: str
    markdown: str
    plots: dict[str, str] = field(default_factory=dict)
    """The plots on the page, each as SVG of its own: name -> text."""


def format_metric(metric: dict[str, Any]) -> str:
    """`log_loss 0.4474 now, 0.4511 before`."""
    now, before = metric.get("challenger"), metric.get("champion")
    text = f"{metric['name']} " + ("not measured" if now is None else f"{now:.4f} now")
    return text + (f", {before:.4f} before" if before is not None else ", nothing before it")
