"""Keras: a multilayer perceptron on TensorFlow, on the CPU. An optional family: `make extras` installs TensorFlow (about 1 GB)."""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tasks.errors import TrainingFailed
from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.models.networks import OPTIMIZERS, WITH_MOMENTUM, Design, Rows, Watch, train
from tasks.models.objectives import AnyObjective, Objective
from tasks.models.outputs import network_answers, quiet_keras, readable, save_network
from tasks.plans import Encoding
from tasks.records import Floats, Hyperparameters
from tasks.settings import Scalar, Task
from tasks.spaces import Categorical, Float, Int, Parameter, Space, defaults
from tasks.wording import did_you_mean

PARTS = ("train", "valid")
PACKAGES = ("keras>=3.15,<3.16", "tensorflow-cpu>=2.21,<2.22")
"""What the extra `keras` in pyproject.toml asks for."""
MOST_LAYERS = 10
CHOICES: dict[str, tuple[str, ...]] = {
    "activation": ("relu", "gelu", "silu", "tanh", "elu", "selu", "sigmoid"),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": ("constant", "exponential", "cosine"),
}
WHOLE = {
    "hidden_layers": (0, MOST_LAYERS),
    "units": (1, 8192),
    "batch_size": (1, 1_000_000),
    "epochs": (1, 100_000),
    "decay_epochs": (1, 100_000),
}
REAL = {
    "shrink": (0.01, 1.0), "dropout": (0.0, 0.95), "l2": (0.0, 10.0), "learning_rate": (1e-8, 10.0), "momentum": (0.0, 0.999),
    "decay_rate": (0.01, 1.0),
}  # fmt: skip
KINDS = ("squared", "absolute", "huber", "quantile", "poisson")
"""Objectives of a regression that a network here can be trained for."""
ELSEWHERE = {
    **dict.fromkeys(("lr", "eta"), "write learning_rate"),
    **dict.fromkeys(("layers", "n_layers", "num_layers"), "write hidden_layers"),
    **dict.fromkeys(("patience", "early_stopping_rounds"), "write model.early_stopping_rounds"),
    "max_epochs": "write model.max_rounds",
    "decay": "write schedule (exponential or cosine), and decay_rate or decay_epochs",
    "loss": "write model.objective",
    "metrics": "write metric, at the top of the config",
    "seed": "write seed, at the top of the config",
    "threads": "write threads, at the top of the config",
}


