"""Settings of approval: how long a person is waited for, and what happens then."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from tasks.settings.values import Duration, Settings


class ApprovalSettings(Settings):
    """A verdict `ask` of a deployed retrain suspends its run and asks in the Prefect UI."""

    deadline: Duration = timedelta(days=3)
    """How long an answer is waited for."""
    default: Literal["reject", "approve"] = "reject"
    """What is done once the deadline has passed."""
