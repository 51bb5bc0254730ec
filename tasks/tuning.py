"""Stage: the tuning branch. A search over the model's space; what comes out is the same settings with better values."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.metrics import labels
from tasks.models.model import Fitting, Matrix, Model, OutOfTime, matrix
from tasks.plans import Features
from tasks.records import Fold, Hyperparameters, Search, Split, Table, Trial
from tasks.searches import find_search
from tasks.settings import TuningSettings
from tasks.spaces import Categorical, Space, defaults
from tasks.stage import stage
from tasks.targets import encode

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger("evertune")
HOPELESS = 10  # a search whose first trials all fail is at fault itself
STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True)
class PreparedFold:
    """A fold ready to be fitted again and again: what all its trials share is built once."""

    train: Any
    valid: Matrix


@stage("tune")
def tune_model(
    table: Table,
    split: Split,
    features: Features,
    model: Model,
    settings: TuningSettings,
    fitting: Fitting,
    study: tuple[str, str],
    record: Callable[[Trial], None],
) -> tuple[Model, Search]:
    """Search the model's space on the folds; returns the settings with the best values, and the whole search.

    `study` is the store's URL and the study's name: a search of that name is gone on with, its trials counted.
    `record` is called after each trial. Every trial is scored on all folds unless pruned between two of them; each
    fold stops early on its own scored rows, and the median of the best rounds becomes part of the hyperparameters.
    Raises TrainingFailed when no trial finished.
    """
    started = time.monotonic()
    folds = [_prepare(table, fold, features, model, fitting) for fold in split.folds]
    space = model.searched(fitting.target.task)
    opened = _open_study(study)
    past = opened.get_trials(deepcopy=False)
    trials = [_past_trial(trial) for trial in past if trial.state.name in ("COMPLETE", "PRUNED")]  # what failed may work now
    opened.sampler = find_search(settings.search)(fitting.seed + len(past))  # the same seed would propose the same trials again
    if not trials:
        opened.enqueue_trial(defaults(space))  # the family's own defaults come first, and are never pruned
    deadline = math.inf if settings.minutes is None else started + 60 * settings.minutes
    while not (stopped_by := _limit_reached(trials, settings, deadline, space)):
        if any(trial.state == "finished" for trial in trials):
            fitting = replace(fitting, deadline=deadline)  # not before: whatever the limits, there is a model
        trial = _run_trial(opened, space, folds, model, fitting, settings.prune != "none")
        trials.append(trial)
        record(trial)
    best = min(
        (trial for trial in trials if trial.state == "finished"), key=lambda trial: fitting.metric.loss(trial.value or 0.0), default=None
    )
    search = Search(fitting.metric.name, tuple(trials), best, stopped_by, time.monotonic() - started)
    if best is None:
        raise TrainingFailed(f"tuning: none of {len(trials)} trials finished; the last one: {trials[-1].error or 'pruned'}")
    return model.with_hyperparameters(best.hyperparameters), search


def _prepare(table: Table, fold: Fold, features: Features, model: Model, fitting: Fitting) -> PreparedFold:
    column = fitting.target.column
    frame, held_out = table.frame.iloc[fold.train], table.frame.iloc[fold.valid]
    fitted: Features = clone(features).fit(frame)
    scored = matrix(fitted, held_out, encode(fitting.target, held_out[column]))
    return PreparedFold(model.prepare(matrix(fitted, frame, encode(fitting.target, frame[column])), scored, fitting), scored)


def _open_study(study: tuple[str, str]) -> Study:
    """The study of that name in its store; made if missing. Raises ServiceUnavailable when the store does not answer."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url, name = study
    try:
        return optuna.create_study(
            storage=optuna.storages.RDBStorage(url),
            study_name=name,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
            load_if_exists=True,
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise ServiceUnavailable(f"the study store cannot be used: {str(error).splitlines()[0]}") from error


def _run_trial(study: Study, space: Space, folds: list[PreparedFold], model: Model, fitting: Fitting, prune: bool) -> Trial:
    """Ask, fit fold by fold, tell. A trial that raises, or scores no finite number, is one failed trial."""
    from optuna.trial import TrialState

    started = time.monotonic()
    asked = study.ask()
    values: list[float] = []
    rounds: list[int] = []
    state, error, chosen = TrialState.COMPLETE, "", _suggest(asked, space)
    candidate = model.with_hyperparameters(chosen)
    try:
        for step, fold in enumerate(folds):
            value, best_rounds = _score(candidate, fold, fitting)
            values.append(value)
            rounds += [best_rounds] if best_rounds is not None else []
            asked.report(fitting.metric.loss(statistics.fmean(values)), step)
            if prune and step + 1 < len(folds) and asked.should_prune():
                state = TrialState.PRUNED
                break
    except OutOfTime:
        state, error = TrialState.PRUNED, "cut short by the limit of time"
    except Exception as raised:  # whatever a library raises is this trial's failure, not the search's
        state, error = TrialState.FAIL, f"{type(raised).__name__}: {raised}"
        log.warning("trial %d failed: %s", asked.number, error)
    if model.rounds_name and rounds:
        chosen[model.rounds_name] = int(statistics.median(rounds))
    trial = Trial(asked.number, STATES[state.name], chosen, _mean(values, state.name), tuple(values), time.monotonic() - started, error)  # type: ignore[arg-type]
    for key, kept in (("hyperparameters", chosen), ("fold_values", values), ("error", error)):
        asked.set_user_attr(key, kept)
    study.tell(asked, None if trial.value is None else fitting.metric.loss(trial.value), state=state if trial.value is None else None)
    return trial


def _mean(values: list[float], state: str) -> float | None:
    return statistics.fmean(values) if state == "COMPLETE" else None


def _score(model: Model, fold: PreparedFold, fitting: Fitting) -> tuple[float, int | None]:
    """The metric on the fold's scored rows and the rounds it took. Raises ArithmeticError for a score that is no number."""
    native = model.fit(fold.train, fitting)
    prediction = native.predict(fold.valid.values)
    value = fitting.metric.measure(fold.valid.truth, labels(prediction) if fitting.metric.decides else prediction)
    if not math.isfinite(value):
        raise ArithmeticError(f"{fitting.metric.name} is {value}, not a finite number")
    return value, native.rounds


def _suggest(trial: Any, space: Space) -> Hyperparameters:
    chosen: Hyperparameters = {}
    for name, parameter in space.items():
        if isinstance(parameter, Categorical):
            chosen[name] = trial.suggest_categorical(name, parameter.choices)
        elif parameter.type == "int":
            chosen[name] = trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        else:
            chosen[name] = trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return chosen


def _limit_reached(trials: list[Trial], settings: TuningSettings, deadline: float, space: Space) -> str:
    """Which limit ends the search now; empty while none does."""
    if not trials:
        return ""  # whatever the limits, one trial is run: training needs its settings
    if not space:
        return "an empty search space"
    if len(trials) >= HOPELESS and all(trial.state == "failed" for trial in trials):
        return f"each of the first {HOPELESS} trials failing"
    if settings.trials is not None and len(trials) >= settings.trials:
        return f"{settings.trials} trials"
    if time.monotonic() >= deadline:
        return f"{settings.minutes:g} minute" + ("" if settings.minutes == 1 else "s")
    return ""


def _past_trial(trial: Any) -> Trial:
    """A trial that an earlier process of the same retrain had finished."""
    seconds = (trial.datetime_complete - trial.datetime_start).total_seconds() if trial.datetime_complete and trial.datetime_start else 0.0
    values = tuple(trial.user_attrs.get("fold_values", ()))
    return Trial(
        trial.number,
        STATES[trial.state.name],  # type: ignore[arg-type]
        trial.user_attrs.get("hyperparameters", {}),
        statistics.fmean(values) if trial.state.name == "COMPLETE" else None,
        values,
        seconds,
        trial.user_attrs.get("error", ""),
    )
