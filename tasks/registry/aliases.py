"""Aliases: the one commit point, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.errors import Conflict
from tasks.records import Champion
from tasks.registry.versions import ALIAS, current_version
from tasks.tracking import Tracker


def promote(tracker: Tracker, name: str, version: str, before: Champion | None) -> None:
    """Point the alias at the version: the one commit point. Raises Conflict when somebody moved it since `before` was read."""
    now = current_version(tracker, name)
    if now != (before.version if before else None) and now != version:
        raise Conflict(
            f"the champion of {name} moved from v{before.version if before else '-'} to v{now} during this run; the alias was left alone"
        )
    tracker.client.set_registered_model_alias(name, ALIAS, version)
    tracker.client.set_model_version_tag(name, version, "evertune.promoted", datetime.now(UTC).isoformat(timespec="seconds"))
