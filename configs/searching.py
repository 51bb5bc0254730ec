"""What must hold of everything that is searched: spaces, conditions, constraints, limits. Each fault begins with its key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

import pydantic

from configs.faults import describe_faults
from tasks.models.model import Model
from tasks.models.recipes import NONE, USE, Candidates, Recipe
from tasks.searches import search_faults
from tasks.settings import FeatureSettings, Scalar, Settings, Task, WeightSettings
from tasks.spaces import Categorical, Parameter, Space, check_conditions, check_constraints
from tasks.wording import did_you_mean

if TYPE_CHECKING:
    from configs.schema import RetrainConfig

ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:\d+$")
PROCESSING: dict[str, tuple[type[Settings], tuple[str, ...]]] = {
    "features": (FeatureSettings, ("rare", "keep", "expand_time", "date_parts")),
    "weights": (WeightSettings, ("half_life", "balance")),
}
"""Sections of which a search may choose keys: those with a single value that needs no other column."""


def faults_of_searching(config: RetrainConfig) -> Iterator[str]:
    """Everything that is wrong with what is searched and how."""
    families = list(_faults_of_families(config))
    yield from families
    yield from _faults_of_processing(config)
    yield from _faults_of_limits(config)
    conditions = [] if families else list(_faults_of_conditions(config))
    yield from conditions
    if not families and not conditions:  # else there is no space as a whole
        yield from _faults_of_spaces(config)


def _families(config: RetrainConfig) -> dict[str, Model]:
    """Key -> model."""
    return {"model": config.model, **{f"alternatives.{place}": model for place, model in enumerate(config.alternatives)}}


def _task(config: RetrainConfig) -> Task:
    """The task, or one that the model can do: a default space hardly depends on it, and its names do not."""
    if config.task is not None:
        return config.task
    tasks: tuple[Task, ...] = get_args(Task)
    return next((task for task in tasks if not config.model.unfit_for(task)), tasks[0])


def _faults_of_families(config: RetrainConfig) -> Iterator[str]:
    keys: dict[str, str] = {}
    for key, model in _families(config).items():
        if model.identity in keys:
            yield f"{key}: {model.identity} is searched already, as {keys[model.identity]}; widen the space there, and leave this one out"
        keys.setdefault(model.identity, key)
        if config.task is not None and (why := model.unfit_for(config.task)):
            yield f"{key}: {why}"
        if _weighs(config) and (why := model.unfit_for_weights()):
            yield f"{key}: {why}"


def _weighs(config: RetrainConfig) -> bool:
    """Whether rows may come to count differently."""
    return config.weights != WeightSettings() or any(name.startswith("weights.") for name in config.space)


def _faults_of_processing(config: RetrainConfig) -> Iterator[str]:
    """Of `space`: its keys, and every value tried against the settings that it is for."""
    for name, parameter in config.space.items():
        section, _, key = name.partition(".")
        if name.startswith(USE):
            yield from _faults_of_use(name.removeprefix(USE), parameter, config.features)
        elif section in PROCESSING and key in PROCESSING[section][1]:
            yield from _faults_of_values(section, key, parameter)
            if name == "weights.half_life" and config.time is None:
                yield f"space.{name}: age needs a time column; name it under time, or leave the half-life out"
        else:
            known = [f"{section}.{key}" for section, (_, keys) in PROCESSING.items() for key in keys]
            known += [f"{USE}{group}" for group in config.features.optional]
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}; a family's own parameters go under model.space"
            yield f"space.{name}: cannot be searched; {hint}"


def _faults_of_use(group: str, parameter: Parameter, features: FeatureSettings) -> Iterator[str]:
    if group not in features.optional:
        hint = did_you_mean(group, features.optional) or "name its columns there"
        yield f"space.{USE}{group}: there is no group {group!r} under features.optional; {hint}"
    if not isinstance(parameter, Categorical) or not all(isinstance(choice, bool) for choice in parameter.choices):
        yield f"space.{USE}{group} must be [true, false]: with the group's columns, or without"


def _faults_of_values(section: str, key: str, parameter: Parameter) -> Iterator[str]:
    for value in _tried(parameter):
        content = {key: None if value == NONE else value}
        try:
            PROCESSING[section][0].model_validate(content)
        except pydantic.ValidationError as error:
            lines = describe_faults(PROCESSING[section][0], content, error)
            yield from (f"space.{section}.{line}" for _, line in lines)
            return


def _tried(parameter: Parameter) -> tuple[Scalar, ...]:
    """All choices; of a range its ends, and what lies between them, which may not be whole."""
    if isinstance(parameter, Categorical):
        return parameter.choices
    between = parameter.low + (parameter.high - parameter.low) / 3
    return parameter.low, parameter.high, *((between,) if parameter.type == "float" else ())


def _faults_of_limits(config: RetrainConfig) -> Iterator[str]:
    tuning = config.tuning
    if tuning.executor == "dask" and tuning.dask is None:
        yield "tuning.dask: give the cluster's address, such as tcp://scheduler:8786; executor: dask needs one"
    if tuning.executor != "dask" and tuning.dask is not None:
        yield f"tuning.dask: an address is only for executor: dask (executor is {tuning.executor}); say so, or leave the address out"
    if tuning.dask is not None and not ADDRESS.match(tuning.dask):
        yield f"tuning.dask: an address is tcp://host:port or tls://host:port, got {tuning.dask!r}"
    if tuning.executor == "processes" and tuning.parallel is not None and tuning.parallel > config.usable_threads:
        yield f"tuning.parallel: at most a trial a core, {config.usable_threads} here, got {tuning.parallel}"
    if tuning.trials is not None and tuning.min_trials > tuning.trials:
        yield f"tuning.min_trials: must be at most tuning.trials, {tuning.trials}, got {tuning.min_trials}"
    if tuning.average > 1 and any(model.family == "blend" for model in (config.model, *config.alternatives)):
        yield f"tuning.average: a blend is an average already; leave average out, got {tuning.average}"
    if tuning.reproducible:
        for key in ("minutes", "no_progress_minutes"):
            if getattr(tuning, key) is not None:
                yield f"tuning.{key}: how far a search comes in minutes cannot be repeated; limit trials, or leave reproducible out"


def _faults_of_conditions(config: RetrainConfig) -> Iterator[str]:
    """Of every `when` that the config has written down itself."""
    task = _task(config)
    for key, model in _families(config).items():
        whole: Space = {**model.default_space(task), **model.space}
        names = [name for name in model.space if name not in model.hyperparameters]
        found = list(check_conditions(whole, model.hyperparameters, names))
        yield from (f"{key}.space.{name}.{fault}" for name, fault in found)
        if found:
            return  # the spaces below cannot be put together
    found = list(check_conditions(_candidates(config).space, {}, config.space))
    yield from (f"space.{name}.{fault}" for name, fault in found)


def _faults_of_spaces(config: RetrainConfig) -> Iterator[str]:
    candidates, tuning, task = _candidates(config), config.tuning, _task(config)
    yield from search_faults(tuning, candidates.space, config.split.folds)
    own = {model.identity: {*model.searched(task), *model.hyperparameters} for model in candidates.models}
    known = {name for names in own.values() for name in names}
    faults = []
    for model in candidates.models:
        space = {**model.searched(task), **config.space}
        faults += list(check_constraints(tuning.constraints, space, model.hyperparameters, known))
    yield from (f"tuning.constraints: {fault}" for fault in dict.fromkeys(faults))
    for old, new in tuning.memory.renamed.items():
        if new not in known | config.space.keys():
            hint = did_you_mean(new, known | config.space.keys())
            yield f"tuning.memory.renamed.{old}: there is no parameter {new!r}" + (f"; {hint}" if hint else "")


def _candidates(config: RetrainConfig) -> Candidates:
    return Candidates(Recipe(config.model, config.features, config.weights), _task(config), config.alternatives, config.space)
