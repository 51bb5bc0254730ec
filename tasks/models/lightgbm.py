"""LightGBM: gradient-boosted trees, the default family. Native categories, native missing values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.records import Floats
from tasks.settings import Task
from tasks.spaces import Float, Int, Space

if TYPE_CHECKING:
    import lightgbm

OBJECTIVES: dict[Task, str] = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}
WATCHED = {
    "log_loss": {"binary": "binary_logloss", "multiclass": "multi_logloss"},
    "roc_auc": {"binary": "auc", "multiclass": "auc_mu"},
    "average_precision": {"binary": "average_precision"},
    "rmse": {"regression": "rmse"},
    "mae": {"regression": "l1"},
    "mape": {"regression": "mape"},
}
FALLBACK: dict[Task, str] = {"binary": "binary_logloss", "multiclass": "multi_logloss", "regression": "rmse"}


UNTUNED_ROUNDS = 200
CONFIG_KEYS = {
    "max_bin": "model.max_bin",
    "early_stopping_round": "model.early_stopping_rounds",
    "metric": "metric, at the top of the config",
    "seed": "seed, at the top of the config",
    "num_threads": "threads, at the top of the config",
    "categorical_feature": "columns: {<name>: category}, at the top of the config",
}
"""LightGBM's parameters that the config has keys of its own for."""
BINNING = frozenset({
    "bin_construct_sample_cnt", "data_random_seed", "enable_bundle", "forcedbins_filename", "is_enable_sparse", "linear_tree",
    "max_bin_by_feature", "min_data_in_bin", "pre_partition", "two_round", "use_missing", "zero_as_missing",
})  # fmt: skip
"""Parameters that LightGBM's Dataset is built with: they may be fixed, not searched."""


class LightGBM(Model):
    """Settings of a LightGBM model; `hyperparameters` take LightGBM's own names."""

    family: Literal["lightgbm"] = "lightgbm"
    max_rounds: Annotated[int, Field(ge=1)] = 2000
    """Most boosting rounds a fold may take before it has to stop."""
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 30
    """A fold stops after this many rounds without a gain on its own validation rows."""
    max_bin: Annotated[int, Field(ge=2, le=65535)] = 255
    """Bins a feature; a property of the binned data, so fixed within a search."""

    requirements: ClassVar[tuple[str, ...]] = ("lightgbm", "numpy", "pandas")
    rounds_name: ClassVar[str | None] = "num_iterations"

    @model_validator(mode="after")
    def _bins_are_not_searched(self) -> Self:
        if fixed := BINNING & set(self.space):
            raise ValueError(f"space.{min(fixed)}: is a property of the binned data, which all trials share; fix it under hyperparameters")
        return self

    def parameters(self) -> frozenset[str]:
        return frozenset(_second_names())

    def elsewhere(self) -> dict[str, str]:
        told = {"num_class": "it is told from the target"} | {name: f"write {key}" for name, key in CONFIG_KEYS.items()}
        second = {name: told.get(first, f"write {first}") for first, names in _second_names().items() for name in names}
        return second | told

    def default_space(self, task: Task) -> Space:
        return {
            "learning_rate": Float(low=0.02, high=0.3, log=True, default=0.1),
            "num_leaves": Int(low=7, high=255, log=True, default=31),
            "min_data_in_leaf": Int(low=5, high=500, log=True, default=20),
            "feature_fraction": Float(low=0.4, high=1.0, default=1.0),
            "bagging_fraction": Float(low=0.5, high=1.0, default=1.0),
            "lambda_l1": Float(low=1e-3, high=10.0, log=True, default=1e-3),
            "lambda_l2": Float(low=1e-3, high=30.0, log=True, default=1e-3),
            "cat_smooth": Float(low=1.0, high=100.0, log=True, default=10.0),
        }

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> tuple[lightgbm.Dataset, lightgbm.Dataset | None]:
        import lightgbm

        chosen = {name: value for name, value in self.hyperparameters.items() if name in BINNING}
        bins = {"max_bin": self.max_bin, "feature_pre_filter": False, "num_threads": fitting.threads, "verbosity": -1, **chosen}
        alike: dict[str, Any] = {"categorical_feature": list(train.categorical), "params": bins}
        binned = lightgbm.Dataset(train.values, train.truth, **alike).construct()
        return binned, None if valid is None else lightgbm.Dataset(valid.values, valid.truth, reference=binned, **alike).construct()

    def fit(self, prepared: Any, fitting: Fitting) -> Native:
        import lightgbm

        train, valid = prepared
        chosen = dict(self.hyperparameters)
        given = chosen.pop("num_iterations", None)
        params: dict[str, Any] = self._fixed(fitting) | chosen
        if valid is None or given is not None:
            best = UNTUNED_ROUNDS if given is None else int(given)
            booster = lightgbm.train(params, train, num_boost_round=best, callbacks=[fitting.watch_clock])
        else:
            stop = lightgbm.early_stopping(self.early_stopping_rounds, first_metric_only=True, verbose=False)
            watched: dict[str, Any] = {"valid_sets": [valid], "callbacks": [stop, fitting.watch_clock]}
            booster = lightgbm.train(params, train, num_boost_round=self.max_rounds, **watched)
            best = booster.best_iteration
        return Native(
            predict=lambda values: booster.predict(values, num_iteration=best, num_threads=fitting.threads),
            save=lambda folder: _save(booster, best, folder),
            rounds=best,
            importance=booster.feature_importance("gain", iteration=best),
        )

    def _fixed(self, fitting: Fitting) -> dict[str, Any]:
        task = fitting.target.task
        fixed: dict[str, Any] = {
            "objective": OBJECTIVES[task],
            "bagging_freq": 1,  # without it bagging_fraction says nothing
            "metric": WATCHED.get(fitting.metric.name, {}).get(task, FALLBACK[task]),
            "max_bin": self.max_bin,
            "feature_pre_filter": False,
            "num_threads": fitting.threads,
            "seed": fitting.seed,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }
        return fixed | ({"num_class": len(fitting.target.classes)} if task == "multiclass" else {})

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        import os

        import lightgbm

        booster = lightgbm.Booster(model_file=os.path.join(folder, "model.txt"))
        return lambda values: booster.predict(values)


@functools.cache
def _second_names() -> dict[str, list[str]]:
    """Every parameter of LightGBM's -> its second names."""
    from lightgbm.basic import _ConfigAliases

    return {first: [name for name in names if name != first] for first, names in _ConfigAliases._get_all_param_aliases().items()}


def _save(booster: lightgbm.Booster, rounds: int, folder: Path) -> None:
    booster.save_model(folder / "model.txt", num_iteration=rounds)
