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
