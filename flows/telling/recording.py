"""What a search leaves in MLflow: a child run a trial, the curve of the best so far, the iteration table, the settings to paste."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

from tasks.errors import ServiceUnavailable
from tasks.models.recipes import USE, Recipe
from tasks.records import Search, Trial
from tasks.reports.iterations import best_so_far, marks, span, to_csv, trial_rows
from tasks.tracking import Run

TABLE = "trials"
CURVE = "search/best_so_far"
CURVE_POINTS = 20
"""Points of a fold's learning curve: 60 would take half as long again to write. The report's plot has them all."""
LONG_SECONDS, AGAIN_SECONDS = 2.0, 3.0
"""Writing that takes longer than the first is slow; a store that is slow or away is asked again after the second, at the earliest."""
STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
log = logging.getLogger("evertune")


class SearchRecord:
    """The children of one search and, at its end, what is told of all of them. Threads may share one.

    While the search runs nothing of it waits for MLflow: what cannot be written is kept, and written with a later trial, or
    at the end, where MLflow is waited for.
    """

    def __init__(self, run: Run, metric: str, began: float | None = None) -> None:
        """`began`: when the search began, in seconds since 1970; reckoned from the end of the first trial when left out."""
        self.run, self.metric, self._began = run, metric, began
        self._children: dict[int, str] = {}
        self._written: set[int] = set()
        self._kept: dict[int, Trial] = {}
        self._next_try = 0.0
        self._curve: list[tuple[str, float, int]] = []
        self._lock = threading.Lock()

    def add(self, trial: Trial) -> None:
        """One child run: 15 to 30 ms. One that is there is not written again; one that could not be finished is gone on with.

        Returns soon: of a server that is away, or slow, no more than a tenth of the time is spent on asking it.
        """
        with self._lock:
            if trial.number in self._written:
                return
            self._kept[trial.number] = trial
            asked = time.monotonic()
            if asked < self._next_try:
                return
            try:
                while self._kept and time.monotonic() - asked < LONG_SECONDS:
                    self._write(next(iter(self._kept.values())), self.run.at_once)
                away = ""
            except ServiceUnavailable as error:
                away = str(error)
            took = time.monotonic() - asked
            if away or took >= LONG_SECONDS:
                self._next_try = asked + took + max(AGAIN_SECONDS, 10 * took)
                if self._kept:
                    log.warning(
                        "%d trials are kept and written later: %s", len(self._kept), away or f"MLflow took {took:.0f} s for the last"
                    )

    def _write(self, trial: Trial, run: Run) -> None:
        started, ended = span(trial)
        if self._began is None:
            self._began = time.time() - ended
        if trial.number not in self._children:
            self._children[trial.number] = run.child(f"trial {trial.number:03d}", _tags(trial), self._began + started).id
        child = Run(run.tracker, self._children[trial.number])
        points = [*_metrics(trial, self.metric), *_curves(trial)]
        child.batch(points, {**trial.hyperparameters, **trial.choices}, at=self._began + ended)
        child.end(STATUS[trial.state], self._began + ended)
        self._written.add(trial.number)
        self._kept.pop(trial.number, None)

    def close(self, search: Search) -> None:
        """Mark the best trial and the chosen one, and write the table to the parent; the curve waits for `write_curve`.

        Trials that have no child yet get one: those of an earlier process, those that MLflow was away for, and one that was
        chosen although time cut it short. Raises ServiceUnavailable.
        """
        missing = {trial.number: trial for trial in (*search.trials, *filter(None, (search.chosen,))) if trial.number not in self._written}
        for place, trial in enumerate(missing.values()):
            if place and place % 50 == 0:
                log.info("writing trials to MLflow: %d of %d", place, len(missing))
            self._write(self._kept.get(trial.number, trial), self.run)
        for trial in {trial.number: trial for trial in (search.best, search.chosen) if trial is not None}.values():
            words = marks(search, trial)
            tags = {f"evertune.{word}": "yes" for word in words.split(", ")}
            Run(self.run.tracker, self._children[trial.number]).tags({**tags, "mlflow.runName": f"trial {trial.number:03d} ({words})"})
        self._curve = [(CURVE, value, number) for number, value in best_so_far(search)]
        if rows := trial_rows(search):
            self.run.table(rows, f"{TABLE}.json")
            self.run.text(to_csv(rows), f"{TABLE}.csv")

    def write_curve(self) -> None:
        """The best so far by trial, on the parent. To be called after the scores: MLflow lists metrics in the order they came."""
        if self._curve:
            self.run.batch(self._curve)
            self._curve = []


def to_paste(recipe: Recipe, chosen: Collection[str]) -> dict[str, Any]:
    """The chosen settings as sections of a config: the model with all its hyperparameters, of the rest only what was `chosen`.

    `chosen` are names of the search space, such as features.rare or use.weather.
    """
    model = recipe.model.model_dump(mode="json", exclude_defaults=True, exclude={"family", "space", "hyperparameters"})
    sections: dict[str, Any] = {
        "model": {"family": recipe.model.family, **model, "hyperparameters": dict(recipe.model.hyperparameters)},
        "features": _chosen(recipe.features.model_dump(mode="json"), "features", chosen),
        "weights": _chosen(recipe.weights.model_dump(mode="json"), "weights", chosen),
    }
    if any(name.startswith(USE) for name in chosen):
        sections["features"]["without"] = list(recipe.features.without)
    return {name: section for name, section in sections.items() if section}


def _chosen(section: dict[str, Any], name: str, chosen: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if f"{name}.{key}" in chosen}


def _tags(trial: Trial) -> dict[str, Any]:
    """What the list of runs can be filtered by; a failed trial's error is its description too."""
    told = {"kind": "trial", "trial": trial.number, "state": trial.state, "family": trial.family, "origin": trial.origin}
    tags = {f"evertune.{name}": value for name, value in told.items() if value != ""}
    return tags | ({"evertune.error": trial.error, "mlflow.note.content": trial.error} if trial.error else {})


def _metrics(trial: Trial, metric: str) -> Iterator[tuple[str, float, int]]:
    """The main metric first, where the trial has it: MLflow lists metrics in the order they came."""
    rounds = [score.rounds for score in trial.scores if score.rounds is not None]
    values = {
        metric: trial.value,
        **{f"fold_{number}": value for number, value in enumerate(trial.fold_values, start=1)},
        "rounds": statistics.median(rounds) if rounds else None,
        "size": trial.size,
        "seconds": trial.seconds,
        "fit_seconds": sum(score.fit_seconds for score in trial.scores),
        "peak_mb": max((score.peak_mb for score in trial.scores), default=0.0) or None,
    }
    return ((name, value, 0) for name, value in values.items() if value is not None)


def _curves(trial: Trial) -> Iterator[tuple[str, float, int]]:
    """Each fold's learning curve by round; of a fold that was scored several times the last one."""
    for fold, curve in sorted({score.fold: score.curve for score in trial.scores if score.curve}.items()):
        last = len(curve) - 1
        for place in sorted({round(k * last / (CURVE_POINTS - 1)) for k in range(CURVE_POINTS)}):
            yield f"curve/fold_{fold + 1}", curve[place][1], curve[place][0]
