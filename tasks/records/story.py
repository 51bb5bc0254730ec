"""Records of the whole retrain: its result, the story that a report tells, the report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from tasks.records.data import Finding, SourceRecord, Split, Table
from tasks.records.drift import DriftReport, Rewriting
from tasks.records.judging import Attribution, Evaluation, Verdict, Wear
from tasks.records.search import Champion, Decision, Hyperparameters, Search


@dataclass(frozen=True)
class Result:
    """The outcome of a retrain; prints as the summary a person reads, `to_json` is what `--json` writes."""

    verdict: Literal["promoted", "kept", "ask", "unchanged", "dry_run", "data_rejected", "failed"]
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
class PastScore:
    """One earlier retrain of this model, as its MLflow run tells it; scores of different months are not on the same rows."""

    as_of: str
    verdict: str
    version: str | None
    metric: str
    challenger: float | None
    champion: float | None
    run_id: str = ""


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
    drift: DriftReport | None = None
    rewriting: Rewriting | None = None
    attribution: Attribution | None = None
    wear: Wear | None = None
    past: tuple[PastScore, ...] = ()
    """The scores of earlier retrains and their verdicts, the oldest first."""


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
