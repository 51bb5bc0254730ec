"""Objectives: what of a target's distribution a regression is trained to predict, by one name for every boosting family."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tasks.metrics import DEFAULTS, pinball
from tasks.records import Floats
from tasks.settings import Fraction, Settings, Task

Kind = Literal["squared", "absolute", "quantile", "poisson", "huber", "gamma", "tweedie"]
OWN = {"alpha": "quantile", "delta": "huber", "power": "tweedie"}
"""A setting -> the only objective that it belongs to."""


class Objective(Settings):
    """What a regression is trained to predict: `quantile` with alpha 0.9, say, or just `poisson`."""

    kind: Kind = "squared"
    """squared, huber: the mean; absolute: the median; quantile: a quantile; poisson, gamma, tweedie: the mean of what is never negative."""
    alpha: Fraction | None = None
    """Which quantile: 0.9 is undershot by one row in ten."""
    delta: Annotated[float, Field(gt=0)] | None = None
    """Errors larger than this count linearly under huber; 1 when left out."""
    power: Annotated[float, Field(gt=1, lt=2)] | None = None
    """How the variance grows with the mean under tweedie; 1.5 when left out."""

    @model_validator(mode="after")
    def _settings_belong(self) -> Self:
        for name, kind in OWN.items():
            if getattr(self, name) is not None and self.kind != kind:
                raise ValueError(f"{name} belongs to the objective {kind}, not to {self.kind}; leave it out")
        if self.kind == "quantile" and self.alpha is None:
            raise ValueError("the objective quantile needs to know which: give alpha, such as {kind: quantile, alpha: 0.9}")
        return self

    @property
    def metric(self) -> str:
        """The metric that this objective is best at."""
        if self.kind == "quantile":
            return pinball(self.alpha or 0.5)
        return {"absolute": "mae", "poisson": "poisson_deviance"}.get(self.kind, DEFAULTS["regression"][0])

    def unfit_for(self, task: Task) -> str:
        return (
            "" if task == "regression" else f"objective {self.kind} is one of a regression, the task is {task}; leave model.objective out"
        )

    def unfit_for_truth(self, truth: Floats) -> str:
        """What the target's values are that this objective cannot learn; empty when it can."""
        lowest = truth.min(initial=1.0)
        if self.kind in ("poisson", "tweedie") and lowest < 0:
            return f"objective {self.kind} needs a target that is never below 0, its least value is {lowest:g}; take another objective"
        if self.kind == "gamma" and lowest <= 0:
            return f"objective gamma needs a target above 0, its least value is {lowest:g}; take tweedie, or another objective"
        return ""


def _short(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


AnyObjective = Annotated[Objective, BeforeValidator(_short)]
"""`objective: poisson` is short for `objective: {kind: poisson}`."""
