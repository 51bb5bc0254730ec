"""Who serves this home: one `evertune up` a home, and where others find its servers.

The claim is a lock on a file, so it ends with its process however that dies; what the file says is only believed
while the lock is held.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from tasks.homes import Home, open_private, try_lock

READER_SECONDS = 1.0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Claim:
    """What the holder wrote down; the addresses are empty while its servers start."""

    pid: int = field(default_factory=os.getpid)
    since: str = field(default_factory=_now)
    prefect: str = ""
    mlflow: str = ""
    worker: bool = False
    """Whether it runs a worker too, or shows pages alone."""
    configs: tuple[str, ...] = ()
    """Absolute paths of the configs it has registered."""


class Claiming:
    """The claim that this process holds."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.claim = Claim()
        self.tell()

    def tell(self, prefect: str = "", mlflow: str = "", worker: bool = False, configs: tuple[str, ...] = ()) -> None:
        """Write down where our servers are, and what they serve."""
        self.claim = replace(self.claim, prefect=prefect, mlflow=mlflow, worker=worker, configs=configs)
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(self.claim), self._file)
        self._file.flush()


@contextmanager
def claim_pages(home: Home) -> Iterator[Claiming | None]:
    """Hold the claim on a home's pages; None when another process has it."""
    with open_private(claim_path(home)) as file:
        deadline = time.monotonic() + READER_SECONDS
        while not (ours := try_lock(file)) and time.monotonic() < deadline:
            time.sleep(0.05)  # a reader holds the lock for an instant
        yield Claiming(file) if ours else None


def current_claim(home: Home) -> Claim | None:
    """The claim that a living process holds on this home's pages, if there is one."""
    try:
        with claim_path(home).open() as file:
            return None if try_lock(file) else _read(file)
    except (FileNotFoundError, ValueError, TypeError):  # never claimed, or being written just now
        return None


def _read(file: IO[str]) -> Claim:
    content = json.load(file)
    return Claim(**{**content, "configs": tuple(content.get("configs", ()))})


def claim_path(home: Home) -> Path:
    return home.root / "up.json"
