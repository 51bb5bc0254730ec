"""What Evertune tells Prefect's event feed, for automations of whoever wants to react."""

from __future__ import annotations

from tasks.records import Result


def emit_verdict(result: Result) -> None:
    """`evertune.retrain.<verdict>` of the resource `evertune.model.<name>`, and `evertune.champion.promoted` where the alias moved."""