PORTFOLIO: tuple[Hyperparameters, ...] = (
    {"hidden_layers": 1, "units": 512, "dropout": 0.3, "learning_rate": 1e-3, "batch_size": 256},
    {"hidden_layers": 3, "units": 128, "shrink": 1.0, "activation": "silu", "learning_rate": 1e-3, "batch_size": 64},
    {"hidden_layers": 2, "units": 32, "optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-2, "batch_size": 32},
)
"""Wide, deep, and small; the rest of the space stays at its defaults."""


class Keras(Model):
    """Settings of a multilayer perceptron; `hyperparameters` take the field's names, and a round is an epoch."""

    family: Literal["keras"]
    max_rounds: Annotated[int, Field(ge=1)] = 100
    """Most epochs a fold may take before it has to stop."""
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 8
    """A fold stops after this many epochs without a gain on its own validation rows."""

    objective: AnyObjective | None = None
    """What a regression is trained to predict: squared (the default), absolute, huber, {kind: quantile, alpha: 0.9} or poisson."""

    encoding: ClassVar[Encoding] = "dense"
    requirements: ClassVar[tuple[str, ...]] = ("keras", "tensorflow-cpu", "numpy", "pandas")
    rounds_name: ClassVar[str | None] = "epochs"

    @model_validator(mode="after")
    def _tensorflow_is_installed(self) -> Self:
        if missing := [name for name in ("tensorflow", "keras") if not _installed(name)]:
            by_hand = " ".join(f"'{package}'" for package in PACKAGES)
            raise ValueError(
                f"family keras needs {' and '.join(missing)}, which this Python lacks; "
                f"install with: make extras (elsewhere: {sys.executable} -m pip install {by_hand})"
            )
        return self

    @model_validator(mode="after")
    def _values_are_possible(self) -> Self:
        given = [(f"hyperparameters.{name}", name, value) for name, value in self.hyperparameters.items()]
        searched = [(f"space.{name}", name, value) for name, parameter in self.space.items() for value in _ends(parameter)]
        faults = [f"{key}: {why}" for key, name, value in (*given, *searched) if (why := _fault(name, value))]
        if faults:
            raise ValueError("; and ".join(dict.fromkeys(faults)))
        return self

    def parameters(self) -> frozenset[str]:
        return frozenset((*CHOICES, *WHOLE, *REAL))

    def elsewhere(self) -> dict[str, str]:
        return ELSEWHERE

    def _several_layers(self) -> tuple[int, ...]:
        """How many hidden layers there may be, where they are several: only then does `shrink` say something."""
        layers = self.space.get("hidden_layers", Int(low=1, high=4))
        possible = layers.choices if isinstance(layers, Categorical) else range(int(layers.low), int(layers.high) + 1)
        return tuple(k for k in range(2, MOST_LAYERS + 1) if k in possible or k == self.hyperparameters.get("hidden_layers"))

    def default_space(self, task: Task) -> Space:
        return {
            "hidden_layers": Int(low=1, high=4, default=2),
            "units": Int(low=16, high=512, log=True, default=128),
            "shrink": Float(low=0.25, high=1.0, default=0.5, when={"hidden_layers": self._several_layers()}),
            "activation": Categorical(choices=("relu", "gelu", "silu", "tanh"), default="relu"),
            "dropout": Float(low=0.0, high=0.5, default=0.1),
            "l2": Float(low=1e-7, high=1e-2, log=True, default=1e-6),
            "optimizer": Categorical(choices=("adam", "rmsprop", "sgd"), default="adam"),
            "learning_rate": Float(low=1e-4, high=5e-2, log=True, default=2e-3),
            "momentum": Float(low=0.0, high=0.95, default=0.9, when={"optimizer": WITH_MOMENTUM}),
            "schedule": Categorical(choices=CHOICES["schedule"], default="exponential"),
            "decay_rate": Float(low=0.8, high=0.99, default=0.95, when={"schedule": ("exponential",)}),
            "decay_epochs": Int(low=10, high=100, log=True, default=30, when={"schedule": ("cosine",)}),
            "batch_size": Int(low=32, high=1024, log=True, default=128),
        }

    def portfolio(self, task: Task) -> tuple[Hyperparameters, ...]:
        return PORTFOLIO

    def unfit_for(self, task: Task) -> str:
        if task == "ranking":
            return "keras cannot rank; lightgbm and xgboost can"
        if self.objective is None or self.objective.kind in KINDS:
            return self.objective.unfit_for(task) if self.objective else ""
        return f"objective {self.objective.kind} is none that keras trains for; take one of {', '.join(KINDS)}"

    def unfit_for_truth(self, truth: Floats) -> str:
        return self.objective.unfit_for_truth(truth) if self.objective else ""

    def default_metric(self, task: Task) -> str:
        return self.objective.metric if self.objective else super().default_metric(task)

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> tuple[Rows, Rows | None]:
        if reason := self.unfit_for(fitting.target.task) or self.unfit_for_truth(train.truth):
            raise TrainingFailed(f"model: {reason}")
        return _rows(train), None if valid is None else _rows(valid)

    def store(self, prepared: tuple[Rows, Rows | None], folder: Path) -> bool:
        for part, rows in zip(PARTS, prepared, strict=True):
            for name, values in vars(rows).items() if rows is not None else ():
                np.save(folder / f"{part}_{name}.npy", values)
        return True

    def restore(self, folder: Path, fitting: Fitting) -> tuple[Rows, Rows | None]:
        train, valid = (_read(folder, part) for part in PARTS)
        return Rows(**train), Rows(**valid) if valid else None

    def fit(self, prepared: Any, fitting: Fitting) -> Native:
        known, valid = prepared
        chosen = {**defaults(self.default_space(fitting.target.task)), **self.hyperparameters}
        given = chosen.pop("epochs", None)
        objective = self.objective or Objective()
        form, truth = _form(known, objective, fitting)
        watch = None if valid is None else Watch(valid, self.max_rounds, self.early_stopping_rounds)
        network, boosted = train(
            _design(chosen, objective),
            form,
            Rows(known.values, truth, known.weight),
            None if given is None else int(given),
            watch,
            fitting,
        )
        return Native(
            predict=network_answers(network, form),
            save=functools.partial(save_network, network, form),
            rounds=boosted.rounds,
            valid_prediction=boosted.prediction,
            curve=boosted.curve,
            size=float(network.count_params()),
        )

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        with open(os.path.join(folder, "form.json"), encoding="utf-8") as file:
            form = json.load(file)
        network = quiet_keras().saving.load_model(os.path.join(folder, "model.keras"), compile=False, safe_mode=True)
        return network_answers(network, form)

    def travelling(self) -> tuple[Callable[..., Any], ...]:
        return quiet_keras, readable, network_answers


def _installed(name: str) -> bool:
    """Whether a library could be imported; it is not, which takes seconds."""
    return name in sys.modules or importlib.util.find_spec(name) is not None


def _ends(parameter: Parameter) -> tuple[Scalar, ...]:
    return parameter.choices if isinstance(parameter, Categorical) else (parameter.low, parameter.high)


def _fault(name: str, value: Scalar) -> str:
    """Why a hyperparameter cannot have that value; empty when it can."""
    if name in CHOICES:
        if value in CHOICES[name]:
            return ""
        return "; ".join(
            filter(None, (f"must be one of {', '.join(CHOICES[name])}, got {value!r}", did_you_mean(str(value), CHOICES[name])))
        )
    whole = name in WHOLE
    low, high = WHOLE[name] if whole else REAL[name]
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool) and low <= value <= high
    return "" if fits else f"must be a {'whole ' * whole}number from {low:g} to {high:,g}, got {value!r}"


