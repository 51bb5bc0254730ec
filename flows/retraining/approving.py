"""Approval: a deployed retrain whose verdict is `ask` suspends, asks in the Prefect UI, and goes on with the answer, elsewhere perhaps."""

from __future__ import annotations

from configs.schema import RetrainConfig
from tasks.records import Result


def find_answer(config: RetrainConfig) -> Result | None:
    """What a person answered, carried out, where this flow run is one that was suspended and is resumed; None for any other."""
    return None


def ask_person(config: RetrainConfig, result: Result) -> None:
    """Suspend the flow run until somebody answers; returns at once where there is no deployment to resume."""
