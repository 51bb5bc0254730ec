"""What it costs to answer: time and size, measured on this machine through the path that serving takes."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from tasks.records import Floats, ServingCost
from tasks.serving import answer

MANY = 1000
REPEATS, FEWEST = 31, 3
PATIENCE = 0.5
"""Seconds for all repeats of one measurement, once the fewest are in: a slow model need not be asked often to be called slow."""


class Servable(Protocol):
    """What is measured, such as a `tasks.models.model.Fitted`."""

    @property
    def plan(self) -> dict[str, Any]: ...

    def predict(self, frame: Any) -> Floats: ...

    def save(self, folder: Path) -> Path: ...


def measure_cost(fitted: Servable, frame: pd.DataFrame) -> ServingCost:
    """Median milliseconds to answer one raw row and 1,000 at once, and the megabytes that saving it writes.

    Rows are taken from `frame` in turn, again from the start where there are too few. A first call that is not
    counted warms up what a server would have warm. Reading JSON and the network are not part of it.
    """
    plan = fitted.plan
    raw = frame[[column["name"] for column in plan["columns"]]]

    def ask(rows: pd.DataFrame) -> None:
        answer(plan, fitted.predict(rows))

    one = (raw.iloc[[turn % len(raw)]] for turn in range(REPEATS))
    many = raw.iloc[np.arange(MANY) % len(raw)].reset_index(drop=True)
    return ServingCost(_median_ms(ask, one), _median_ms(ask, (many for _ in range(REPEATS))), _megabytes(fitted))


def _median_ms(ask: Callable[[pd.DataFrame], None], requests: Iterable[pd.DataFrame]) -> float:
    spent: list[float] = []
    for turn, rows in enumerate(requests):
        started = time.perf_counter()
        ask(rows)
        spent += [time.perf_counter() - started] * (turn > 0)
        if len(spent) >= FEWEST and sum(spent) > PATIENCE:
            break
    return 1000 * statistics.median(spent)


def _megabytes(fitted: Servable) -> float:
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
