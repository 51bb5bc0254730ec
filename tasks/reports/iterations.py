"""The iteration table: every trial of a search as one flat row, and the best score so far."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from tasks.records import Search, Trial
from tasks.reports.dimensions import loss, ranked, settings_of, shown
from tasks.wording import say_count, say_duration, say_number

Line = dict[str, Any]


def trial_rows(search: Search) -> list[Line]:
    """A row for each trial in the order of their numbers, all with the same keys; what a trial does not have is None.

    `marked` says `chosen`, `best` or both. A parameter keeps its own name unless a column of the table is called the same.
    """
    trials = sorted(search.trials, key=lambda trial: trial.number)
    folds = max((len(trial.fold_values) for trial in trials), default=0)
    rows = [_row(search, trial, folds) for trial in trials]
    columns = set(rows[0]) if rows else set()
    names = dict.fromkeys(name for trial in trials for name in _all_settings(trial))
    for row, trial in zip(rows, trials, strict=True):
        settings = _all_settings(trial)
        row |= {f"param.{name}" if name in columns else name: settings.get(name) for name in names}
    return rows


def trial_lines(search: Search) -> list[Line]:
    """The same for a person, a few columns wide: finished trials first, the best on top, a trial's settings in one cell."""
    first = ranked(search)
    numbers = {trial.number for trial in first}
    rest = sorted((trial for trial in search.trials if trial.number not in numbers), key=lambda trial: (trial.state, trial.number))
    families, failed = len({trial.family for trial in search.trials}) > 1, search.count("failed")
    return [_line(search, trial, families, failed > 0) for trial in (*first, *rest)]


def say_search(search: Search) -> str:
    """`60 trials (40 finished, 16 pruned, 4 failed) in 20 s; chosen: trial 54 with log_loss 0.4502`."""
    counts = ", ".join(f"{count} {state}" for state, count in search.counts.items() if count)
    tried = f"{say_count(len(search.trials), 'trial')} ({counts or 'none'}) in {say_duration(search.seconds)}"
    trained = shown(search)
    if trained is None or trained.value is None:
        return tried
    return f"{tried}; chosen: trial {trained.number} with {search.metric} {say_number(trained.value, zeros=True)}"


def to_csv(rows: list[Line]) -> str:
    """The rows as CSV with a heading; an empty cell for what a trial does not have."""
    written = io.StringIO()
    if rows:
        table = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return written.getvalue()


def marks(search: Search, trial: Trial) -> str:
    """`chosen`, `best`, both, or nothing."""
    named = {"chosen": search.chosen, "best": search.best}
    return ", ".join(name for name, other in named.items() if other is not None and other.number == trial.number)


def best_so_far(search: Search) -> list[tuple[int, float]]:
    """The best value up to and including each trial, by number, in the metric's own direction; from the first finished trial on."""
    points: list[tuple[int, float]] = []
    best: Trial | None = None
    for trial in sorted(search.trials, key=lambda trial: trial.number):
        if trial.state == "finished" and loss(search, trial) < (math.inf if best is None else loss(search, best)):
            best = trial
        if best is not None and best.value is not None:
            points.append((trial.number, best.value))
    return points


def span(trial: Trial) -> tuple[float, float]:
    """When a trial's first fit began and its last one ended, in seconds after the search began; its own word where the fits do not say."""
    timed = [score for score in trial.scores if score.started]
    if not timed:
        return trial.started, trial.started + trial.seconds
    return min(score.started for score in timed), max(score.started + score.seconds for score in timed)


def _row(search: Search, trial: Trial, folds: int) -> Line:
    values = {f"fold_{number + 1}": _finite(trial.fold_values[number : number + 1]) for number in range(folds)}
    rounds = [score.rounds for score in trial.scores if score.rounds is not None]
    return {
        "trial": trial.number,
        search.metric: _finite(() if trial.value is None else (trial.value,)),
        "marked": marks(search, trial),
        "state": trial.state,
        "family": trial.family,
        "origin": trial.origin,
        **values,
        "rounds": sorted(rounds)[len(rounds) // 2] if rounds else None,
        "size": trial.size,
        "started": round(trial.started, 3),
        "seconds": round(trial.seconds, 3),
        "fit_seconds": round(sum(score.fit_seconds for score in trial.scores), 3),
        "peak_mb": round(max((score.peak_mb for score in trial.scores), default=0.0), 1),
        "error": trial.error,
    }


def _line(search: Search, trial: Trial, families: bool, failed: bool) -> Line:
    folds = [say_number(value, zeros=True) for value in trial.fold_values]
    return {
        "trial": trial.number,
        search.metric: _rounded(trial.value),
        "marked": marks(search, trial),
        "state": trial.state,
        **({"family": trial.family} if families else {}),
        "from": trial.origin,
        "seconds": round(trial.seconds, 2),
        "folds": ", ".join(folds),
        **({"error": trial.error} if failed else {}),
        "settings": ", ".join(f"{name} {say_number(value)}" for name, value in _all_settings(trial).items()),
    }


def _rounded(value: float | None) -> float | None:
    """Six significant digits are more than two trials can be told apart by."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _all_settings(trial: Trial) -> Line:
    """The family's hyperparameters, with what the folds settled, and everything else that was chosen."""
    return {**trial.hyperparameters, **settings_of(trial)}


def _finite(values: tuple[float, ...]) -> float | None:
    return values[0] if values and math.isfinite(values[0]) else None
