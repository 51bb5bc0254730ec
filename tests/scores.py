"""Made-up scores for the plots' tests, and a story around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tasks.records import Columns, Evaluation, Floats, Story, Target
from tests import stories


def noisy(rows: int = 2000, seed: int = 0) -> tuple[Floats, Floats]:
    """Truth and probabilities with ties, as trees give them."""
    random = np.random.default_rng(seed)
    prediction = random.beta(2, 4, rows).round(2)
    return (random.random(rows) < prediction).astype(float), prediction


def evaluated(task: Any, truth: Floats, prediction: Floats, champion: Floats | None = None) -> Story:
    """A story with nothing but these scores."""
    story = stories.promoted(task)
    assert story.table is not None
    table = replace(story.table, columns=Columns(Target("y", task), {}))
    evaluation = Evaluation("m", {}, {}, len(truth), "champion", "", truth, prediction, champion)
    return replace(story, table=table, search=None, evaluation=evaluation, importance={}, drift=None, attribution=None, past=())
