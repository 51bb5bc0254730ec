"""The report's plots as SVG text."""

from __future__ import annotations

from tasks.records import Story


def plots(story: Story) -> dict[str, str]:
    """Every plot that this retrain has something to show in: name -> SVG."""
    return {}
