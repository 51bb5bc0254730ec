"""What a search would be, told before it runs: its space, its method, its limits, what it would cost."""

from __future__ import annotations

import os

from configs.schema import RetrainConfig
from tasks.homes import DEFAULT, VARIABLE, Home
from tasks.models.recipes import Candidates, Recipe
from tasks.searches import Method, describe_grid, find_search, say_limits
from tasks.settings import Task
from tasks.spaces import Space, combinations, describe, is_fixed
from tasks.wording import say_count, say_duration


def describe_search(config: RetrainConfig, task: Task, metric: str) -> dict[str, str]:
    """Lines for people, name -> text. Raises ConfigError for a method that this space or this installation does not have."""
    if config.tuning.when == "never":
        return {"tuning": "never: the champion's hyperparameters, or the config's when there is none"}
    space = Candidates(Recipe(config.model, config.features, config.weights), task, config.alternatives, config.space).space
    method = find_search(config.tuning, space, config.split.folds)
    searched = sum(not is_fixed(parameter) for parameter in space.values())
    families = {"families": ", ".join(model.identity for model in (config.model, *config.alternatives))} if config.alternatives else {}
    return {
        "tuning": f"{config.tuning.when}: {method.name} over {say_count(searched, 'parameter')} ({method.words})",
        **families,
        **{f"  {name}": describe(parameter) for name, parameter in space.items()},
        **{f"  constraint {place}": text for place, text in enumerate(config.tuning.constraints, 1)},
        "until": _until(config, method, metric),
        "cost": _cost(config, space, method),
    }


def past_fit_seconds(home: Home, model: str) -> float | None:
    """Mean seconds of a fit in the last search of this model in this home; None where there was none, or a server keeps them.

    Nothing is made: a home without studies stays one.
    """
    if os.environ.get("EVERTUNE_STUDIES_URL") or not (home.root / "studies.db").is_file():
        return None
    import optuna

    from tasks.trials.stores import Store

    names = [name for name in optuna.get_all_study_names(home.studies_url) if name.rpartition("-")[0] == model]
    if not names:
        return None
    fits = [score.seconds for told in Store(home.studies_url, names[-1]).past() for score in told.trial.scores]
    return sum(fits) / len(fits) if fits else None


def _until(config: RetrainConfig, method: Method, metric: str) -> str:
    grid = ("the end of the grid",) if method.points is not None else ()
    return " or ".join((*grid, *say_limits(config.tuning, metric)))


def _cost(config: RetrainConfig, space: Space, method: Method) -> str:
    """Fits, and hours where fits were timed here before; a guess of seconds would only mislead."""
    folds, trials = config.split.folds, config.tuning.trials
    if method.points is not None:
        text, fits = describe_grid(space, method.points, folds), combinations(space, method.points) * folds
    elif trials is None:
        return "as many fits as the limits allow"
    else:
        fits = trials * (folds + len(method.rungs))
        text = f"at most {say_count(fits, 'fit')} on {say_count(folds, 'fold')}"
    seconds = past_fit_seconds(Home.named(os.environ.get(VARIABLE) or DEFAULT), config.model_name)
    if seconds is None:
        return f"{text} (no fit was timed here yet)"
    parallel = config.tuning.parallel or config.usable_threads
    return f"{text}; about {say_duration(fits * seconds / parallel)} at {say_duration(seconds)} a fit, as in the last search"
