"""Searches for the report's tests: as many trials as wanted, drawn from a real space, scored by a formula whose best setting is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.records import FoldScore, Hyperparameters, Search, Trial
from tasks.reports.dimensions import ranked
from tasks.reports.importance import parameter_importance
from tasks.reports.iterations import span

FOLDS = 3
ORIGINS = ("retrain of 2013-09-01", "retrain of 2013-08-01", "defaults", "portfolio")
SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 0.02, "high": 0.3, "log": True},
    "num_leaves": {"type": "int", "low": 7, "high": 255, "log": True},
    "min_data_in_leaf": {"type": "int", "low": 5, "high": 500, "log": True},
    "feature_fraction": {"type": "float", "low": 0.4, "high": 1.0, "log": False},
    "bagging_fraction": {"type": "float", "low": 0.5, "high": 1.0, "log": False},
    "lambda_l2": {"type": "float", "low": 0.001, "high": 30.0, "log": True},
    "booster": {"type": "categorical", "choices": ["gbdt", "dart", "goss"]},
    "drop_rate": {"type": "float", "low": 0.05, "high": 0.5, "log": False, "when": {"booster": ["dart"]}},
    "features.rare": {"type": "int", "low": 5, "high": 200, "log": True},
    "use.weather": {"type": "categorical", "choices": [True, False]},
}
OTHER: dict[str, Any] = {
    "eta": {"type": "float", "low": 0.02, "high": 0.3, "log": True},
    "max_depth": {"type": "int", "low": 3, "high": 10, "log": False},
}


def make_search(count: int = 60, families: int = 1, workers: int = 2, greater: bool = False, bare: bool = False) -> Search:
    """`count` trials, the same ones every time. `bare` leaves out everything that the engine may not have noted: space, fits, times.

    The learning rate matters most and is best at 0.08, then the leaves, best at 60; xgboost is .004 behind.
    A quarter is pruned, every fifteenth trial fails, the eleventh is hopeless.
    """
    random = np.random.default_rng(3)
    clock = [0.0] * workers
    trials = []
    for number in range(count):
        family = "xgboost" if families > 1 and number % 3 == 2 else "lightgbm"
        choices = _draw(OTHER if family == "xgboost" else SPACE, random)
        lane = int(np.argmin(clock))
        trial = _trial(number, family, choices, clock[lane], f"worker {lane + 1}", random, greater)
        clock[lane] += trial.seconds + 0.02
        trials.append(replace(trial, scores=(), choices={}, started=0.0, family="") if bare else trial)
    finished = [trial for trial in trials if trial.value is not None]
    order = sorted(finished, key=lambda trial: -(trial.value or 0) if greater else trial.value or 0)
    space = SPACE if families == 1 else {"family": {"type": "categorical", "choices": ["lightgbm", "xgboost"]}, **_prefixed()}
    return Search(
        metric="roc_auc" if greater else "log_loss",
        trials=tuple(trials),
        best=order[0] if order else None,
        stopped_by=f"{count} trials",
        seconds=max(clock) + 1.0,
        chosen=order[min(1, len(order) - 1)] if order else None,
        choice="" if len(order) < 2 else f"trial {order[1].number} has 12 % fewer leaves than the best one and cannot be told from it",
        finalists=tuple(order[:3]),
        method="" if bare else "tpe, because the space is mixed and the budget small",
        memory=() if bare else ("2 of 3 settings of earlier retrains kept", "num_leaves 400 of 2013-08-01 clipped to 255"),
        fit_seconds=sum(score.fit_seconds for trial in trials for score in trial.scores),
        worker_seconds=0.0 if bare else workers * (max(clock) + 1.0),
        limits=() if bare else (f"{count} trials", "10 minutes", "20 failed trials"),
        space={} if bare else space,
    )


def _prefixed() -> dict[str, Any]:
    mine = {name: settings for name, settings in SPACE.items() if "." not in name}
    extra = {name: settings for name, settings in SPACE.items() if "." in name}
    return {f"lightgbm.{k}": v for k, v in mine.items()} | {f"xgboost.{k}": v for k, v in OTHER.items()} | extra


def _draw(space: dict[str, Any], random: np.random.Generator) -> Hyperparameters:
    chosen: Hyperparameters = {}
    for name, settings in space.items():
        if any(chosen.get(other) not in values for other, values in settings.get("when", {}).items()):
            continue
        if settings["type"] == "categorical":
            chosen[name] = settings["choices"][int(random.integers(len(settings["choices"])))]
            continue
        low, high = settings["low"], settings["high"]
        value = low * (high / low) ** random.random() if settings["log"] else low + (high - low) * random.random()
        chosen[name] = round(value) if settings["type"] == "int" else float(value)
    return chosen


def _trial(
    number: int, family: str, choices: Hyperparameters, started: float, worker: str, random: np.random.Generator, greater: bool
) -> Trial:
    rate, leaves = (
        float(choices.get("learning_rate", choices.get("eta", 0.1))),
        float(choices.get("num_leaves", 2 ** choices.get("max_depth", 6))),
    )
    loss = 0.45 + 0.01 * math.log(rate / 0.08) ** 2 + 0.003 * math.log(leaves / 60) ** 2 + 0.004 * (family == "xgboost")
    loss += 0.5 * (number == 11) + 0.001 * float(random.normal())
    state = "failed" if number % 15 == 14 else "pruned" if number > 4 and loss > 0.46 and number != 11 else "finished"
    length = 0.2 + 0.01 * leaves / 10
    folds = 0 if state == "failed" else 1 if state == "pruned" else FOLDS
    values = [(1 - loss if greater else loss) + shift for shift in (0.01, -0.012, 0.002)[:folds]]
    scores = tuple(
        FoldScore(
            fold=fold,
            share=1.0,
            value=value,
            blocks=(value,),
            rows=10_000 * (fold + 1),
            rounds=40 + number % 30 + 10 * fold,
            size=leaves * 40,
            fit_seconds=0.93 * length,
            seconds=length,
            curve=_curve(value, 40 + number % 30 + 10 * fold, greater),
            peak_mb=310.0 + fold,
            worker=worker,
            started=started + fold * length + 0.001,
        )
        for fold, value in enumerate(values)
    )
    return Trial(
        number=number,
        state=state,  # type: ignore[arg-type]
        hyperparameters={**{name: value for name, value in choices.items() if "." not in name}, "num_iterations": 50 + number % 30},
        value=sum(values) / FOLDS if state == "finished" else None,
        fold_values=tuple(values),
        seconds=length * max(folds, 1),
        error=("took more than 2 GB", "died of SIGSEGV")[number % 2] if state == "failed" else "",
        family=family,
        choices=choices,
        origin=ORIGINS[number] if number < len(ORIGINS) else "search",
        scores=scores,
        started=started,
    )


def _curve(value: float, rounds: int, greater: bool) -> tuple[tuple[int, float], ...]:
    """Falls (rises) to the value at `rounds` and turns a little after it."""
    sign = -1 if greater else 1
    return tuple(
        (k, value + sign * (0.2 * math.exp(-6 * k / rounds) + 0.00002 * max(0, k - rounds) ** 1.5)) for k in range(1, rounds + 30, 2)
    )


def make_memory(as_of: str, count: int = 40, best: int = 0, **changes: Any) -> dict[str, Any]:
    """A memory.json of an earlier retrain; `changes` replace values of what was chosen there."""
    search = make_search(count)
    trained = ranked(search)[best]
    finalist = {"number": trained.number, "family": trained.family, "choices": {**trained.choices, **changes}, "value": trained.value}
    return {
        "version": 1,
        "as_of": as_of,
        "metric": search.metric,
        "ranges": search.space,
        "trials": search.counts,
        "seconds": search.seconds,
        "seconds_to_best": span(trained)[1],
        "finalists": [{**finalist, "origin": "retrain of 2013-06-01" if best else "search"}],
        "importance": parameter_importance(search),
    }
