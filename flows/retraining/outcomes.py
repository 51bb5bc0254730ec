"""The outcome of this process's last retrain, kept for where Prefect's server is gone by the time that the flow would return it."""

from __future__ import annotations

from tasks.errors import EvertuneError
from tasks.records import Result

_last: Result | EvertuneError | None = None


def keep_outcome(outcome: Result | EvertuneError | None) -> None:
    """Remember what a retrain came to; None when one begins."""
    global _last
    _last = outcome


def last_outcome() -> Result | EvertuneError | None:
    """What the last retrain of this process came to; None where it came to nothing."""
    return _last
