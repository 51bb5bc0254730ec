"""XGBoost: gradient-boosted trees by the histogram method, with its native categories."""

from __future__ import annotations

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
from tasks.records import Floats, Hyperparameters, Rows
from tasks.settings import Task
from tasks.spaces import Float, Int, Space

if TYPE_CHECKING:
    import xgboost

OBJECTIVES: dict[Task, str] = {
    "binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror", "ranking": "rank:ndcg",
}  # fmt: skip
KINDS = {
    "squared": "reg:squarederror", "absolute": "reg:absoluteerror", "quantile": "reg:quantileerror", "poisson": "count:poisson",
    "huber": "reg:pseudohubererror", "gamma": "reg:gamma", "tweedie": "reg:tweedie",
}  # fmt: skip
"""Our names of a regression's objectives -> XGBoost's."""
PARAMETERS = frozenset({
    "alpha", "base_score", "booster", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "device", "eta", "gamma",
    "grow_policy", "huber_slope", "interaction_constraints", "lambda", "max_cat_threshold", "max_cat_to_onehot", "max_delta_step",
    "max_depth", "max_leaves", "min_child_weight", "monotone_constraints", "normalize_type", "num_boost_round", "num_parallel_tree",
    "objective", "one_drop", "quantile_alpha", "rate_drop", "sample_type", "sampling_method", "scale_pos_weight", "skip_drop",
    "subsample", "tree_method", "tweedie_variance_power",
})  # fmt: skip
"""XGBoost's own names, from its documentation; the library itself cannot tell them."""
ELSEWHERE = {
    **{second: f"write {first}" for second, first in (("learning_rate", "eta"), ("min_split_loss", "gamma"))},
    **{second: f"write {first}" for second, first in (("reg_alpha", "alpha"), ("reg_lambda", "lambda"))},
    **dict.fromkeys(("n_estimators", "num_round", "num_trees"), "write num_boost_round"),
    "max_bin": "write model.max_bin",
    "early_stopping_rounds": "write model.early_stopping_rounds",
    "eval_metric": "write metric, at the top of the config",
    **dict.fromkeys(("seed", "random_state"), "write seed, at the top of the config"),
    **dict.fromkeys(("nthread", "n_jobs"), "write threads, at the top of the config"),
    "num_class": "it is told from the target",
}
PORTFOLIO: tuple[Hyperparameters, ...] = (
    {"eta": 0.1, "max_depth": 6, "min_child_weight": 5.0, "subsample": 0.9, "colsample_bytree": 0.7, "lambda": 1.0},
    {"eta": 0.05, "max_depth": 8, "min_child_weight": 20.0, "subsample": 0.8, "colsample_bytree": 0.6, "lambda": 5.0},
    {"eta": 0.1, "max_depth": 4, "min_child_weight": 10.0, "subsample": 0.8, "colsample_bytree": 0.8, "lambda": 1.0},
    {"eta": 0.05, "max_depth": 10, "min_child_weight": 50.0, "subsample": 0.7, "colsample_bytree": 0.5, "lambda": 10.0},
    {"eta": 0.2, "max_depth": 3, "min_child_weight": 1.0, "subsample": 1.0, "colsample_bytree": 0.9, "lambda": 1.0},
    {"eta": 0.03, "max_depth": 6, "min_child_weight": 1.0, "subsample": 0.6, "colsample_bytree": 0.5, "alpha": 1.0},
)
"""Good on other tables and unlike each other; the rest of the space stays at its defaults."""


@dataclass(frozen=True)
class Binned:
    """A fold's rows in XGBoost's bins, shared by its trials."""

    train: xgboost.DMatrix
    valid: xgboost.DMatrix | None = None
    watched: Watched | None = None


