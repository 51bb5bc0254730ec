"""Recipes: everything a search chooses, a family's hyperparameters and how rows and columns become what it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tasks.models import parse_model
from tasks.models.model import Model
from tasks.records import Hyperparameters
from tasks.settings import FeatureSettings, Scalar, Task, WeightSettings
from tasks.spaces import Categorical, Space

FAMILY = "family"
USE = "use."
NONE = "none"
"""What a choice is called that leaves an optional setting out, such as no half-life."""


@dataclass(frozen=True)
class Recipe:
    """One setting of everything that is tuned. It is what tuning returns and training is handed."""

    model: Model
    features: FeatureSettings = field(default_factory=FeatureSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that `read_recipe` reads back, and that can be pasted into a config."""
        return {part: getattr(self, part).model_dump(mode="json") for part in ("model", "features", "weights")}

    def with_choices(self, choices: Hyperparameters) -> Recipe:
        """The same recipe with these values, under the names of a search space (without a family's prefix)."""
        model = {name: value for name, value in choices.items() if "." not in name}
        features = {**_part("features", choices), **({"without": without} if (without := self._without(choices)) is not None else {})}
        return Recipe(
            self.model.with_hyperparameters(model),
            self.features.changed(**features) if features else self.features,
            self.weights.changed(**weights) if (weights := _part("weights", choices)) else self.weights,
        )

    def _without(self, choices: Hyperparameters) -> tuple[str, ...] | None:
        used = {name.removeprefix(USE): bool(value) for name, value in choices.items() if name.startswith(USE)}
        if not used:
            return None
        kept = [group for group in self.features.without if group not in used]
        return (*kept, *(group for group, wanted in used.items() if not wanted))


def read_recipe(settings: dict[str, Any]) -> Recipe:
    """What `to_json` wrote. Raises TrainingFailed when the model's settings are valid no more."""
    features, weights = settings.get("features") or {}, settings.get("weights") or {}
    return Recipe(parse_model(settings["model"]), FeatureSettings.model_validate(features), WeightSettings.model_validate(weights))


@dataclass(frozen=True)
class Candidates:
    """All recipes that a search may come to: the base, its alternatives in family, and the extra space of processing choices."""

    base: Recipe
    task: Task
    alternatives: tuple[Model, ...] = ()
    extra: Space = field(default_factory=dict)

    @property
    def models(self) -> tuple[Model, ...]:
        return (self.base.model, *self.alternatives)

    @cached_property
    def space(self) -> Space:
        """Every parameter by its name in the study. With alternatives a family's own are called `xgboost.eta`, and hang on `family`."""
        if not self.alternatives:
            return {**self.base.model.searched(self.task), **self.extra}
        families = tuple(model.identity for model in self.models)
        space: Space = {FAMILY: Categorical(choices=families, default=families[0])}
        for model in self.models:
            own = model.searched(self.task)
            for name, parameter in own.items():
                when = {FAMILY: (model.identity,)} | {f"{model.identity}.{other}": values for other, values in parameter.when.items()}
                space[f"{model.identity}.{name}"] = parameter.changed(when=when)
        return {**space, **self.extra}

    def family(self, values: Hyperparameters) -> str:
        """The family that values of the study's names speak of."""
        return str(values.get(FAMILY, self.base.model.identity))

    def choices(self, values: Hyperparameters) -> Hyperparameters:
        """The study's names -> names without a family's prefix, and without the family itself."""
        prefix = f"{self.family(values)}."
        return {name.removeprefix(prefix): value for name, value in values.items() if name != FAMILY}

    def values(self, family: str, choices: Hyperparameters) -> Hyperparameters:
        """The inverse of `choices`: names in the study, those that the space has."""
        if not self.alternatives:
            return {name: value for name, value in choices.items() if name in self.space}
        named: dict[str, Scalar] = {name if name in self.extra else f"{family}.{name}": value for name, value in choices.items()}
        return {FAMILY: family, **{name: value for name, value in named.items() if name in self.space}}

    def recipe(self, family: str, choices: Hyperparameters) -> Recipe:
        """The recipe that these choices make."""
        model = next(model for model in self.models if model.identity == family)
        return Recipe(model, self.base.features, self.base.weights).with_choices(choices)


def _part(part: str, choices: Hyperparameters) -> dict[str, Any]:
    prefix = f"{part}."
    return {name.removeprefix(prefix): None if value == NONE else value for name, value in choices.items() if name.startswith(prefix)}
