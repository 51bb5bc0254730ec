"""`evertune clean | backup | upgrade`: keeping the state small, safe and up to date."""

from __future__ import annotations

from typing import Any


def add_commands(commands: Any) -> None:
    """Add these commands to the parser; each sets `command` to a function from the parsed options to an exit code."""
