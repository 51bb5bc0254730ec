"""FLAML: AutoML over LightGBM alone, on a holdout of the last month, within its own time budget."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from lightgbm import LGBMClassifier

from tests.benchmarks.tuning.boosting import Meter
from tests.benchmarks.tuning.cells import Attempt
from tests.benchmarks.tuning.months import Month
from tests.benchmarks.tuning.systems.system import Tuned


def flaml_automl(month: Month, seed: int, budget: float, meter: Meter) -> Tuned:
    """FLAML's documented way to hold to a budget: `retrain_full="budget"`, which leaves time for the fit on all rows.

    Where it found none, its chosen settings are fitted on all rows all the same, so that no peer is judged on an older model.
    """
    from flaml import AutoML  # type: ignore[import-not-found]

    frame, truth = month.plain(month.table.frame), month.truth
    _, valid = month.last_month
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "flaml.log"
        automl = AutoML()
        automl.fit(
            frame,
            truth,
            task="classification",
            metric="log_loss",
            estimator_list=["lgbm"],
            time_budget=budget,
            eval_method="holdout",
            split_type="time",
            split_ratio=len(valid) / len(truth),
            retrain_full="budget",
            n_jobs=-1,
            seed=seed,
            log_file_name=str(log),
            log_type="all",
            verbose=0,
        )
        attempts = _attempts(log, meter, len(truth))
    model: Any = automl
    settings = automl.model.estimator.get_params()
    refitted = _rows_seen(automl.model.estimator) == len(truth)
    if not refitted:
        model = LGBMClassifier(**settings).fit(frame, truth)
    return Tuned(
        predict=lambda raw: model.predict_proba(month.plain(raw))[:, 1],
        attempts=attempts,
        settings=settings,
        validation=automl.best_loss,
        note="" if refitted else "its own budget left no time for the fit on all rows",
    )


def _attempts(log: Path, meter: Meter, rows: int) -> tuple[Attempt, ...]:
    """FLAML's own log of its trials, each with its fit; fits on all `rows` are no trials."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    trials = [line for line in lines if "validation_loss" in line]
    fits = iter(fit for fit in meter.fits if fit.rows < rows)
    return tuple(Attempt("finished", trial["validation_loss"], trial["wall_clock_time"], next(fits).work) for trial in trials)


def _rows_seen(classifier: LGBMClassifier) -> int:
    """How many rows a model was fitted on: those at the root of its first tree (FLAML does not bag)."""
    root = classifier.booster_.dump_model(num_iteration=1)["tree_info"][0]["tree_structure"]
    return int(root.get("internal_count", root.get("leaf_count", 0)))
