"""One job, carried out: the pure part, the same in every worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.executors.executor import Job, Workload
from tasks.executors.folds import FoldStore, PreparedFolds
from tasks.metrics import Metric, find_metric, labels
from tasks.models.model import Fitting, Matrix, Native
from tasks.models.recipes import read_recipe
from tasks.records import Floats, FoldScore

CURVE_POINTS = 60


class Bench:
    """What a worker keeps between jobs: the workload, and the folds it has prepared (the last few of them).

    `store` is a folder that workers of one machine share: a fold prepared by one is read by the others. Folds are
    forgotten, the one not used for longest first, while this process holds more than `keep_bytes`. `read_rows` is for a
    workload that came without its rows: they are there only while a fold is built from them, if the store has room for it.
    """

    def __init__(
        self,
        workload: Workload,
        store: Path | None = None,
        keep: int = 12,
        keep_bytes: float = math.inf,
        read_rows: Callable[[], pd.DataFrame] | None = None,
    ) -> None:
        self.workload = workload
        self._folds = PreparedFolds(workload, FoldStore(store) if store is not None else None, keep, keep_bytes, read_rows)

    def score(self, job: Job, fitting_begins: Callable[[], None] = lambda: None) -> FoldScore:
        """Fit and score; `fitting_begins` is called when the rows are prepared.

        Raises whatever the library raises; ArithmeticError for a score that is no finite number.
        """
        began = time.perf_counter()
        work = self.workload
        recipe = read_recipe(job.recipe)
        metric = find_metric(work.metric)
        fitting = Fitting(work.columns.target, metric, work.seed, work.threads)
        prepared = self._folds.get(recipe, job, fitting)
        fitting_begins()
        fit_began = time.perf_counter()
        native = recipe.model.fit(prepared.train, fitting)
        fit_seconds = time.perf_counter() - fit_began
        prediction = native.valid_prediction if native.valid_prediction is not None else native.predict(prepared.valid.values)
        answer = labels(prediction) if metric.decides else prediction
        value = metric.measure(prepared.valid.truth, answer, prepared.valid.query)
        if not math.isfinite(value):
            raise ArithmeticError(f"{metric.name} is {value}, not a finite number")
        return FoldScore(
            fold=job.fold,
            share=job.share,
            value=value,
            blocks=_by_block(metric, prepared.valid, answer, work.blocks[job.fold]),
            rows=prepared.rows,
            rounds=native.rounds,
            size=native.size,
            fit_seconds=fit_seconds,
            seconds=time.perf_counter() - began,
            curve=_thinned(native),
            prediction=np.asarray(prediction, dtype=np.float32) if work.keep_predictions and job.share == 1 else None,
        )


def _by_block(metric: Metric, scored: Matrix, answer: Floats, blocks: Any) -> tuple[float, ...]:
    """The metric on each block; NaN where a block's rows do not define it."""
    order = np.argsort(blocks, kind="stable")
    edges = np.flatnonzero(np.diff(blocks[order])) + 1
    values = []
    for rows in np.split(order, edges):
        try:
            query = None if scored.query is None else scored.query[rows]
            values.append(float(metric.measure(scored.truth[rows], answer[rows], query)))
        except ValueError:  # scikit-learn's word for a metric that these rows do not define
            values.append(math.nan)
    return tuple(values)


def _thinned(native: Native) -> tuple[tuple[int, float], ...]:
    """At most CURVE_POINTS points of the learning curve, evenly spread, the last one among them."""
    curve = native.curve
    if curve is None or not len(curve):
        return ()
    at = np.unique(np.linspace(0, len(curve) - 1, CURVE_POINTS).round().astype(int))
    return tuple((int(k) + 1, float(curve[k])) for k in at)
