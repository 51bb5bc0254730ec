"""Cells: one system on one month with one seed and one budget, and the JSON Lines file that keeps what came out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class Cell:
    """`budget` is in seconds, search and final fit together; 0 for a system that takes no budget."""

    month: str
    seed: int
    budget: float
    system: str


@dataclass(frozen=True)
class Attempt:
    """One trial of a search: `loss` on the system's own validation rows, seconds after the clock started.

    `work` is rounds x training rows of its fits that were completed.
    """

    state: str
    loss: float | None
    ended: float
    work: float


@dataclass(frozen=True)
class Run:
    """A finished cell. Seconds are wall time from prepared data to a model that answers; imports and reading are outside."""

    cell: Cell
    seconds: float
    allowed: float
    """The seconds it was given: the cell's budget, or a share of it; 0 without a budget."""
    log_loss: float
    roc_auc: float
    peak_mb: float
    """The process and its children together, imports and data included."""
    boosting_seconds: float
    """Inside the library's training, final fit included, summed over workers."""
    worker_seconds: float
    """Wall time times workers: what could have been inside training."""
    search_share: float | None = None
    """Share of the search's own worker time inside training, where the system measures it."""
    attempts: tuple[Attempt, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """What was chosen, in LightGBM's names."""
    validation: float | None = None
    """The system's own validation loss of what it chose."""
    memory: tuple[dict[str, Any], ...] = ()
    """Good settings for the retrains to come."""
    yardstick: float | None = None
    """The best peer's settings scored on Evertune's folds; only in the cell of that name."""
    note: str = ""

    @property
    def overrun(self) -> float:
        return self.seconds - self.allowed

    def attempted(self, state: str) -> tuple[Attempt, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.state == state)

    def work(self, state: str) -> float:
        return sum(attempt.work for attempt in self.attempted(state))

    def seconds_to(self, loss: float) -> float | None:
        """Until a finished trial was at least as good; None if none was."""
        return min((a.ended for a in self.attempted("finished") if a.loss is not None and a.loss <= loss), default=None)

    @property
    def seconds_to_best(self) -> float | None:
        losses = [attempt.loss for attempt in self.attempted("finished") if attempt.loss is not None]
        return self.seconds_to(min(losses)) if losses else None


def append(results: Path, run: Run, where: dict[str, str]) -> None:
    """One line more, with the machine, the date and the versions it was measured with."""
    append_line(results, {**to_line(run), "where": where})


def to_line(run: Run) -> dict[str, Any]:
    """Plain JSON; an attempt, of which there are thousands, is a short list."""
    attempts = [[one.state, one.loss and round(one.loss, 6), round(one.ended, 2), round(one.work)] for one in run.attempts]
    return {**asdict(run), "attempts": attempts}


def append_line(results: Path, line: dict[str, Any]) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a+b") as file:
        file.truncate(_whole(results))
        file.write(json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n")


def read_lines(results: Path) -> list[dict[str, Any]]:
    """The results as they were written; what follows the last line break was never finished."""
    whole = results.read_bytes()[: _whole(results)] if results.exists() else b""
    return [json.loads(line) for line in whole.splitlines()]


def read_runs(results: Path) -> dict[Cell, Run]:
    """Every finished cell. A last line that was torn by a kill is left out, and its cell is run again."""
    return {run.cell: run for run in map(read_run, read_lines(results))}


def read_places(results: Path) -> list[dict[str, str]]:
    """Where and with what the cells were measured, each place once, in the order of the file."""
    return list({json.dumps(line["where"]): line["where"] for line in read_lines(results)}.values())


def read_run(line: dict[str, Any]) -> Run:
    """What `to_line` made of a run."""
    given = {name: value for name, value in line.items() if name != "where"}
    attempts = tuple(Attempt(*attempt) for attempt in given.pop("attempts"))
    return Run(cell=Cell(**given.pop("cell")), attempts=attempts, memory=tuple(given.pop("memory")), **given)


def _whole(results: Path) -> int:
    """Bytes up to the last line break."""
    return results.read_bytes().rfind(b"\n") + 1