def _rows(matrix: Matrix) -> Rows:
    weight = np.ones(len(matrix.truth)) if matrix.weight is None else matrix.weight / matrix.weight.mean()
    return Rows(readable(matrix.values), matrix.truth, weight.astype(np.float32))


def _read(folder: Path, part: str) -> dict[str, Any]:
    """A part's arrays, mapped into memory, so that workers of one machine share them; empty when it was not stored."""
    return {path.stem.removeprefix(f"{part}_"): np.load(path, mmap_mode="r") for path in folder.glob(f"{part}_*.npy")}


def _design(chosen: Hyperparameters, objective: Objective) -> Design:
    """All settings by name -> the network's; `shrink` makes each hidden layer that much narrower than the one before it."""
    values: dict[str, Any] = {name: value for name, value in chosen.items() if name not in ("hidden_layers", "units", "shrink")}
    first, shrink, count = float(chosen["units"]), float(chosen["shrink"]), int(chosen["hidden_layers"])
    return Design(layers=tuple(max(2, round(first * shrink**k)) for k in range(count)), objective=objective, **values)


def _form(rows: Rows, objective: Objective, fitting: Fitting) -> tuple[dict[str, Any], Any]:
    """What a network's outputs mean (see network_answers), and the truth as it is trained on, float32."""
    if fitting.target.task != "regression":
        return {"kind": fitting.target.task, "classes": len(fitting.target.classes)}, rows.truth.astype(np.float32)
    centre = float(np.average(rows.truth, weights=rows.weight))
    if objective.kind == "poisson":
        scale = centre or 1.0
        return {"kind": "rate", "scale": scale}, (rows.truth / scale).astype(np.float32)
    scale = math.sqrt(np.average((rows.truth - centre) ** 2, weights=rows.weight)) or 1.0
    return {"kind": "value", "centre": centre, "scale": scale}, ((rows.truth - centre) / scale).astype(np.float32)
