"""What a model family is: its settings, its default search space, how it is fitted, saved and loaded."""

from __future__ import annotations

import inspect
import json
import textwrap
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import model_validator

from tasks import serving
from tasks.errors import ConfigError
from tasks.metrics import DEFAULTS, Metric
from tasks.plans import Encoding, Features
from tasks.records import Floats, Hyperparameters, Rows, Target
from tasks.settings import Settings, Task
from tasks.spaces import Space, settle
from tasks.wording import did_you_mean


@dataclass(frozen=True)
class Matrix:
    """Features and truth of some rows: `values` (rows, features), `truth` (rows,); `categorical` are column positions."""

    values: Floats
    truth: Floats
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    weight: Floats | None = None
    """How much each row counts in training, shape (rows,), mean 1; None when all count the same."""
    query: Rows | None = None
    """A ranking's rows: which of them are ranked together, a whole number a query, shape (rows,), in any order."""


@dataclass(frozen=True)
class Fitting:
    """What one fit is asked for beside its data; an early stop watches `metric` itself."""

    target: Target
    metric: Metric
    seed: int
    threads: int


@dataclass(frozen=True)
class Native:
    """A fitted family: `predict` maps a matrix to raw predictions, `save` writes its own files into a folder.

    `rounds` is the number of boosting rounds it has, by an early stop the best one; None for families without rounds.
    `importance` is a feature's gain, one number a column of the matrix; None where a family has no such thing, and
    after a fit that stopped early: nobody asks a trial for it.
    """

    predict: Callable[[Floats], Floats]
    save: Callable[[Path], None]
    rounds: int | None = None
    importance: Floats | None = None
    valid_prediction: Floats | None = None
    """Raw predictions of the rows an early stop watched, at the best round; None where the family does not have them for nothing."""
    curve: Floats | None = None
    """The metric that an early stop watched, by round, in its own direction; shape (rounds,)."""
    size: float | None = None
    """What it costs to answer: leaves, or coefficients; the same on every machine for the same model."""


