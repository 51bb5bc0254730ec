"""Signals that ask a command to end, as one exception."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal that asks us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """0 after Ctrl-C, which is how a server is ended; 128 and the signal after any other."""
        return 0 if self.number == signal.SIGINT else 128 + self.number


@contextmanager
def stop_signals() -> Iterator[None]:
    """Inside, Ctrl-C, SIGTERM and a closed terminal raise Stopped, once: ending, a matter of seconds, is not cut short."""
    before = {number: signal.signal(number, raise_stopped) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_stopped(number: int, _frame: FrameType | None) -> NoReturn:
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise Stopped(number)
