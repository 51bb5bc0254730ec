"""What a peer's process spends inside LightGBM, read off every call of its `train`, whoever makes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fit:
    """One call: rows of its training set, the rounds that were run (also those an early stop threw away), seconds of boosting."""

    rows: int
    rounds: int
    seconds: float

    @property
    def work(self) -> float:
        return float(self.rows * self.rounds)


@dataclass
class Meter:
    """The fits so far, in order."""

    fits: list[Fit] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(fit.seconds for fit in self.fits)


@contextmanager
def metered() -> Iterator[Meter]:
    """Count what LightGBM trains inside the block, by either of its interfaces; binning is not boosting, and is taken off."""
    import lightgbm
    import lightgbm.sklearn

    meter, train, construct = Meter(), lightgbm.sklearn.train, lightgbm.Dataset.construct
    binning = [0.0]

    def timed_construct(self: Any) -> Any:
        if self._handle is not None:
            return construct(self)
        before, began = binning[0], time.perf_counter()
        built = construct(self)
        binning[0] = before + time.perf_counter() - began  # a validation set builds its training set first: not twice
        return built

    def timed_train(params: Any, train_set: Any, *args: Any, **kwargs: Any) -> Any:
        binned, began = binning[0], time.perf_counter()
        booster = train(params, train_set, *args, **kwargs)
        seconds = time.perf_counter() - began - (binning[0] - binned)
        meter.fits.append(Fit(train_set.num_data(), booster.current_iteration(), seconds))
        return booster

    lightgbm.train = lightgbm.sklearn.train = timed_train
    lightgbm.Dataset.construct = timed_construct
    try:
        yield meter
    finally:
        lightgbm.train = lightgbm.sklearn.train = train
        lightgbm.Dataset.construct = construct
