"""One set of axes in the house's style: no frame, faint lines, the title and how to read it on top."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.records import Floats
from tasks.reports.plots.svg import CHALLENGER, INK, LINE, QUIET, tidy
from tasks.wording import MINUS, clean, say_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Paint = Callable[["Axes"], None]
Box = tuple[float, float, float, float]
"""Left, top, width, height in px."""
COLUMN, GAP = 55.0, 20.0  # twelve columns and their gaps make the 880 px that the page is wide
SHEET = 12 * COLUMN + 11 * GAP
TOP, RIGHT, PANEL_GAP = 52.0, 12.0, 22.0
DASHES = (0, (4, 2))
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "evertune", "path.simplify": False, "text.parse_math": False}


def draw(
    name: str, title: str, note: str, paint: Paint, columns: int = 4, height: float = 280, left: float = 44, bottom: float = 42
) -> str:
    """The SVG of what `paint` puts on the axes, `columns` of the page's twelve wide; `note` says how to read it. Lengths in px."""
    width = columns * COLUMN + (columns - 1) * GAP
    return draw_sheet(name, title, note, [((left, TOP, width - left - RIGHT, height - TOP - bottom), paint)], columns, height)


def draw_panels(name: str, title: str, note: str, paints: list[Paint], across: int = 4, panel: float = 150) -> str:
    """Small panels side by side over the page's whole width, `across` in a row, each `panel` px high with room for its own title."""
    left, head, foot = 44.0, 24.0, 30.0
    wide = (SHEET - left - RIGHT - (across - 1) * PANEL_GAP) / across
    tall = head + panel + foot
    places = [
        ((left + k % across * (wide + PANEL_GAP), TOP - 6 + k // across * tall + head, wide, panel), paint)
        for k, paint in enumerate(paints)
    ]
    return draw_sheet(name, title, note, places, 12, TOP - 6 + -(-len(paints) // across) * tall)


def draw_sheet(name: str, title: str, note: str, places: list[tuple[Box, Paint]], columns: int, height: float) -> str:
    """One sheet with axes in several places, `columns` of the page's twelve wide and `height` px high."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    width = columns * COLUMN + (columns - 1) * GAP
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")  # the reader's browser has the fonts, this machine need not
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        title, note = clean(title, 80), clean(note, 140)
        figure.text(0, 1 - 13 / height, title, fontsize=12.5, fontweight="bold", color=INK)
        figure.text(0, 1 - 29 / height, note, fontsize=11, color=QUIET)
        for (left, top, wide, high), paint in places:
            axes = figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))
            _dress(axes)
            paint(axes)
        written = io.BytesIO()
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    return tidy(written.getvalue(), name, f"{title}: {note}", columns)


def _dress(axes: Axes) -> None:
    axes.patch.set_visible(False)
    axes.figure.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=LINE, linewidth=1)
    axes.grid(color=LINE, linewidth=0.6, alpha=0.45)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5, labelsize=11, labelcolor=INK)
    axes.locator_params(nbins=5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=QUIET, fontsize=11)
        say_ticks(axis)


def say_ticks(axis: Any, percent: bool = False) -> None:
    """Tick labels as a person writes them: thousands separated, all with as many decimals as the finest needs."""
    from matplotlib.ticker import FuncFormatter

    def say(value: float, _: int | None) -> str:
        scale = 100 if percent else 1
        text = f"{scale * value:,.{decimals(scale * axis.get_majorticklocs())}f}".replace("-", MINUS)
        return f"{text} %" if percent else text

    axis.set_major_formatter(FuncFormatter(say))


def decimals(ticks: Floats) -> int:
    """How many decimals tell evenly spaced ticks apart."""
    return next((count for count in range(9) if np.allclose(np.round(ticks, count), ticks, rtol=0, atol=1e-3 * np.ptp(ticks))), 9)


def legend(axes: Axes, place: str) -> None:
    """Names in a corner or `above` the sheet, no frame; the challenger, painted last to lie on top, first."""
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda k: not names[k].startswith("challenger"))
    style: dict[str, Any] = {
        "frameon": False,
        "fontsize": 11,
        "labelcolor": INK,
        "handlelength": 1.6,
        "handletextpad": 0.6,
        "borderaxespad": 0.3,
    }
    if place == "above":
        style |= {"bbox_to_anchor": (1.0, 1.0), "ncols": len(names), "columnspacing": 1.2, "borderpad": 0.2}
    axes.legend([handles[k] for k in order], [names[k] for k in order], loc="lower right" if place == "above" else place, **style)


def bars(axes: Axes, names: list[str], shares: list[float], gap: float = 0.008) -> None:
    """A bar a name, the longest as wide as the sheet, its share in figures after it; the first one on top."""
    places, longest = range(len(names)), max(*shares, 1e-12)
    axes.barh(places, shares, height=0.52, color=CHALLENGER, alpha=0.85, linewidth=0)
    for place, share in zip(places, shares, strict=True):
        axes.text(share + gap * longest, place, say_share(share), va="center", fontsize=10.5, color=QUIET)
    axes.set_yticks(places, names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, (1.02 + 9 * gap) * longest))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def dots(axes: Axes, x: Floats, y: Floats, colour: str, size: float, alpha: float = 1.0, label: str = "_") -> None:
    """Round dots of `size` px as one path: a tenth of the text that a marker each would be."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if len(x):
        path = Path(np.repeat(np.column_stack([x, y]), 2, axis=0), np.tile([Path.MOVETO, Path.LINETO], len(x)))
        axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=size, alpha=alpha, capstyle="round"))
    axes.plot([], [], "o", color=colour, markersize=size, markeredgewidth=0, label=label)


def thin(x: Floats, y: Floats, points: int = 240) -> tuple[Floats, Floats]:
    """At most so many points of a line, spread evenly along its length on a square sheet; its ends stay."""
    if len(x) <= points:
        return x, y
    spans = [max(float(np.ptp(values)), 1e-12) for values in (x, y)]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x) / spans[0], np.diff(y) / spans[1]))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(max=len(x) - 1))
    return x[kept], y[kept]


def spread(count: int, most: int) -> Any:
    """Positions of at most `most` of `count` things, evenly apart."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)) if count else np.empty(0, dtype=np.int64)


def label(text: object, limit: int = 28) -> str:
    """Foreign text as a label: one clean, short line."""
    return clean(text, limit) or "(empty)"


def label_room(labels: list[str], most: float = 190) -> float:
    """How many px the longest label takes, about."""
    return min(most, 14 + 6.4 * max((len(text) for text in labels), default=0))
