"""Plot: which features the model leans on."""

from __future__ import annotations

from tasks.records import Story
from tasks.reports.plots.drawing import bars, draw, label, label_room

MOST = 20


def draw_importance(story: Story) -> dict[str, str]:
    """`importance`: the 20 features with the largest share of the model's gain."""
    first = sorted(((name, share) for name, share in story.importance.items() if share > 0), key=lambda item: -item[1])[:MOST]
    if not first:
        return {}
    names, shares = [label(name) for name, _ in first], [share for _, share in first]
    note = f"share of the total gain; {_count(len(first), len(story.importance))}"
    height = 74 + 19.0 * len(first)
    return {
        "importance": draw(
            "importance", "Feature importance", note, lambda axes: bars(axes, names, shares), 12, height, label_room(names), 12
        )
    }


def _count(shown: int, all_of_them: int) -> str:
    return f"the first {shown} of {all_of_them} features" if shown < all_of_them else "all features"
