"""Chapter: where the seconds went."""

from __future__ import annotations

from tasks.chapters.page import Cell, Chapter, Grid, Row
from tasks.records import Story
from tasks.wording import say_duration


def tell_cost(story: Story) -> Chapter | None:
    """Seconds by stage, in the order they ran."""
    stages = {name: spent for name, spent in story.result.seconds.items() if name != "total"}
    if not stages:
        return None
    total = story.result.seconds.get("total", sum(stages.values()))
    longest = max(*stages.values(), 1e-9)
    rows: tuple[Row, ...] = tuple(
        (Cell(name), Cell(say_duration(spent), number=True), Cell("", share=spent / longest)) for name, spent in stages.items()
    )
    return Chapter("Cost", (f"{say_duration(total)} in all.",), (Grid(("Stage", "Time", ""), rows),))
