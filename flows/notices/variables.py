"""Secrets of notices: read from the environment at the moment of sending, and kept nowhere."""

from __future__ import annotations

import os

from flows.notices.delivering import NotSent


def read_variable(key: str, name: str) -> str:
    """The variable that a key such as token_env names, without blanks around it, which files bring along.

    Raises NotSent where it is not set, or holds what no address, header or login can be made of; the value is never told.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise NotSent(f"{key}: the environment variable {name} is not set; set it where the worker runs")
    if not value.isprintable() or not value.isascii() or (key != "password_env" and " " in value):
        raise NotSent(f"{key}: the environment variable {name} holds a blank, a line break or a letter that is not ASCII")
    return value
