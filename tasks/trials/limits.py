"""Limits: what ends a search, the first one reached; each in words that a report can print."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.metrics import Metric
from tasks.records import Trial
from tasks.settings import TuningSettings

HOPELESS = 10
"""A search whose first trials all fail is at fault itself."""
TOP = 10
"""Convergence looks at this many of the best."""


def reached(settings: TuningSettings, trials: Sequence[Trial], metric: Metric, elapsed: float) -> str:
    """Which limit ends the search now; empty while none does. `elapsed` in seconds; the limit of time is the deadline's."""
    finished = [trial for trial in trials if trial.state == "finished"]
    failed = sum(trial.state == "failed" for trial in trials)
    if settings.trials is not None and len(trials) >= settings.trials:
        return f"{settings.trials} trials"
    if failed == len(trials) >= HOPELESS:
        return f"each of the first {failed} trials failing"
    if settings.failed_trials is not None and failed >= settings.failed_trials:
        return f"{failed} failed trial" + ("s" if failed > 1 else "")
    if not finished or len(trials) < settings.min_trials:
        return ""
    best = min(finished, key=lambda trial: metric.loss(trial.value or 0.0))
    return (
        _target(settings, best, metric)
        or _no_progress(settings, trials, finished, metric, elapsed)
        or _converged(settings, finished, metric)
    )


def _target(settings: TuningSettings, best: Trial, metric: Metric) -> str:
    if settings.target is None or best.value is None or metric.is_worse(best.value, settings.target):
        return ""
    return f"{metric.name} reaching {settings.target:g}"


def _no_progress(settings: TuningSettings, trials: Sequence[Trial], finished: Sequence[Trial], metric: Metric, elapsed: float) -> str:
    """Since the best score was last improved: trials that ended after it, seconds after it ended."""
    loss, since, at = math.inf, 0, 0.0
    ended = {id(trial): place for place, trial in enumerate(trials)}
    for trial in finished:
        if (value := metric.loss(trial.value or 0.0)) < loss:
            loss, since, at = value, len(trials) - 1 - ended[id(trial)], trial.started + trial.seconds
    if settings.no_progress_trials is not None and since >= settings.no_progress_trials:
        return f"{since} trials without progress"
    if settings.no_progress_minutes is not None and elapsed - at >= 60 * settings.no_progress_minutes:
        return f"{settings.no_progress_minutes:g} min without progress"
    return ""


def _converged(settings: TuningSettings, finished: Sequence[Trial], metric: Metric) -> str:
    if settings.convergence is None or len(finished) < TOP:
        return ""
    losses = sorted(metric.loss(trial.value or 0.0) for trial in finished)
    if losses[TOP - 1] - losses[0] > settings.convergence * abs(losses[0]):
        return ""
    return f"the {TOP} best trials lying within {settings.convergence:.2%} of each other"
