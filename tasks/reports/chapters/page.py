"""What a report page is made of, before it is HTML or Markdown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tasks.wording import NOTHING

Tone = Literal["plain", "good", "bad", "warn", "quiet", "ask"]


@dataclass(frozen=True)
class Span:
    """An interval on a line from better (left) to worse (right); every place is from 0 to 1.

    `zero` is where both are alike and `margin` how much worse is allowed; `words` are for those who do not see it.
    """

    low: float
    middle: float
    high: float
    zero: float
    words: str
    margin: float | None = None
    tone: Tone = "plain"


@dataclass(frozen=True)
class Cell:
    """One cell of a table, and a quiet `note` after it.

    `number` aligns right, `code` is a name or value from outside, `strong` stands out, `share` (0 to 1) draws a bar,
    `link` makes the text itself an address to follow.
    """

    text: str
    note: str = ""
    tone: Tone = "plain"
    number: bool = False
    code: bool = False
    strong: bool = False
    share: float | None = None
    link: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """A table: headings above rows of as many cells. A `folded` one is shown on demand, under its `title`.

    `brief` is a line that says the same in Markdown, where a long table is in the way even when it is folded.
    """

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    folded: bool = False
    brief: str = ""


@dataclass(frozen=True)
class Figure:
    """One of the few numbers under the banner."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Banner:
    """The verdict: a word, what it means for the model that is live, the reason, and what a person can do: (what, command)."""

    word: str
    meaning: str
    reason: str
    tone: Tone
    commands: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Alert:
    """What nobody may overlook: bad where it stands against the model, warn where it weakens what the page says."""

    text: str
    tone: Tone = "bad"


@dataclass(frozen=True)
class Comparison:
    """The main metric against its rival's, in words and, where the rows tell something of noise, drawn; `key` names what is marked."""

    words: str
    span: Span | None = None
    key: str = ""


@dataclass(frozen=True)
class Chapter:
    """Sentences, then commands to copy, then tables, then plots (by their names in `tasks.reports.plots`)."""

    title: str
    sentences: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    plots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole report."""

    name: str
    as_of: str
    description: str
    banner: Banner
    facts: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    comparison: Comparison | None
    alerts: tuple[Alert, ...]
    chapters: tuple[Chapter, ...]
    config: str


def name_some(names: list[str], most: int = 12) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def without_empty(grid: Grid) -> Grid:
    """The table without the columns in which no row says anything."""
    kept = [
        place for place in range(len(grid.headings)) if any(row[place].text not in ("", NOTHING) or row[place].note for row in grid.rows)
    ]
    rows = tuple(tuple(row[place] for place in kept) for row in grid.rows)
    return replace(grid, headings=tuple(grid.headings[place] for place in kept), rows=rows)
