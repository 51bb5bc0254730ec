"""Settings of the conditional branch."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tasks.settings.values import Duration, Fraction, Settings, refuse_bool


class AutoSettings(Settings):
    """When `tuning.when: auto` tunes although nothing forces it to."""

    max_age: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=30)
    """Tune when the last search is older than this (by the as-of dates)."""
    drift: Fraction = 0.5
    """Tune when more than this share of the columns drifted: as validation.drift counts it since the champion, else by a population
    stability index above 0.25 since the last search."""
    probe: Annotated[int, Field(ge=2, le=200)] = 8
    """Trials of the probe, which looks whether there is something to gain; the first one is of the champion's settings."""
    confidence: Fraction = 0.9
    """Tune when the probe's winner beats the incumbent on rows that did not choose it with this probability (paired bootstrap by day)."""


class MemorySettings(Settings):
    """What a search starts from: good settings of earlier retrains, scored again on today's folds before any is trusted."""

    settings: Annotated[int, Field(ge=0, le=50)] = 5
    """How many of them, the newest retrains' first; 0 starts cold."""
    portfolio: bool = True
    """Then the family's own few good and diverse settings, before the search proper."""
    renamed: dict[str, str] = {}
    """Parameters that were called otherwise in earlier configs: {old name: new name}."""


Count = Annotated[int, Field(ge=1), BeforeValidator(refuse_bool)]


Minutes = Annotated[float, Field(gt=0), BeforeValidator(refuse_bool)]


class TuningSettings(Settings):
    """The conditional branch: when it runs, how it searches, where it stops. Of several limits the first one reached ends the search."""

    when: Literal["always", "never", "auto"] = "always"
    """always re-tunes at each retrain; never trains with the last best hyperparameters; auto tunes when a probe says that it pays."""
    search: str = "auto"
    """How trials are proposed: auto, tpe, gp, cma_es, random, quasi_random, grid, hyperband or halving."""
    prune: Literal["auto", "racing", "median", "none"] = "auto"
    """How a trial that is behind is ended early: racing compares it with the best one block by block (paired), median with all others."""
    trials: Count | None = 50
    """Stop after this many trials; null for no such limit."""
    minutes: Minutes | None = 10.0
    """Stop after this long, the final fit's time reserved within it; null for no such limit. Hard: a hung trial is ended."""
    failed_trials: Count | None = 20
    """Stop once this many trials have failed."""
    trial_minutes: Minutes | None = None
    """End a trial whose fits, together, take longer than this; preparing its rows is not counted."""
    trial_memory: Annotated[float, Field(gt=0)] | None = None
    """End a trial whose process takes more than this many GB; a share of the free memory when left out."""
    min_trials: Count = 1
    """None of the rules below stops the search before this many trials."""
    no_progress_trials: Count | None = None
    """Stop when the best score has not improved for this many trials."""
    no_progress_minutes: Minutes | None = None
    """Stop when the best score has not improved for this long."""
    target: float | None = None
    """Stop when the metric reaches this value."""
    convergence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Stop when the ten best trials lie within this share of the best score."""
    on_all_failed: Literal["fail", "last_best"] = "fail"
    """What happens when every trial failed: the run fails (the champion stays), or it trains with the last best hyperparameters."""
    choice: Literal["best", "one_se"] = "best"
    """best: the best mean over folds; one_se: the cheapest of the trials that cannot be told from it (paired, one standard error)."""
    average: Annotated[int, Field(ge=1, le=10)] = 1
    """Train the mean of up to this many of the best trials, those that answer better together; 1 trains the chosen one alone."""
    finalists: Annotated[int, Field(ge=1, le=20)] = 3
    """How many of the best trials are kept for the next retrain, and reported."""
    parallel: Count | None = None
    """Trials side by side; as many as there are cores when left out, which the trials share out."""
    executor: Literal["processes", "dask"] = "processes"
    """Where trials run: processes of this machine, or a Dask cluster."""
    dask: str | None = None
    """The cluster's address, such as tcp://scheduler:8786."""
    reproducible: bool = False
    """Same seed, same trials, same result at any parallelism: trial n is proposed from trials up to n - 8 alone. No limits in minutes.
    A search that was killed and is gone on with is another one."""
    grid_points: Annotated[int, Field(ge=2, le=1000)] = 6
    """Values that a grid takes from a range without steps."""
    constraints: tuple[str, ...] = ()
    """What must hold between parameters, such as `num_leaves <= 2 ** max_depth`; proposals that break one are not run."""
    auto: AutoSettings = AutoSettings()
    memory: MemorySettings = MemorySettings()
