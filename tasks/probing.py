"""Stage: the probe of `auto`. The incumbent and a few other settings on today's folds, before anything is decided."""

from __future__ import annotations

from tasks.records import Trial
from tasks.stage import stage
from tasks.trials.tuner import Tuner


@stage("probe")
def probe_settings(tuner: Tuner, trials: int) -> tuple[Trial, ...]:
    """Run so many trials, the incumbent first. They are part of the search, should one follow."""
    tuner.search(most=trials)
    return tuner.trials
