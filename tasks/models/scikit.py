"""Any scikit-learn classifier or regressor by its class name: linear models, forests, neighbours, ..."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from tasks.errors import TrainingFailed
from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.models.spaces import Categorical, Float, Int, Space
from tasks.plans import Encoding
from tasks.records import Floats
from tasks.settings import Task

SPACES: dict[str, Space] = {
    "LogisticRegression": {"C": Float(low=1e-3, high=100.0, log=True, default=1.0)},
    "Ridge": {"alpha": Float(low=1e-3, high=100.0, log=True, default=1.0)},
    "Lasso": {"alpha": Float(low=1e-4, high=10.0, log=True, default=1.0)},
    "ElasticNet": {"alpha": Float(low=1e-4, high=10.0, log=True, default=1.0), "l1_ratio": Float(low=0.0, high=1.0)},
    "SVC": {"C": Float(low=1e-2, high=100.0, log=True, default=1.0)},
    "SVR": {"C": Float(low=1e-2, high=100.0, log=True, default=1.0)},
    "KNeighborsClassifier": {
        "n_neighbors": Int(low=1, high=50, log=True, default=5),
        "weights": Categorical(choices=("uniform", "distance")),
    },
    "KNeighborsRegressor": {
        "n_neighbors": Int(low=1, high=50, log=True, default=5),
        "weights": Categorical(choices=("uniform", "distance")),
    },
}
FOREST: Space = {
    "n_estimators": Int(low=50, high=400, log=True),
    "max_features": Float(low=0.1, high=1.0),
    "min_samples_leaf": Int(low=1, high=50, log=True),
}
BOOSTING: Space = {
    "learning_rate": Float(low=0.02, high=0.3, log=True),
    "max_leaf_nodes": Int(low=7, high=127, log=True),
    "min_samples_leaf": Int(low=5, high=200, log=True),
    "l2_regularization": Float(low=1e-3, high=30.0, log=True),
}


class Scikit(Model):
    """Settings of a scikit-learn estimator; `hyperparameters` are its constructor's arguments."""

    family: Literal["scikit"]
    estimator: str
    """Class name of a scikit-learn classifier or regressor, such as LogisticRegression."""

    encoding: ClassVar[Encoding] = "dense"
    requirements: ClassVar[tuple[str, ...]] = ("scikit-learn", "skops", "numpy", "pandas")

    @property
    def identity(self) -> str:
        return self.estimator

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.estimator not in (known := _estimators()):
            near = difflib.get_close_matches(self.estimator, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"scikit-learn has no classifier or regressor called {self.estimator!r}{hint}")
        wrong = [name for name in self.hyperparameters if name not in known[self.estimator]._get_param_names()]
        if wrong:
            raise ValueError(f"{self.estimator} has no parameter called {wrong[0]!r}")
        return self

    def default_space(self, task: Task) -> Space:
        if "Forest" in self.estimator or "ExtraTrees" in self.estimator:
            return FOREST
        return BOOSTING if self.estimator.startswith("HistGradientBoosting") else SPACES.get(self.estimator, {})

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> Matrix:
        return train

    def fit(self, prepared: Matrix, fitting: Fitting) -> Native:
        estimator_class = _estimators()[self.estimator]
        taken = set(estimator_class._get_param_names())
        offered = {"random_state": fitting.seed, "n_jobs": fitting.threads, "probability": True}
        estimator = estimator_class(**{name: value for name, value in offered.items() if name in taken} | self.hyperparameters)
        if fitting.target.classes and not hasattr(estimator, "predict_proba"):
            raise TrainingFailed(f"model.estimator: {self.estimator} gives no probabilities; choose one with predict_proba")
        estimator.fit(prepared.values, prepared.truth)
        return Native(predict=_predictor(estimator, fitting.target.task), save=lambda folder: _save(estimator, folder))

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        import json
        import os

        import skops.io

        with open(os.path.join(folder, "plan.json"), encoding="utf-8") as file:
            task = json.load(file)["task"]
        file_name = os.path.join(folder, "model.skops")
        allowed = ("sklearn.", "numpy.", "scipy.", "builtins.")
        types = skops.io.get_untrusted_types(file=file_name)
        refused = [name for name in types if not name.startswith(allowed)]
        if refused:
            raise ValueError(f"model.skops asks for types outside scikit-learn: {', '.join(refused)}")
        estimator = skops.io.load(file_name, trusted=types)
        if task == "regression":
            return estimator.predict  # type: ignore[no-any-return]
        return lambda values: estimator.predict_proba(values)[:, 1] if task == "binary" else estimator.predict_proba(values)


def _estimators() -> dict[str, Any]:
    from sklearn.utils import all_estimators

    return dict(all_estimators("classifier") + all_estimators("regressor"))


def _predictor(estimator: Any, task: Task) -> Callable[[Floats], Floats]:
    if task == "regression":
        return lambda values: np.asarray(estimator.predict(values), dtype=np.float64)
    if task == "binary":
        return lambda values: np.asarray(estimator.predict_proba(values)[:, 1], dtype=np.float64)
    return lambda values: np.asarray(estimator.predict_proba(values), dtype=np.float64)


def _save(estimator: Any, folder: Path) -> None:
    import skops.io

    skops.io.dump(estimator, folder / "model.skops")
