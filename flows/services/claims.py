"""Who shows this home's pages: one `evertune ui` a home, and where others find its servers.

The claim is a lock on a file, so it ends with its process however that dies; what the file says is only believed
while the lock is held.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from tasks.homes import Home, open_private, try_lock

READER_SECONDS = 1.0


@dataclass(frozen=True)
class Claim:
    """What the holder wrote down; the addresses are empty while its servers start."""

    pid: int
    since: str
    prefect: str = ""
    mlflow: str = ""


@contextmanager
def claim_pages(home: Home) -> Iterator[IO[str] | None]:
    """Hold the claim on a home's pages; None when another process has it."""
    with open_private(claim_path(home)) as file:
        deadline = time.monotonic() + READER_SECONDS
        while not (ours := try_lock(file)) and time.monotonic() < deadline:
            time.sleep(0.05)  # a reader holds the lock for an instant
        if ours:
            write_claim(file)
        yield file if ours else None


def write_claim(file: IO[str], prefect: str = "", mlflow: str = "") -> None:
    """Say who holds the claim, and where its servers are."""
    claim = Claim(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), prefect, mlflow)
    file.seek(0)
    file.truncate()
    json.dump(asdict(claim), file)
    file.flush()


def current_claim(home: Home) -> Claim | None:
    """The claim that a living process holds on this home's pages, if there is one."""
    try:
        with claim_path(home).open() as file:
            return None if try_lock(file) else Claim(**json.load(file))
    except (FileNotFoundError, ValueError, TypeError):  # never claimed, or being written just now
        return None


def claim_path(home: Home) -> Path:
    return home.root / "ui.json"
