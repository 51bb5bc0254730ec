"""Stage: the probe of `auto`. The incumbent and a few other settings on today's folds, before it is decided whether to tune."""

from __future__ import annotations

import time

from tasks.stage import stage
from tasks.trials.tuner import Tuner


@stage("probe")
def probe_settings(tuner: Tuner, trials: int) -> float:
    """Run so many trials, the incumbent first; the seconds it took. They are part of the search, should one follow.

    None is pruned: racing would choose among them on the newest fold, which is to confirm what the others chose.
    """
    began = time.monotonic()
    tuner.search(most=trials, prune=False)
    return time.monotonic() - began
