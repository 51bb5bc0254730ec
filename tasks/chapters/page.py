"""What a report page is made of, before it is HTML or Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "good", "bad", "warn", "quiet"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table. `number` aligns right, `code` is a name or value from outside, `share` (0 to 1) draws a bar."""

    text: str
    tone: Tone = "plain"
    number: bool = False
    code: bool = False
    share: float | None = None
    link: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """A table: headings above rows of as many cells. A `folded` one is shown on demand, under its `title`."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """One of the few numbers under the banner."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Banner:
    """The verdict: a word, what it means for the model that is live, and the reason."""

    word: str
    meaning: str
    reason: str
    tone: Tone


@dataclass(frozen=True)
class Chapter:
    """Sentences, then tables, then plots (by their names in `tasks.plots`); `commands` are shown to be copied."""

    title: str
    sentences: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    plots: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole report."""

    name: str
    description: str
    banner: Banner
    facts: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    alerts: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    config: str
