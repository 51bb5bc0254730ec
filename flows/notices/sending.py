"""Which notices an occurrence calls for, and sending them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.schema import RetrainConfig
from tasks.records import Result


def announce(config: RetrainConfig, occurrence: str, fields: Mapping[str, Any]) -> None:
    """Send every notice of `operation.notify` that is about this occurrence; a failure is logged, never raised."""


def announce_result(config: RetrainConfig, result: Result) -> None:
    """What a retrain came to, to whom it may concern."""
