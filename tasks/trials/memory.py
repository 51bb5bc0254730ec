"""Memory: what a search starts from. Good settings of earlier retrains in today's space, then defaults, then a portfolio.

Nothing here is trusted: every start is scored on today's folds like any other trial, and no old score is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from tasks.models.recipes import FAMILY, NONE, USE, Candidates
from tasks.records import Champion, Hyperparameters, Remembered
from tasks.settings import MemorySettings, Scalar
from tasks.spaces import Parameter, describe, fit_value, is_active, ordered, say_value

DEFAULTS, PORTFOLIO = "defaults", "portfolio"
BLEND = "blend"
Point = tuple[str, Hyperparameters]
"""Where a start came from, and its values under the names of the study."""


@dataclass(frozen=True)
class Start:
    """What a search starts from: settings to try first, each with its origin, and what became of those of earlier retrains."""

    points: tuple[Point, ...] = ()
    notes: tuple[str, ...] = ()


def start_from(candidates: Candidates, champion: Champion | None, remembered: Sequence[Remembered], settings: MemorySettings) -> Start:
    """The champion's settings first, under the origin `champion_origin` names, then as `starting_points` has it."""
    known = remembered if champion is None else [remember_champion(champion, candidates), *remembered]
    return Start(tuple(starting_points(candidates, known, settings)), migration_notes(candidates, known, settings))


def champion_origin(champion: Champion) -> str:
    """`champion v3`: the trial of that origin is the incumbent, what would be reused without a search."""
    return f"champion v{champion.version}"


def starting_points(candidates: Candidates, remembered: Sequence[Remembered], settings: MemorySettings) -> list[Point]:
    """The settings to try first, in this order, each once: remembered ones as given, each family's defaults, the portfolio.

    Of the remembered ones the first `settings.settings` that differ in today's space. Parameters without a value and
    without a default are left to the sampler.
    """
    points: dict[tuple[object, ...], Point] = {}
    for known in remembered:
        if len(points) == settings.settings:
            break
        values, _ = migrate(known, candidates, settings.renamed)
        if values is not None:
            points.setdefault(_key(values), (known.origin, values))
    for model in candidates.models:
        values = _fit(candidates, model.identity, {})[0]
        points.setdefault(_key(values), (DEFAULTS, values))
    for family, choices in _portfolio(candidates) if settings.portfolio else ():
        values = _fit(candidates, family, choices)[0]
        points.setdefault(_key(values), (PORTFOLIO, values))
    return list(points.values())


def migration_notes(candidates: Candidates, remembered: Sequence[Remembered], settings: MemorySettings) -> tuple[str, ...]:
    """What became of each remembered setting, in a sentence each: what was done to it, or that it was kept as it was."""
    told = []
    for known in remembered if settings.settings else ():
        _, notes = migrate(known, candidates, settings.renamed)
        told.append(f"{known.origin}: {known.family}, " + ("; ".join(notes) or "kept as it was"))
    return tuple(dict.fromkeys(told))


def migrate(remembered: Remembered, candidates: Candidates, renamed: dict[str, str]) -> tuple[Hyperparameters | None, list[str]]:
    """Settings of an earlier retrain in today's space, under the study's names, and what had to be done to them.

    Values are clipped, rounded, renamed or left out; a choice that is no longer offered, and a parameter that is new,
    take their default, or are left to the sampler. Scales need nothing: a value is the same on each. None when its
    family is no longer offered.
    """
    if remembered.family not in [model.identity for model in candidates.models]:
        return None, ["left out, since the family is no longer offered"]
    choices, notes = _rename(remembered, renamed)
    values, fitted = _fit(candidates, remembered.family, choices)
    return values, notes + fitted


def champion_models(champion: Champion, candidates: Candidates) -> list[tuple[str, Hyperparameters]]:
    """The champion's family and hyperparameters; of a blend, where none is a candidate, those of each member, the chosen one first."""
    if champion.family != BLEND or BLEND in [model.identity for model in candidates.models]:
        return [(champion.family, champion.hyperparameters)]
    members = champion.settings["model"]["members"]
    return [(str(member.get("estimator") or member["family"]), dict(member["hyperparameters"])) for member in members]


def remember_champion(champion: Champion, candidates: Candidates) -> Remembered:
    """The champion's settings as a search's, of a blend those of its first member: what the search before chose.

    Its rounds are left to the folds, as every trial's are: they were fitted to other rows.
    """
    family, hyperparameters = champion_models(champion, candidates)[0]
    model = next((model for model in candidates.models if model.identity == family), None)
    settled = set() if model is None else {*model.hyperparameters, model.rounds_name} - set(model.searched(candidates.task))
    chosen = {name: value for name, value in hyperparameters.items() if name not in settled}
    through = champion.trained_through or datetime.min.replace(tzinfo=UTC)
    return Remembered(family, {**chosen, **stored_processing(champion, candidates)}, champion_origin(champion), through)