class XGBoost(Model):
    """Settings of an XGBoost model; `hyperparameters` take XGBoost's own names, and num_boost_round."""

    family: Literal["xgboost"]
    max_rounds: Annotated[int, Field(ge=1)] = 2000
    """Most boosting rounds a fold may take before it has to stop."""
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 30
    """A fold stops after this many rounds without a gain on its own validation rows."""
    max_bin: Annotated[int, Field(ge=2, le=65535)] = 256
    """Bins a feature; a property of the binned data, so fixed within a search."""
    objective: AnyObjective | None = None
    """What a regression is trained to predict: squared (the default), absolute, {kind: quantile, alpha: 0.9}, poisson, huber, ..."""

    requirements: ClassVar[tuple[str, ...]] = ("xgboost-cpu", "numpy", "pandas")
    rounds_name: ClassVar[str | None] = "num_boost_round"

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        if self.objective is not None and "objective" in {**self.hyperparameters, **self.space}:
            raise ValueError("objective: is given under hyperparameters or space too; leave it out there")
        return self

    def parameters(self) -> frozenset[str]:
        return PARAMETERS

    def elsewhere(self) -> dict[str, str]:
        return ELSEWHERE

    def default_space(self, task: Task) -> Space:
        return {
            "eta": Float(low=0.02, high=0.3, log=True, default=0.3),
            "max_depth": Int(low=3, high=10, default=6),
            "min_child_weight": Float(low=1.0, high=100.0, log=True, default=1.0),
            "subsample": Float(low=0.5, high=1.0, default=1.0),
            "colsample_bytree": Float(low=0.4, high=1.0, default=1.0),
            "alpha": Float(low=1e-3, high=10.0, log=True, default=1e-3),
            "lambda": Float(low=1e-2, high=30.0, log=True, default=1.0),
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
        return {"max_bin": self.max_bin}

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> Binned:
        import xgboost

        if reason := self.unfit_for(fitting.target.task) or self.unfit_for_truth(train.truth):
            raise TrainingFailed(f"model: {reason}")
        types = ["c" if k in train.categorical else "q" for k in range(len(train.names))]
        shared: dict[str, Any] = {
            "feature_types": types, "enable_categorical": True, "max_bin": self.max_bin, "nthread": fitting.threads,
        }  # fmt: skip
        rows, sizes, _ = by_query(train)
        binned = xgboost.QuantileDMatrix(rows.values, rows.truth, weight=_weight(rows, sizes), group=sizes, **shared)
        if valid is None:
            return Binned(binned)
        rows, sizes, order = by_query(valid)
        held_out = xgboost.QuantileDMatrix(rows.values, rows.truth, ref=binned, group=sizes, **shared)
        return Binned(binned, held_out, Watched(rows.truth, rows.query, order))

    def fit(self, prepared: Binned, fitting: Fitting) -> Native:
        import xgboost

        chosen = {name: value for name, value in self.hyperparameters.items() if name != self.rounds_name}
        known = [prepared.train] if prepared.valid is None else [prepared.train, prepared.valid]
        fixed = self._fixed(fitting)
        grown = xgboost.Booster(fixed | chosen, known)
        boosted = self._boost(grown, prepared, fitting)
        rounds, early = boosted.rounds, boosted.curve is not None
        booster = grown[:rounds] if rounds < grown.num_boosted_rounds() else grown
        gains = {} if early else booster.get_score(importance_type="total_gain")
        return Native(
            predict=lambda values: np.asarray(booster.inplace_predict(values), dtype=np.float64),
            save=lambda folder: _save(booster, folder),
            rounds=rounds,
            importance=None if early else np.array([float(gains.get(f"f{k}", 0.0)) for k in range(booster.num_features())]),
            valid_prediction=boosted.prediction,
            curve=boosted.curve,
            size=_leaves(booster, rounds * int(chosen.get("num_parallel_tree", 1)) * fixed.get("num_class", 1)),
        )

    def _boost(self, booster: xgboost.Booster, prepared: Binned, fitting: Fitting) -> Boosted:
        """All rounds that are given, or else as many as the watched rows call for."""

        def update() -> int:
            made = booster.num_boosted_rounds()
            booster.update(prepared.train, made)
            return int(made) + 1

        def answer() -> Floats:
            return np.asarray(booster.predict(prepared.valid), dtype=np.float64)

        given = self.hyperparameters.get("num_boost_round")
        if prepared.valid is None or prepared.watched is None:
            return Boosted(straight(update, UNTUNED_ROUNDS if given is None else int(given)))
        if given is not None:
            return Boosted(straight(update, int(given)), prepared.watched.as_given(answer()))
        whole = self.hyperparameters.get("booster") in ("dart", "gblinear")
        return boost(update, answer, prepared.watched, fitting, self.max_rounds, self.early_stopping_rounds, whole)

    def _fixed(self, fitting: Fitting) -> dict[str, Any]:
        task = fitting.target.task
        fixed: dict[str, Any] = {
            "objective": OBJECTIVES[task],
            "tree_method": "hist",
            "max_bin": self.max_bin,
            "nthread": fitting.threads,
            "seed": fitting.seed,
            "verbosity": 0,
        }
        if self.objective:
            own = {
                "quantile_alpha": self.objective.alpha,
                "huber_slope": self.objective.delta,
                "tweedie_variance_power": self.objective.power,
            }
            fixed |= {"objective": KINDS[self.objective.kind], **{name: value for name, value in own.items() if value is not None}}
        return fixed | ({"num_class": len(fitting.target.classes)} if task == "multiclass" else {})

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        import os

        import numpy as np
        import xgboost

        booster = xgboost.Booster(model_file=os.path.join(folder, "model.ubj"))
        return lambda values: np.asarray(booster.inplace_predict(values), dtype=np.float64)


def _weight(rows: Matrix, sizes: Rows | None) -> Floats | None:
    """Weights of the rows; of a ranking those of the queries, each the mean of its rows', since XGBoost has no others there."""
    if rows.weight is None or sizes is None:
        return rows.weight
    return np.add.reduceat(rows.weight, np.cumsum(sizes) - sizes) / sizes


def _leaves(booster: xgboost.Booster, trees: int) -> float:
    """Leaves of so many trees: a tree has one more than it has splits."""
    return float(sum(map(float, booster.get_score(importance_type="weight").values())) + trees)


def _save(booster: xgboost.Booster, folder: Path) -> None:
    booster.save_model(folder / "model.ubj")
