"""Stage: the tuning branch. A search over everything that may be chosen; what comes out is the same recipe with better values."""

from __future__ import annotations

from collections.abc import Callable

from tasks.models.recipes import Recipe
from tasks.records import Search
from tasks.stage import stage
from tasks.trials.tuner import Tuner


@stage("tune")
def tune_model(tuner: Tuner, last_best: Callable[[], Recipe]) -> tuple[Recipe, Search]:
    """Search until a limit is reached; the chosen recipe, and the whole search. `last_best` is asked when nothing was scored.

    Raises TrainingFailed when every trial failed, ServiceUnavailable when a store would not take the trials.
    """
    tuner.search()
    tuner.close()
    return tuner.finish(last_best)