def stored_processing(champion: Champion, candidates: Candidates) -> Hyperparameters:
    """What the champion's stored settings say of the processing choices that are searched today, under their names in the space.

    Every other setting of features and weights is the config's of today.
    """
    stored = {part: champion.settings.get(part) or {} for part in ("features", "weights")}
    chosen: Hyperparameters = {}
    for name in candidates.extra:
        part, _, key = name.partition(".")
        if name.startswith(USE) and key in stored["features"].get("optional", {}):
            chosen[name] = key not in stored["features"].get("without", ())
        elif key in stored.get(part, {}):
            chosen[name] = _as_choice(stored[part][key])
    return chosen


def _as_choice(stored: Any) -> Scalar:
    """A stored setting as a space has it: several words are one text, and nothing has a name."""
    if isinstance(stored, list | tuple):
        return " ".join(map(str, stored))
    return NONE if stored is None else stored


def describe_space(candidates: Candidates) -> dict[str, str]:
    """The space in words, name by name, with the values that are fixed; the same words, the same space. Defaults are no part of it."""
    fixed = {
        _named(candidates, model.identity, name): f"fixed at {say_value(value)}"
        for model in candidates.models
        for name, value in model.hyperparameters.items()
    }
    return {**{name: describe(parameter.changed(default=None)) for name, parameter in candidates.space.items()}, **fixed}


def _fit(candidates: Candidates, family: str, choices: Hyperparameters) -> tuple[Hyperparameters, list[str]]:
    """Values for every parameter that is active, parents first, as a trial would be asked for them."""
    values: Hyperparameters = {}
    notes: list[str] = []
    left = {_named(candidates, family, name): value for name, value in choices.items()}
    for name, parameter in ordered(candidates.space).items():
        if name == FAMILY:
            values[name] = family
        elif is_active(parameter, values):
            value, note = _fit_one(parameter, left.pop(name, None))
            notes += [f"{_shown(name, family)} {note}"] if note else []
            values |= {} if value is None else {name: value}
    return values, notes + [f"{_shown(name, family)} left out, since it is {_why_not(candidates, name, family)}" for name in left]


def _fit_one(parameter: Parameter, given: Scalar | None) -> tuple[Scalar | None, str]:
    """The value to start from, None for the sampler's, and what is to be said of it."""
    start = "left to the search" if parameter.default is None else f"starts at its default {say_value(parameter.default)}"
    if given is None:
        return parameter.default, f"is new, {start}"
    value, done = fit_value(parameter, given)
    if value is None:
        return parameter.default, f"{say_value(given)} is no longer offered, {start}"
    return value, f"{say_value(given)} {done} to {say_value(value)}" if done else ""


def _rename(remembered: Remembered, renamed: dict[str, str]) -> tuple[Hyperparameters, list[str]]:
    """Today's names; a value that already has the new name stays."""
    family = remembered.family
    names = {_shown(old, family): _shown(new, family) for old, new in renamed.items()}
    plain = {_shown(name, family): value for name, value in remembered.choices.items()}
    moved = {name: names[name] for name in plain if name in names and names[name] not in plain}
    return {moved.get(name, name): value for name, value in plain.items()}, [f"{old} renamed to {new}" for old, new in moved.items()]


def _why_not(candidates: Candidates, name: str, family: str) -> str:
    if name in candidates.space:
        return "searched under other conditions only"
    model = next(model for model in candidates.models if model.identity == family)
    plain = _shown(name, family)
    return f"fixed at {say_value(model.hyperparameters[plain])}" if plain in model.hyperparameters else "no longer searched"


def _portfolio(candidates: Candidates) -> Iterator[tuple[str, Hyperparameters]]:
    """The families in turns, so that a short search has seen something of each."""
    per_family: Iterable[tuple[Hyperparameters | None, ...]] = zip_longest(
        *(model.portfolio(candidates.task) for model in candidates.models)
    )
    for turn in per_family:
        for model, choices in zip(candidates.models, turn, strict=True):
            if choices is not None:
                searched = model.searched(candidates.task)
                yield model.identity, {name: value for name, value in choices.items() if name in searched}


def _named(candidates: Candidates, family: str, name: str) -> str:
    """A choice's name in the study."""
    return name if not candidates.alternatives or name in candidates.extra else f"{family}.{name}"


def _shown(name: str, family: str) -> str:
    """A name without the family's prefix."""
    return name.removeprefix(f"{family}.")


def _key(values: Hyperparameters) -> tuple[object, ...]:
    return tuple(sorted(values.items()))