class Model(Settings):
    """Base of the families. `hyperparameters` are fixed values; tuning returns the same settings with more of them."""

    family: str
    hyperparameters: Hyperparameters = {}
    """Fixed values by the library's own names; what is fixed is not searched."""
    space: Space = {}
    """Parameters to search, on top of (or instead of, by name) the family's default space."""

    encoding: ClassVar[Encoding] = "native"
    requirements: ClassVar[tuple[str, ...]] = ()
    rounds_name: ClassVar[str | None] = None
    """The hyperparameter that counts boosting rounds, for families that stop early; where it is given, nothing stops early."""

    @property
    def identity(self) -> str:
        """What hyperparameters belong to: those of another family, or estimator, mean nothing here."""
        return self.family

    @abstractmethod
    def parameters(self) -> frozenset[str]:
        """Names that hyperparameters may have: the library's own."""

    def elsewhere(self) -> Mapping[str, str]:
        """Names that the library knows but hyperparameters may not have, such as second names for one thing -> what to write instead."""
        return {}

    @abstractmethod
    def default_space(self, task: Task) -> Space:
        """A good search space when the config gives none."""

    def unfit_for(self, task: Task) -> str:
        """Why this model cannot do that task; empty when it can."""
        return ""

    def unfit_for_weights(self) -> str:
        """Why rows cannot count differently in this model's training; empty when they can."""
        return ""

    def unfit_for_truth(self, truth: Floats) -> str:
        """Why this model cannot learn these values of the target, such as counts below 0; empty when it can."""
        return ""

    def default_metric(self, task: Task) -> str:
        """What is tuned for and judged on when the config names no metric: it follows what the model is trained to predict."""
        return DEFAULTS[task][0]

    @abstractmethod
    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> Any:
        """What can be built once for a fold and shared by its trials, such as a binned data set."""

    def prepared_by(self) -> Mapping[str, Any]:
        """The settings that `prepare` depends on, JSON-ready: trials that share them share what was prepared."""
        return {}

    def store(self, prepared: Any, folder: Path) -> bool:
        """Write what `prepare` built into a folder, for other processes; False where it has to be built again by each."""
        return False

    def restore(self, folder: Path, fitting: Fitting) -> Any:
        """Read what `store` wrote."""
        raise NotImplementedError(f"{self.identity} stores nothing")

    def portfolio(self, task: Task) -> tuple[Hyperparameters, ...]:
        """A few good and diverse settings for a search to start from; names that the space lacks are left out."""
        return ()

    @abstractmethod
    def fit(self, prepared: Any, fitting: Fitting) -> Native:
        """Fit with `self.hyperparameters`; stops early only if `prepared` holds validation rows. Raises the library's errors."""

    @staticmethod
    @abstractmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        """Load what `Native.save` wrote. Its source text travels inside the model artifact, after that of `tasks.serving`: of this
        project it may use only what is there, or what `travelling` names."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        named = [(f"{place}.{name}", name) for place in ("hyperparameters", "space") for name in getattr(self, place)]
        if not named:
            return self  # to ask for names may import the library
        known, elsewhere = self.parameters(), self.elsewhere()
        faults = []
        for key, name in named:
            if name in elsewhere:
                faults.append(f"{key}: {elsewhere[name]}")
            elif name not in known:
                faults.append("; ".join(filter(None, (f"{key}: {self.identity} has no such parameter", did_you_mean(name, known)))))
        if faults:
            raise ValueError("; and ".join(faults))
        return self

    @property
    def reads(self) -> Encoding:
        """What kind of matrix it reads."""
        return self.encoding

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that a served model needs."""
        return self.requirements

    @property
    def shown(self) -> Hyperparameters:
        """Its hyperparameters as people read them."""
        return self.hyperparameters

    def sources(self) -> list[str]:
        """The source texts that serve it, `load_native` last."""
        functions: list[Any] = [*self.travelling(), type(self).load_native]
        return [textwrap.dedent(inspect.getsource(function)).removeprefix("@staticmethod\n") for function in functions]

    def travelling(self) -> tuple[Callable[..., Any], ...]:
        """Functions that `load_native` calls: their source text travels with it."""
        return ()

    def searched(self, task: Task) -> Space:
        """The space a search draws from: the default one, overridden by name, without what is fixed."""
        space = {**self.default_space(task), **self.space}
        return settle(space, self.hyperparameters)

    def with_hyperparameters(self, hyperparameters: Hyperparameters) -> Any:
        """The same settings with these values on top of the fixed ones."""
        return self.changed(hyperparameters={**self.hyperparameters, **hyperparameters})


def require_fit(models: Iterable[Model], task: Task, truth: Floats) -> None:
    """ConfigError when one of the families cannot do this task, or cannot learn these values of the target."""
    for model in models:
        if why := model.unfit_for(task) or model.unfit_for_truth(truth):
            raise ConfigError(f"model {model.identity}: {why}")


@dataclass(frozen=True)
class Fitted:
    """A model and the features it was fitted with: raw columns in, raw predictions out."""

    model: Model
    features: Features
    native: Native
    target: Target

    def predict(self, frame: Any) -> Floats:
        """Raw columns (rows, any order) -> probabilities (rows,) or (rows, classes), or values (rows,)."""
        return self.native.predict(self.features.transform(frame))

    @property
    def plan(self) -> dict[str, Any]:
        """Everything serving needs to know beside the family's own files; plain JSON."""
        target = {"target": self.target.column, "task": self.target.task, "classes": list(self.target.classes)}
        return {**self.features.plan_, **target, "family": self.model.family}

    def save(self, folder: Path) -> Path:
        """Write plan and native files to `folder`/model and the code that serves them beside it; returns the code's path."""
        files = folder / "model"
        files.mkdir(parents=True)
        self.native.save(files)
        for place in (files, *(part for part in files.iterdir() if part.is_dir())):  # a blend's members have folders of their own
            (place / "plan.json").write_text(json.dumps(self.plan, indent=1), encoding="utf-8")
        texts = [inspect.getsource(serving), *self.model.sources()]
        code = folder / "served_model.py"
        ending = "from mlflow.models import set_model\n\nset_model(served_model(load_native))\n"
        code.write_text("\n\n".join((*texts, ending)), encoding="utf-8")
        return code


def matrix(features: Features, frame: Any, truth: Floats, weight: Floats | None = None, query: Rows | None = None) -> Matrix:
    """Transform raw columns with fitted features."""
    return Matrix(features.transform(frame), truth, features.names, features.categorical, weight, query)
