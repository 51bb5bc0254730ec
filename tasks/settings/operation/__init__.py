"""Settings of operation: when retrains run, what sets them off, whom they ask and tell. None of it changes what is trained."""

from __future__ import annotations

from tasks.settings.operation.approval import ApprovalSettings
from tasks.settings.operation.events import DecayEvent, DriftEvent, EventSettings, NewDataEvent, OutsideEvent
from tasks.settings.operation.notices import EmailNotice, Notice, Occurrence, WebhookNotice
from tasks.settings.operation.schedules import Choices, OperationSettings, Schedule
from tasks.settings.operation.wishes import Promote, Tune

__all__ = [
    "ApprovalSettings",
    "Choices",
    "DecayEvent",
    "DriftEvent",
    "EmailNotice",
    "EventSettings",
    "NewDataEvent",
    "Notice",
    "Occurrence",
    "OperationSettings",
    "OutsideEvent",
    "Promote",
    "Schedule",
    "Tune",
    "WebhookNotice",
]
