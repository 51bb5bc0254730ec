"""Stage: put the winner into the registry. The alias moves last, and is the one commit point."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tasks.models.model import Fitted
from tasks.records import Champion
from tasks.registry import find_version, promote, prove_it_answers, register, save_model
from tasks.stage import stage
from tasks.tracking import Run

EXAMPLES = 200


@stage("register")
def register_model(
    run: Run, fitted: Fitted, frame: pd.DataFrame, name: str, identity: str, tags: dict[str, Any], champion: Champion | None
) -> str:
    """Log the model, prove that it loads and answers, register a version, move the alias; returns the version.

    Until the alias moves, everything can be thrown away. A version that an earlier process of the same identity
    registered is used again. Raises TrainingFailed, or Conflict when the alias was moved meanwhile.
    """
    version = find_version(run.tracker, name, identity)
    if version is None:
        example = frame.sample(min(EXAMPLES, len(frame)), random_state=0)
        uri = save_model(run, fitted, example, name, tags)
        prove_it_answers(uri, fitted, example)
        version = register(run.tracker, name, uri, run.id, tags, identity)
    promote(run.tracker, name, version, champion)
    return version
