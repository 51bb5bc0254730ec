"""Artifacts: what a Prefect run shows beside its log. Outside a flow each function does nothing, and Prefect is not imported.

A server of Prefect's that is away costs the artifact, and those of the next half minute, never the retrain.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from tasks.records import Report, Result, Search
from tasks.reports.chapters.verdict import say_verdict
from tasks.reports.iterations import say_search, trial_lines
from tasks.stage import inside_flow
from tasks.wording import clean

REST_SECONDS = 30.0
log = logging.getLogger("evertune")


class _Server:
    """Prefect's, as far as artifacts are concerned: where it did not answer it is left alone for a while."""

    away_until = 0.0


def publish_table(key: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """A table of flat rows; `key` is of lower-case letters, digits and dashes. What the page could not show becomes text or nothing."""
    if inside_flow():
        from prefect.artifacts import create_table_artifact

        plain = [{name: plain_value(value) for name, value in row.items()} for row in rows]
        _publish(key, lambda: create_table_artifact(plain, key=key, description=description))


def publish_markdown(key: str, text: str, description: str) -> None:
    """A page in Markdown."""
    if inside_flow():
        from prefect.artifacts import create_markdown_artifact

        _publish(key, lambda: create_markdown_artifact(text, key=key, description=description))


def publish_link(key: str, url: str, text: str, description: str = "") -> None:
    """A link to somewhere else; the list of artifacts shows the description, else the address."""
    if inside_flow():
        from prefect.artifacts import create_link_artifact

        _publish(key, lambda: create_link_artifact(url, link_text=text, key=key, description=description or url))


def publish_report(report: Report, result: Result) -> None:
    """The whole page, with the verdict and its reason in the list of artifacts."""
    publish_markdown("report", report.markdown, clean(f"{say_verdict(result.verdict)}: {result.reason}"))


def publish_trials(search: Search) -> None:
    """Every trial of a search, the best first; nothing where there was none."""
    if search.trials:
        publish_table("trials", trial_lines(search), say_search(search))


def _publish(key: str, publish: Callable[[], Any]) -> None:
    """Do it; where the server is away say so. An artifact that is refused is a bug, and raised."""
    from httpx import TransportError

    if time.monotonic() < _Server.away_until:
        return log.warning("Prefect's server is away: its run goes without the artifact %s", key)
    try:
        publish()
    except TransportError as error:
        _Server.away_until = time.monotonic() + REST_SECONDS
        log.warning("Prefect's server does not answer (%s): its run goes without the artifact %s", error, key)


def plain_value(value: Any) -> Any:
    """Text, a number, a truth value or None: numpy's own types fail on the way, and one infinity leaves the whole page empty."""
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return clean(value)


class ProgressArtifact:
    """A bar on the run's page: made at the first `publish`, changed by the others (6 to 8 ms each)."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._id: Any = None

    def publish(self, percent: float, text: str) -> None:
        """Show 0 to 100 per cent and a line of Markdown. Raises Prefect's errors."""
        if not inside_flow():
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        if self._id is None:
            self._id = create_progress_artifact(percent, key=self._key, description=text)
        else:
            update_progress_artifact(self._id, percent, description=text)
