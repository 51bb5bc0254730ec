"""LightGBM: gradient-boosted trees, the default family. Native categories, native missing values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tasks.errors import TrainingFailed
from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.models.objectives import AnyObjective
from tasks.models.rounds import UNTUNED_ROUNDS, Boosted, Watched, boost, by_query, straight
from tasks.records import Floats, Hyperparameters
from tasks.settings import Task
from tasks.spaces import Categorical, Float, Int, Space

if TYPE_CHECKING:
    import lightgbm

OBJECTIVES: dict[Task, str] = {"binary": "binary", "multiclass": "multiclass", "regression": "regression", "ranking": "lambdarank"}
KINDS = {
    "squared": "regression", "absolute": "regression_l1", "quantile": "quantile", "poisson": "poisson", "huber": "huber",
    "gamma": "gamma", "tweedie": "tweedie",
}  # fmt: skip
"""Our names of a regression's objectives -> LightGBM's."""
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
PORTFOLIO: tuple[Hyperparameters, ...] = (
    {"learning_rate": 0.05, "num_leaves": 63, "min_data_in_leaf": 300, "feature_fraction": 0.2},
    {"learning_rate": 0.08, "num_leaves": 63, "min_data_in_leaf": 100, "feature_fraction": 0.4, "extra_trees": True},
    {"learning_rate": 0.05, "num_leaves": 127, "min_data_in_leaf": 50, "feature_fraction": 0.3},
    {"learning_rate": 0.12, "num_leaves": 8, "min_data_in_leaf": 40, "feature_fraction": 0.5, "lambda_l2": 10.0},
    {"learning_rate": 0.06, "num_leaves": 63, "min_data_in_leaf": 1000, "feature_fraction": 0.3, "path_smooth": 100.0},
    {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 1.0},
)
"""Unlike each other, each good on some tables; the last one is LightGBM's own default, which small tables like. The rest of the space
stays at its defaults. Flights, retrains of June to August 2013: the mean of the first four is .006 better in log-loss than the last."""


@dataclass(frozen=True)
class Binned:
    """A fold's rows in LightGBM's bins, shared by its trials."""

    train: lightgbm.Dataset
    valid: lightgbm.Dataset | None = None
    watched: Watched | None = None


class LightGBM(Model):
    """Settings of a LightGBM model; `hyperparameters` take LightGBM's own names."""

    family: Literal["lightgbm"] = "lightgbm"
    max_rounds: Annotated[int, Field(ge=1)] = 2000
    """Most boosting rounds a fold may take before it has to stop."""
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 20
    """A fold stops after this many rounds without a gain on its own validation rows."""
    max_bin: Annotated[int, Field(ge=2, le=65535)] = 255
    """Bins a feature; a property of the binned data, so fixed within a search."""
    objective: AnyObjective | None = None
    """What a regression is trained to predict: squared (the default), absolute, {kind: quantile, alpha: 0.9}, poisson, huber, ..."""

    requirements: ClassVar[tuple[str, ...]] = ("lightgbm", "numpy", "pandas")
    rounds_name: ClassVar[str | None] = "num_iterations"

    @model_validator(mode="after")
    def _bins_are_not_searched(self) -> Self:
        if fixed := BINNING & set(self.space):
            raise ValueError(f"space.{min(fixed)}: is a property of the binned data, which all trials share; fix it under hyperparameters")
        return self

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        if self.objective is not None and "objective" in {**self.hyperparameters, **self.space}:
            raise ValueError("objective: is given under hyperparameters or space too; leave it out there")
        return self

    def parameters(self) -> frozenset[str]:
        return frozenset(_second_names())

    def elsewhere(self) -> dict[str, str]:
        told = {"num_class": "it is told from the target"} | {name: f"write {key}" for name, key in CONFIG_KEYS.items()}
        second = {name: told.get(first, f"write {first}") for first, names in _second_names().items() for name in names}
        return second | told

    def default_space(self, task: Task) -> Space:
        """A narrow share of the columns for each tree is what helps most, and halves the time; rows left out (bagging) only cost time."""
        return {
            "learning_rate": Float(low=0.03, high=0.2, log=True, default=0.06),
            "num_leaves": Int(low=7, high=127, log=True, default=31),
            "min_data_in_leaf": Int(low=5, high=1000, log=True, default=50),
            "feature_fraction": Float(low=0.2, high=1.0, default=0.4),
            "lambda_l2": Float(low=1e-3, high=30.0, log=True, default=1e-3),
            "path_smooth": Float(low=0.0, high=100.0, default=0.0),
            "cat_smooth": Float(low=10.0, high=100.0, log=True, default=10.0),
            "cat_l2": Float(low=10.0, high=100.0, log=True, default=10.0),
            "extra_trees": Categorical(choices=(False, True), default=False),
        }

    def portfolio(self, task: Task) -> tuple[Hyperparameters, ...]:
        return PORTFOLIO

    def unfit_for(self, task: Task) -> str:
        return self.objective.unfit_for(task) if self.objective else ""

    def unfit_for_truth(self, truth: Floats) -> str:
        return self.objective.unfit_for_truth(truth) if self.objective else ""

    def default_metric(self, task: Task) -> str:
        return self.objective.metric if self.objective else super().default_metric(task)

    def prepared_by(self) -> dict[str, Any]:
        return {"max_bin": self.max_bin} | {name: value for name, value in self.hyperparameters.items() if name in BINNING}

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> Binned:
        import lightgbm

        if reason := self.unfit_for(fitting.target.task) or self.unfit_for_truth(train.truth):
            raise TrainingFailed(f"model: {reason}")
        rows, sizes, _ = by_query(train)
        alike: dict[str, Any] = {"categorical_feature": list(train.categorical), "params": self._bins(fitting)}
        binned = lightgbm.Dataset(rows.values, rows.truth, weight=rows.weight, group=sizes, **alike).construct()
        if valid is None:
            return Binned(binned)
        rows, sizes, order = by_query(valid)
        held_out = lightgbm.Dataset(rows.values, rows.truth, reference=binned, group=sizes, **alike).construct()
        return Binned(binned, held_out, Watched(rows.truth, rows.query, order))

    def store(self, prepared: Binned, folder: Path) -> bool:
        if prepared.valid is None or prepared.watched is None or self.hyperparameters.get("linear_tree"):
            return False  # linear trees read the raw values, which the file does not hold
        prepared.train.save_binary(folder / "train.bin")
        prepared.valid.save_binary(folder / "valid.bin")
        watched = prepared.watched
        np.savez(folder / "watched.npz", **{name: rows for name, rows in vars(watched).items() if rows is not None})
        return True

    def restore(self, folder: Path, fitting: Fitting) -> Binned:
        import lightgbm

        bins = self._bins(fitting)
        train = lightgbm.Dataset(folder / "train.bin", params=bins).construct()
        valid = lightgbm.Dataset(folder / "valid.bin", params=bins, reference=train).construct()
        with np.load(folder / "watched.npz") as rows:
            return Binned(train, valid, Watched(**rows))

    def fit(self, prepared: Binned, fitting: Fitting) -> Native:
        import lightgbm

        booster = lightgbm.Booster(self._fixed(fitting) | self._chosen(), prepared.train)
        boosted = self._boost(booster, prepared, fitting)
        rounds, early = boosted.rounds, boosted.curve is not None
        trees = min(rounds, booster.current_iteration()) * booster.num_model_per_iteration()
        splits = booster.feature_importance("split", iteration=rounds).sum()
        return Native(
            predict=lambda values: booster.predict(values, num_iteration=rounds, num_threads=fitting.threads),
            save=lambda folder: _save(booster, rounds, folder),
            rounds=rounds,
            importance=None if early else booster.feature_importance("gain", iteration=rounds),
            valid_prediction=boosted.prediction,
            curve=boosted.curve,
            size=float(splits + trees),  # a tree has one leaf more than it has splits
        )

    def _boost(self, booster: lightgbm.Booster, prepared: Binned, fitting: Fitting) -> Boosted:
        """All rounds that are given, or else as many as the watched rows call for."""

        def update() -> int:
            booster.update()
            return int(booster.current_iteration())

        given = self.hyperparameters.get("num_iterations")
        if prepared.valid is None or prepared.watched is None:
            return Boosted(straight(update, UNTUNED_ROUNDS if given is None else int(given)))
        booster.add_valid(prepared.valid, "valid")
        answers = functools.partial(_answer, booster)
        if given is not None:
            return Boosted(straight(update, int(given)), prepared.watched.as_given(answers()).copy())
        whole = self.hyperparameters.get("boosting") == "dart"
        return boost(update, answers, prepared.watched, fitting, self.max_rounds, self.early_stopping_rounds, whole)

    def _bins(self, fitting: Fitting) -> dict[str, Any]:
        return {"feature_pre_filter": False, "num_threads": fitting.threads, "verbosity": -1, **self.prepared_by()}

    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in self.hyperparameters.items() if name != self.rounds_name}

    def _fixed(self, fitting: Fitting) -> dict[str, Any]:
        task = fitting.target.task
        fixed: dict[str, Any] = {
            "objective": OBJECTIVES[task],
            "bagging_freq": 1,  # without it bagging_fraction says nothing
            "metric": "None",  # the loop measures
            "max_bin": self.max_bin,
            "feature_pre_filter": False,
            "num_threads": fitting.threads,
            "seed": fitting.seed,
            "deterministic": True,
            "force_row_wise": True,  # a fifth faster than by column on 24 columns
            "verbosity": -1,
        }
        if self.objective:
            own = {"alpha": self.objective.alpha or self.objective.delta, "tweedie_variance_power": self.objective.power}
            fixed |= {"objective": KINDS[self.objective.kind], **{name: value for name, value in own.items() if value is not None}}
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


def _answer(booster: lightgbm.Booster) -> Floats:
    """The raw prediction of the watched rows so far: LightGBM keeps it up to date, and tells it to a metric of one's own."""
    told: list[Floats] = []

    def read(prediction: Floats, _: Any) -> tuple[str, float, bool]:
        told.append(prediction)
        return "none", 0.0, False

    booster.eval_valid(read)
    return told[0]


def _save(booster: lightgbm.Booster, rounds: int, folder: Path) -> None:
    booster.save_model(folder / "model.txt", num_iteration=rounds)
