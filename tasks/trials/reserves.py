"""Reserves: the time that is kept for what follows a search, told from the speed of its own fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.records import FoldScore

CAUTION = 1.3
"""What is kept is so many times what the fits should take."""
MOST = 0.5
UNKNOWN = 0.1
"""Shares of the limit of time: kept at most, and before any fit was timed."""
THREAD, MANY = 0.3, 8
"""What each further thread adds to the speed of one fit (LightGBM on 190,000 rows), as far as threads still add something."""


@dataclass(frozen=True)
class FinalFit:
    """What follows the search within its time: so many fits of the chosen settings on `rows` rows, with `threads` threads."""

    rows: int
    fits: int
    threads: int

    def seconds(self, timed: Sequence[FoldScore], threads: int, models: int = 1) -> float:
        """What all of them should take, by fits that were `timed` with so many threads; each trains `models` on rows prepared once."""
        fitted = sum(score.fit_seconds / max(score.rows, 1) for score in timed) / len(timed) * self.rows * _speed(threads)
        prepared = max(score.seconds - score.fit_seconds for score in timed)
        beside = min(models, self.threads)  # as a blend fits its members
        return CAUTION * self.fits * (math.ceil(models / beside) * fitted / _speed(self.threads // beside) + prepared)

    def reserve(self, timed: Sequence[FoldScore], threads: int, models: int, budget: float) -> float:
        """Seconds of the budget to keep; `timed` is empty before any fit was."""
        if not self.fits:
            return 0.0
        return min(MOST * budget, self.seconds(timed, threads, models)) if timed else UNKNOWN * budget

    def affordable(self, timed: Sequence[FoldScore], threads: int, most: int, left: float) -> int:
        """How many models, at least one, can be trained in the seconds that are left; the caution was in the reserve."""
        return next((models for models in range(most, 1, -1) if self.seconds(timed, threads, models) <= CAUTION * left), 1)


def _speed(threads: int) -> float:
    """Of a fit, against one thread's."""
    return 1 + THREAD * (min(threads, MANY) - 1)
