"""Plot: which features the model leans on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.records import Story
from tasks.reports.plots.drawing import draw, label, label_room
from tasks.reports.plots.svg import CHALLENGER, QUIET
from tasks.wording import say_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
            "importance", "Feature importance", note, lambda axes: _paint(axes, names, shares), 12, height, label_room(names), 12
        )
    }


def _count(shown: int, all_of_them: int) -> str:
    return f"the first {shown} of {all_of_them} features" if shown < all_of_them else "all features"


def _paint(axes: Axes, names: list[str], shares: list[float]) -> None:
    places, longest = range(len(names)), max(*shares, 1e-12)
    axes.barh(places, shares, height=0.52, color=CHALLENGER, alpha=0.85, linewidth=0)
    for place, share in zip(places, shares, strict=True):
        axes.text(share + 0.008 * longest, place, say_share(share), va="center", fontsize=10.5, color=QUIET)
    axes.set_yticks(places, names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.09 * longest))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
