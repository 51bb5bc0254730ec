"""Evertune: the tuning stage and the final fit as the flow runs them, without the flow's Prefect and MLflow around them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from configs.schema import RetrainConfig
from tasks.executors import open_executor
from tasks.executors.executor import Executor, JobLimits
from tasks.models.recipes import Candidates, Recipe, read_recipe
from tasks.plans import plan_features
from tasks.records import Fold, Remembered, Search, Split, Trial
from tasks.searches import find_search
from tasks.settings import TuningSettings
from tasks.training import train_model
from tasks.trials.memory import start_from
from tasks.trials.reserves import FinalFit
from tasks.trials.tuner import Tuner
from tasks.tuning import tune_model
from tests.benchmarks.tuning.boosting import Meter
from tests.benchmarks.tuning.cells import Attempt
from tests.benchmarks.tuning.months import Month
from tests.benchmarks.tuning.systems.system import Tuned


@dataclass(frozen=True)
class Workers:
    """The executor and the folder that the search writes to."""

    executor: Executor
    folder: Path


@contextmanager
def open_workers(config: RetrainConfig) -> Iterator[Workers]:
    """Workers as the flow starts them: before the data is read, so that they import meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        models = [model.model_dump(mode="json") for model in (config.model, *config.alternatives)]
        executor = open_executor("processes", None, config.usable_threads, JobLimits(), Path(folder) / "scratch", models=models)
        with executor:
            executor.start()
            yield Workers(executor, Path(folder))


def evertune(month: Month, seed: int, budget: float, meter: Meter, workers: Workers, memory: Sequence[dict[str, Any]] = ()) -> Tuned:
    """One retrain within `budget` seconds, final fit included; `memory` is what earlier cells left, the newest first."""
    recipe, search = search_month(month, seed, budget, workers, memory)
    workers.executor.close()  # before the final fit, which has all cores for itself
    features = plan_features(month.table.columns, recipe.features, recipe.model.encoding)
    every = month.every_row
    fitted = train_model.plain(month.table, every, features, recipe.model, month.fitting(seed), recipe.weights)
    capacity = workers.executor.capacity
    chosen = search.chosen
    return Tuned(
        predict=fitted.predict,
        attempts=tuple(map(_attempt, search.trials)),
        settings=dict(recipe.model.hyperparameters),
        validation=None if chosen is None else chosen.value,
        boosting_seconds=search.fit_seconds + capacity * meter.seconds,
        workers=capacity,
        search_share=search.fit_seconds / search.worker_seconds,
        memory=_remembered(month, search, recipe) or tuple(memory),
        note=search.stopped_by,
    )


def search_month(
    month: Month, seed: int, budget: float, workers: Workers, memory: Sequence[dict[str, Any]] = (), final_fits: int = 1
) -> tuple[Recipe, Search]:
    """The tuning stage on a month's folds, its studies in SQLite as always."""
    config = month.config
    settings: TuningSettings = config.tuning.changed(when="always", trials=None, minutes=budget / 60)
    base = Recipe(config.model, config.features, config.weights)
    candidates = Candidates(base, month.table.columns.target.task, config.alternatives, config.space)
    known = [Remembered(given["family"], given["choices"], given["origin"], pd.Timestamp(given["as_of"])) for given in memory]
    tuner = Tuner(
        month.table,
        month.split,
        candidates,
        settings,
        find_search(settings, candidates.space, len(month.split.folds)),
        month.fitting(seed),
        workers.executor,
        (f"sqlite:///{workers.folder / 'studies.db'}", "benchmark"),
        start_from(candidates, None, known, settings.memory),
        FinalFit(len(month.table.frame), final_fits, config.usable_threads),
        lambda _: None,
    )
    # what the flow trains where nothing could be scored: the champion's settings whole
    return tune_model.plain(tuner, lambda: read_recipe(memory[0]["recipe"]) if memory else base)


def yardstick(month: Month, seed: int, settings: dict[str, Any]) -> float:
    """A peer's settings on Evertune's folds, by the peer's own means: the mean log-loss, each fold stopped early at its best round."""
    from lightgbm import LGBMClassifier, early_stopping

    split: Split = month.split
    frame, truth = month.plain(month.table.frame), month.truth
    given = {**settings, "n_estimators": 2000, "n_jobs": -1, "random_state": seed, "verbosity": -1}
    given.pop("verbose", None)

    def score(fold: Fold) -> float:
        model = LGBMClassifier(**given)
        held_out = (frame.iloc[fold.valid], truth[fold.valid])
        stop = early_stopping(50, verbose=False)
        model.fit(frame.iloc[fold.train], truth[fold.train], eval_set=[held_out], eval_metric="binary_logloss", callbacks=[stop])
        return float(model.best_score_["valid_0"]["binary_logloss"])

    return sum(map(score, split.folds)) / len(split.folds)


def _attempt(trial: Trial) -> Attempt:
    """Rounds that an early stop threw away were boosted too: they are the curve's last ones."""
    work = sum(score.rows * (score.curve[-1][0] if score.curve else score.rounds or 0) for score in trial.scores)
    ended = max((score.started + score.seconds for score in trial.scores), default=trial.started + trial.seconds)
    return Attempt(trial.state, trial.value, ended, float(work))


def _remembered(month: Month, search: Search, recipe: Recipe) -> tuple[dict[str, Any], ...]:
    """What was chosen first, then the finalists; beside each what was trained."""
    kept = {trial.number: trial for trial in (search.chosen, *search.finalists) if trial is not None}
    as_of = month.as_of.isoformat()
    origin = f"retrain of {month.as_of:%Y-%m-%d}"
    return tuple(
        {"family": trial.family, "choices": trial.choices, "origin": origin, "as_of": as_of, "recipe": recipe.to_json()}
        for trial in kept.values()
    )
