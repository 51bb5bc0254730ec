"""Any scikit-learn classifier or regressor by its class name: linear models, forests, neighbours, ...

Saved with skops, never as a pickle. The artifact's own code reads the file, against a list of types that is part of that code:
MLflow's sklearn flavor trusts what the file itself asks for, and is therefore shut off by
MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false; models saved here load with it.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from tasks.errors import TrainingFailed
from tasks.metrics import pinball
from tasks.models.estimators import LOSSES, PORTFOLIOS, SPACES, UNFIT
from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.plans import Encoding
from tasks.records import Floats, Hyperparameters
from tasks.settings import Task
from tasks.spaces import Space
from tasks.wording import did_you_mean

log = logging.getLogger("evertune")


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

    @model_validator(mode="before")
    @classmethod
    def _can_work_here(cls, settings: Any) -> Any:
        name = settings.get("estimator") if isinstance(settings, dict) else None
        if not isinstance(name, str):
            return settings  # the field's own rule speaks
        if (found := _estimators().get(name)) is None:
            fault = f"scikit-learn has no classifier or regressor called {name!r}"
            raise ValueError("; ".join(filter(None, (fault, did_you_mean(name, _estimators())))))
        required = [each.name for each in inspect.signature(found).parameters.values() if each.default is each.empty]
        reason = f"wraps another estimator ({', '.join(required)}), which a config cannot name" if required else UNFIT.get(name)
        if reason:
            raise ValueError(f"{name} cannot be used here: it {reason}")
        return settings

    def parameters(self) -> frozenset[str]:
        return frozenset(_estimators()[self.estimator]._get_param_names())

    def elsewhere(self) -> dict[str, str]:
        return {
            "random_state": "write seed, at the top of the config",
            "n_jobs": "write threads, at the top of the config",
            "probability": "scikit-learn gives it up; probabilities come from calibration instead",
        }

    def default_space(self, task: Task) -> Space:
        return SPACES.get(self.estimator, {})

    def unfit_for(self, task: Task) -> str:
        from sklearn.base import ClassifierMixin

        kind = "classifier" if issubclass(_estimators()[self.estimator], ClassifierMixin) else "regressor"
        if task == "ranking":
            return f"{self.estimator} cannot learn a ranking; lightgbm and xgboost can"
        wanted = "regressor" if task == "regression" else "classifier"
        return "" if kind == wanted else f"{self.estimator} is a {kind}, a {task} task needs a {wanted}"

    def unfit_for_weights(self) -> str:
        from sklearn.utils.validation import has_fit_parameter

        takes = has_fit_parameter(_estimators()[self.estimator], "sample_weight")
        return "" if takes else f"{self.estimator} cannot weigh rows: its fit takes no sample_weight; leave weights out, or take another"

    def default_metric(self, task: Task) -> str:
        loss = self.hyperparameters.get("loss", self.hyperparameters.get("criterion"))
        if self.estimator == "QuantileRegressor" or loss == "quantile":  # `alpha` is gradient boosting's word for it
            other = 0.9 if self.estimator == "GradientBoostingRegressor" else 0.5
            named = "alpha" if self.estimator == "GradientBoostingRegressor" else "quantile"
            return pinball(float(self.hyperparameters.get(named, other)))
        if self.estimator == "PoissonRegressor":
            return LOSSES["poisson"]
        return LOSSES.get(str(loss), super().default_metric(task))

    def portfolio(self, task: Task) -> tuple[Hyperparameters, ...]:
        return PORTFOLIOS.get(self.estimator, ())

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> Matrix:
        if reason := self.unfit_for(fitting.target.task):
            raise TrainingFailed(f"model.estimator: {reason}")
        if train.weight is not None and (reason := self.unfit_for_weights()):
            raise TrainingFailed(f"weights: {reason}")
        return train

    def fit(self, prepared: Matrix, fitting: Fitting) -> Native:
        seed = {"random_state": fitting.seed} if "random_state" in self.parameters() else {}
        with _threads(fitting.threads), _warnings_said_once(self.estimator):
            estimator = _estimators()[self.estimator](**seed, **self.hyperparameters)
            if fitting.target.classes and not hasattr(estimator, "predict_proba"):
                estimator = _calibrated(estimator, prepared.truth)
            weights = {} if prepared.weight is None else {"sample_weight": prepared.weight}
            estimator.fit(prepared.values, prepared.truth, **weights)
        answers = raw_answers(estimator, len(fitting.target.classes))
        # one job: forests add up their trees' answers in whatever order threads finish, which the last digits show
        predict = _threads(fitting.threads, jobs=1)(answers)
        return Native(predict=predict, save=lambda folder: _save(estimator, folder), size=_size(estimator))

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        import skops.io

        file_name = os.path.join(folder, "model.skops")
        with open(os.path.join(folder, "plan.json"), encoding="utf-8") as file:
            classes = json.load(file)["classes"]
        trusted = trusted_types(skops.io.get_untrusted_types(file=file_name))
        return raw_answers(skops.io.load(file_name, trusted=trusted), len(classes))

    def travelling(self) -> tuple[Callable[..., Any], ...]:
        return raw_answers, trusted_types


def raw_answers(estimator: Any, classes: int) -> Callable[[Floats], Floats]:
    """A fitted estimator -> the function from matrix to raw prediction; a class that it never saw has probability 0."""

    def answers(values: Floats) -> Floats:
        if not classes:
            return np.asarray(estimator.predict(values), dtype=np.float64).ravel()
        probabilities = np.zeros((len(values), classes))
        probabilities[:, estimator.classes_.astype(np.int64)] = estimator.predict_proba(values)
        return probabilities[:, 1] if classes == 2 else probabilities

    return answers


def trusted_types(types: list[str]) -> list[str]:
    """Types that skops does not trust by itself, if all are parts of scikit-learn's own models. Raises ValueError that names others."""
    modules = {
        "sklearn._loss.loss",
        "sklearn.calibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor",
        "sklearn.gaussian_process._gpc",
        "sklearn.gaussian_process.kernels",
        "sklearn.metrics._dist_metrics",
        "sklearn.neighbors._ball_tree",
        "sklearn.neighbors._kd_tree",
        "sklearn.neural_network._stochastic_optimizers",
        "sklearn.tree._tree",
    }
    refused = [name for name in types if name.rpartition(".")[0] not in modules]
    if refused:
        raise ValueError(f"model.skops asks for types that are no part of scikit-learn's models: {', '.join(refused)}")
    return types


