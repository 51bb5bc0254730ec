"""XGBoost: gradient-boosted trees by the histogram method, with its native categories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.records import Floats
from tasks.settings import Task
from tasks.spaces import Float, Int, Space

if TYPE_CHECKING:
    import xgboost

OBJECTIVES: dict[Task, str] = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
WATCHED = {
    "log_loss": {"binary": "logloss", "multiclass": "mlogloss"},
    "roc_auc": {"binary": "auc", "multiclass": "auc"},
    "average_precision": {"binary": "aucpr"},
    "mae": {"regression": "mae"},
    "mape": {"regression": "mape"},
}
FALLBACK: dict[Task, str] = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}


UNTUNED_ROUNDS = 200
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


class XGBoost(Model):
    """Settings of an XGBoost model; `hyperparameters` take XGBoost's own names, and num_boost_round."""

    family: Literal["xgboost"]
    max_rounds: Annotated[int, Field(ge=1)] = 2000
    """Most boosting rounds a fold may take before it has to stop."""
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 30
    """A fold stops after this many rounds without a gain on its own validation rows."""
    max_bin: Annotated[int, Field(ge=2, le=65535)] = 256
    """Bins a feature; a property of the binned data, so fixed within a search."""

    requirements: ClassVar[tuple[str, ...]] = ("xgboost-cpu", "numpy", "pandas")
    rounds_name: ClassVar[str | None] = "num_boost_round"

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

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> tuple[xgboost.DMatrix, xgboost.DMatrix | None]:
        import xgboost

        types = ["c" if k in train.categorical else "q" for k in range(len(train.names))]
        shared: dict[str, Any] = {
            "feature_types": types, "enable_categorical": True, "max_bin": self.max_bin, "nthread": fitting.threads,
        }  # fmt: skip
        binned = xgboost.QuantileDMatrix(train.values, train.truth, **shared)
        return binned, None if valid is None else xgboost.QuantileDMatrix(valid.values, valid.truth, ref=binned, **shared)

    def fit(self, prepared: Any, fitting: Fitting) -> Native:
        import xgboost

        train, valid = prepared
        chosen = dict(self.hyperparameters)
        given = chosen.pop("num_boost_round", None)
        params = self._fixed(fitting) | chosen
        if valid is None or given is not None:
            rounds = UNTUNED_ROUNDS if given is None else int(given)
            booster = xgboost.train(params, train, num_boost_round=rounds, callbacks=[_clock(fitting)])
        else:
            stop: dict[str, Any] = {"early_stopping_rounds": self.early_stopping_rounds, "verbose_eval": False}
            watched: dict[str, Any] = {"evals": [(valid, "valid")], "callbacks": [_clock(fitting)]}
            booster = xgboost.train(params, train, num_boost_round=self.max_rounds, **watched, **stop)
            rounds = booster.best_iteration + 1
            booster = booster[:rounds]
        gains = booster.get_score(importance_type="total_gain")
        return Native(
            predict=lambda values: np.asarray(booster.inplace_predict(values), dtype=np.float64),
            save=lambda folder: _save(booster, folder),
            rounds=rounds,
            importance=np.array([float(gains.get(f"f{k}", 0.0)) for k in range(booster.num_features())]),
        )

    def _fixed(self, fitting: Fitting) -> dict[str, Any]:
        task = fitting.target.task
        fixed: dict[str, Any] = {
            "objective": OBJECTIVES[task],
            "eval_metric": WATCHED.get(fitting.metric.name, {}).get(task, FALLBACK[task]),
            "tree_method": "hist",
            "max_bin": self.max_bin,
            "nthread": fitting.threads,
            "seed": fitting.seed,
            "verbosity": 0,
        }
        return fixed | ({"num_class": len(fitting.target.classes)} if task == "multiclass" else {})

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        import os

        import numpy as np
        import xgboost

        booster = xgboost.Booster(model_file=os.path.join(folder, "model.ubj"))
        return lambda values: np.asarray(booster.inplace_predict(values), dtype=np.float64)


def _clock(fitting: Fitting) -> xgboost.callback.TrainingCallback:
    import xgboost

    class Clock(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost is imported late, and untyped here
        def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            fitting.watch_clock()
            return False

    return Clock()


def _save(booster: xgboost.Booster, folder: Path) -> None:
    booster.save_model(folder / "model.ubj")
