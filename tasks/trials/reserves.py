"""Reserves: the time that is kept for what follows a search, told from the speed of its own fits."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.records import Trial

CAUTION = 1.3
"""What is kept is so many times what the fits should take."""
MOST = 0.5
UNKNOWN = 0.1
"""Shares of the limit of time: kept at most, and before any fit was timed."""
THREAD = 0.6
"""What each further thread adds to the speed of one fit: LightGBM on 300,000 rows."""


@dataclass(frozen=True)
class FinalFit:
    """What follows the search within its time: so many fits of the chosen settings on `rows` rows, with `threads` threads."""

    rows: int
    fits: int
    threads: int

    def seconds(self, trial: Trial, models: int = 1) -> float:
        """What all of them should take with this trial's settings; each fit trains so many models on rows prepared once."""
        fitted = sum(score.fit_seconds / max(score.rows, 1) for score in trial.scores) / len(trial.scores) * self.rows
        prepared = max(score.seconds - score.fit_seconds for score in trial.scores)
        return CAUTION * self.fits * (models * fitted / (1 + THREAD * (self.threads - 1)) + prepared)

    def reserve(self, trial: Trial | None, models: int, budget: float) -> float:
        """Seconds of the budget to keep; `trial` is the best so far, None before any fit was timed."""
        if not self.fits:
            return 0.0
        return UNKNOWN * budget if trial is None else min(MOST * budget, self.seconds(trial, models))

    def affordable(self, trial: Trial, most: int, left: float) -> int:
        """How many models, at least one, can be trained in the seconds that are left."""
        return next((models for models in range(most, 1, -1) if self.seconds(trial, models) <= left), 1)