@functools.cache
def _estimators() -> dict[str, Any]:
    from sklearn.utils import all_estimators

    return dict(all_estimators("classifier") + all_estimators("regressor"))


def _calibrated(estimator: Any, truth: Floats) -> Any:
    """An estimator that only decides, with probabilities fitted to its decisions on rows held out: at most five folds of them."""
    from sklearn.calibration import CalibratedClassifierCV

    rarest = int(np.unique_counts(truth).counts.min())
    return CalibratedClassifierCV(estimator, ensemble=False, cv=min(5, max(2, rarest)))


def _size(estimator: Any) -> float | None:
    """Leaves of all trees, or coefficients; None for estimators that have neither."""
    if hasattr(estimator, "calibrated_classifiers_"):
        return _size(estimator.calibrated_classifiers_[0].estimator)
    if hasattr(estimator, "_predictors"):  # histogram boosting has no public word for its trees
        return float(sum(tree.get_n_leaf_nodes() for trees in estimator._predictors for tree in trees))
    if hasattr(estimator, "estimators_"):
        sizes = [_size(tree) for tree in np.ravel(estimator.estimators_)]
        return None if None in sizes else float(sum(size for size in sizes if size is not None))
    if hasattr(estimator, "get_n_leaves"):
        return float(estimator.get_n_leaves())
    coefficients = getattr(estimator, "coef_", None)
    return float(np.size(coefficients) + np.size(getattr(estimator, "intercept_", ()))) if isinstance(coefficients, np.ndarray) else None


@contextmanager
def _threads(count: int, jobs: int | None = None) -> Iterator[None]:
    """So many threads for OpenMP and BLAS, and jobs (as many when left out) for joblib, which else may start processes."""
    import joblib  # type: ignore[import-untyped]
    import threadpoolctl  # type: ignore[import-untyped]

    with joblib.parallel_config(backend="threading", n_jobs=jobs or count), threadpoolctl.threadpool_limits(count):
        yield


@contextmanager
def _warnings_said_once(estimator: str) -> Iterator[None]:
    """A search fits hundreds of times: what scikit-learn has to say goes to the log the first time only."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for warning in said:
        _say_once(f"{estimator}: {str(warning.message).splitlines()[0]}")


@functools.cache
def _say_once(text: str) -> None:
    log.warning(text)


def _save(estimator: Any, folder: Path) -> None:
    import skops.io

    skops.io.dump(estimator, folder / "model.skops")
