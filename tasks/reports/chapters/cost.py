"""Chapter: where the seconds went."""

from __future__ import annotations

from tasks.records import Story
from tasks.reports.chapters.page import Cell, Chapter, Grid
from tasks.wording import say_duration

OUTSIDE = "between the stages"


def tell_cost(story: Story) -> Chapter | None:
    """Seconds by stage in the order they ran, and what no stage accounts for when it is a twentieth or more."""
    stages = {name: spent for name, spent in story.result.seconds.items() if name != "total"}
    if not stages:
        return None
    total = story.result.seconds.get("total", sum(stages.values()))
    rest = total - sum(stages.values())
    if rest >= 0.05 * total:
        stages |= {OUTSIDE: rest}
    longest = max(*stages.values(), 1e-9)
    rows = tuple((Cell(name), Cell(say_duration(spent), number=True), Cell("", share=spent / longest)) for name, spent in stages.items())
    return Chapter("Cost", (f"{say_duration(total)} in all.",), grids=(Grid(("Stage", "Time", ""), rows),))
