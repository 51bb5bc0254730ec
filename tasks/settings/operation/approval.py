"""Settings of approval: how long a person is waited for, and what happens then."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import field_validator

from tasks.settings.values import Duration, Settings, format_duration

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=365)


class ApprovalSettings(Settings):
    """A verdict `ask` of a deployed retrain suspends its run and asks in the Prefect UI."""

    deadline: Duration = timedelta(days=3)
    """How long an answer is waited for."""
    default: Literal["reject", "approve"] = "reject"
    """What is done once the deadline has passed."""

    @field_validator("deadline")
    @classmethod
    def _require_sensible(cls, deadline: timedelta) -> timedelta:
        if not SHORTEST <= deadline <= LONGEST:
            raise ValueError(f"must be from {format_duration(SHORTEST)} to {format_duration(LONGEST)}, got {format_duration(deadline)}")
        return deadline
