"""What a system is to the benchmark: a function from a month, a seed, seconds and a meter to a tuned model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tasks.records import Floats
from tests.benchmarks.tuning.cells import Attempt


@dataclass(frozen=True)
class Tuned:
    """`predict` maps raw columns to the probability of a late arrival. What a system leaves None, the meter knows."""

    predict: Callable[[pd.DataFrame], Floats]
    attempts: tuple[Attempt, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """LightGBM's names."""
    validation: float | None = None
    boosting_seconds: float | None = None
    workers: int = 1
    search_share: float | None = None
    memory: tuple[dict[str, Any], ...] = ()
    note: str = ""
