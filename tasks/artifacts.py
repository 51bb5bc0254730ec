"""Artifacts: what a Prefect run shows beside its log. Outside a flow each function does nothing, and Prefect is not imported."""

from __future__ import annotations

from typing import Any

from tasks.stage import inside_flow


def publish_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """A table of flat rows; `key` is of lower-case letters, digits and dashes."""
    if inside_flow():
        from prefect.artifacts import create_table_artifact

        create_table_artifact(rows, key=key, description=description)


def publish_markdown(key: str, text: str, description: str) -> None:
    """A page in Markdown."""
    if inside_flow():
        from prefect.artifacts import create_markdown_artifact

        create_markdown_artifact(text, key=key, description=description)


def publish_link(key: str, url: str, text: str) -> None:
    """A link to somewhere else."""
    if inside_flow():
        from prefect.artifacts import create_link_artifact

        create_link_artifact(url, link_text=text, key=key)


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
