"""Endings: what is said of a worker that is no more."""

from __future__ import annotations

import signal

OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
"""Signals that no library raises: somebody else ended the worker."""


def said(end: str, words: str) -> str:
    """How a worker ended, and what it wrote last."""
    return f"{end}; it wrote: {words}" if words else end


def ending(code: int) -> str:
    """`died of SIGSEGV`, `ended with exit code 3`."""
    return f"died of {name_of(code)}" if code < 0 else f"ended with exit code {code}"


def name_of(code: int) -> str:
    """An exit code below zero -> the signal's name."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
