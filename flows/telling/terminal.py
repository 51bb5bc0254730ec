"""One line of a terminal that is drawn again and again; whatever else is written meanwhile goes above it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

BAR, SMALLEST_BAR = 28, 8
"""Columns of the bar: it gives way to the words, and is left out rather than be tiny."""


class LiveLine:
    """A bar and some words on a terminal; nothing at all where `stream` is none. `close` wipes it, and may be called twice."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None
        self._closed = False
        self._moved: list[tuple[logging.StreamHandler[Any], Any]] = []

    @property
    def alive(self) -> bool:
        """Whether there is a terminal that can draw."""
        from rich.console import Console

        return self._live is not None or (not self._closed and self._stream.isatty() and not Console(file=self._stream).is_dumb_terminal)

    def draw(self, words: list[str], share: float | None) -> None:
        """Show these words, and how much of the way is gone (0 to 1)."""
        if self._live is None:
            self._start()
        assert self._live is not None
        self._live.update(_line(words, share, self._live.console.width), refresh=True)

    def close(self) -> None:
        live, self._live, self._closed = self._live, None, True
        for handler, stream in self._moved:
            handler.setStream(stream)
        if live is not None:
            live.stop()

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        shared = sys.stdout is sys.stderr  # what the command line does while a retrain runs: its real output stays pure
        console = Console(file=self._stream, highlight=False)
        self._live = Live(
            console=console, transient=True, auto_refresh=False, redirect_stdout=shared, redirect_stderr=True, vertical_overflow="crop"
        )
        self._live.start()
        self._move_handlers()

    def _move_handlers(self) -> None:
        """Logging keeps the stream it was given: while the line is up, lines for it go through the line's own console."""
        loggers = [logging.getLogger(), *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
        for handler in {handler for logger in loggers for handler in logger.handlers}:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                self._moved.append((handler, handler.stream))
                handler.setStream(sys.stderr)


def _line(words: list[str], share: float | None, width: int) -> Table:
    """As many of the words as fit, the first ones first, and a bar where there is room for one beside them."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    kept = [word for word in words if word]
    while len(kept) > 1 and len(_join(kept)) > width:
        kept.pop()
    text = Text(_join(kept), no_wrap=True, overflow="ellipsis")
    line = Table.grid()
    room = min(BAR, width - text.cell_len - 2)
    if share is None or room < SMALLEST_BAR:
        line.add_row(text)
    else:
        line.add_column(width=room + 2)
        line.add_row(ProgressBar(total=1.0, completed=share, width=room), text)
    return line


def _join(words: list[str]) -> str:
    return "  ".join(words)
