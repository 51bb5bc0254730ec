"""The plain script: an LGBMClassifier in an objective, the last month to validate on, an early stop, a final fit on all rows.

Optuna and Hyperopt get the same objective and the same space (that of Optuna's own LightGBM example, and the learning rate).
Both are stopped when what is left of the budget is what the final fit will take, reckoned from the best trial's own fit.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from lightgbm import LGBMClassifier, early_stopping

from tests.benchmarks.tuning.boosting import Meter
from tests.benchmarks.tuning.cells import Attempt
from tests.benchmarks.tuning.months import Month
from tests.benchmarks.tuning.systems.system import Tuned

ROUNDS = 2000
PATIENCE = 50
LOGARITHMIC = {"learning_rate": (0.01, 0.3), "reg_alpha": (1e-8, 10.0), "reg_lambda": (1e-8, 10.0)}
UNIFORM = {"colsample_bytree": (0.4, 1.0), "subsample": (0.4, 1.0)}
WHOLE = {"num_leaves": (2, 256), "min_child_samples": (5, 100), "subsample_freq": (1, 7)}


@dataclass
class Script:
    """The objective, and what it has seen."""

    month: Month
    seed: int
    budget: float
    meter: Meter
    started: float = field(default_factory=time.perf_counter)
    attempts: list[Attempt] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    best_loss: float = math.inf
    final_seconds: float = 0.0

    def __post_init__(self) -> None:
        train, valid = self.month.last_month
        frame, truth = self.month.plain(self.month.table.frame), self.month.truth
        self.every, self.train, self.valid = (frame, truth), (frame.iloc[train], truth[train]), (frame.iloc[valid], truth[valid])

    def classifier(self, **settings: Any) -> LGBMClassifier:
        return LGBMClassifier(n_jobs=-1, random_state=self.seed, verbosity=-1, **settings)

    def loss(self, settings: dict[str, Any]) -> float:
        """Validation log-loss of these settings."""
        model = self.classifier(n_estimators=ROUNDS, **settings)
        model.fit(*self.train, eval_set=[self.valid], eval_metric="binary_logloss", callbacks=[early_stopping(PATIENCE, verbose=False)])
        loss, fit = float(model.best_score_["valid_0"]["binary_logloss"]), self.meter.fits[-1]
        self.attempts.append(Attempt("finished", loss, self.elapsed, fit.work))
        if loss < self.best_loss:
            self.best, self.best_loss = {**settings, "n_estimators": model.best_iteration_}, loss
            self.final_seconds = fit.seconds / fit.rounds * model.best_iteration_ * len(self.every[1]) / fit.rows
        return loss

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @property
    def time_is_up(self) -> bool:
        return self.elapsed + self.final_seconds >= self.budget

    def finish(self) -> Tuned:
        """The final fit: the best settings on all rows, as many rounds as the best trial's early stop found."""
        model = self.classifier(**self.best).fit(*self.every)
        return Tuned(
            predict=lambda frame: model.predict_proba(self.month.plain(frame))[:, 1],
            attempts=tuple(self.attempts),
            settings=self.best,
            validation=self.best_loss,
        )


def optuna_script(month: Month, seed: int, budget: float, meter: Meter) -> Tuned:
    """Optuna as most people write it: a study with TPE, `timeout`, no pruner."""
    import optuna

    script = Script(month, seed, budget, meter)

    def objective(trial: Any) -> float:
        settings = {name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in LOGARITHMIC.items()}
        settings |= {name: trial.suggest_float(name, low, high) for name, (low, high) in UNIFORM.items()}
        return script.loss(settings | {name: trial.suggest_int(name, low, high) for name, (low, high) in WHOLE.items()})

    def reserve(study: Any, _: Any) -> None:
        if script.time_is_up:
            study.stop()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=budget - script.elapsed, callbacks=[reserve])
    return script.finish()


def hyperopt_script(month: Month, seed: int, budget: float, meter: Meter) -> Tuned:
    """Hyperopt's fmin with TPE and a timeout, on the same objective."""
    import numpy as np
    from hyperopt import fmin, hp, tpe  # type: ignore[import-not-found]

    script = Script(month, seed, budget, meter)
    whole = {name: hp.uniformint(name, low, high) for name, (low, high) in WHOLE.items()}
    space = {name: hp.loguniform(name, math.log(low), math.log(high)) for name, (low, high) in LOGARITHMIC.items()}
    space |= {name: hp.uniform(name, low, high) for name, (low, high) in UNIFORM.items()} | whole
    fmin(
        lambda settings: script.loss({name: int(value) if name in WHOLE else value for name, value in settings.items()}),
        space,
        algo=tpe.suggest,
        timeout=budget - script.elapsed,
        early_stop_fn=lambda *_: (script.time_is_up, {}),
        rstate=np.random.default_rng(seed),
        show_progressbar=False,
        return_argmin=False,
        verbose=False,
    )
    return script.finish()


def defaults(month: Month, seed: int, _: float, __: Meter) -> Tuned:
    """LightGBM's own defaults: one fit on all rows."""
    model = LGBMClassifier(n_jobs=-1, random_state=seed, verbosity=-1).fit(month.plain(month.table.frame), month.truth)
    return Tuned(predict=lambda frame: model.predict_proba(month.plain(frame))[:, 1])
