"""Processes, seen from outside through /proc: their memory, and whether they have come to rest. Linux only."""

from __future__ import annotations

import os
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
REST_SECONDS = 0.6
MOST_SECONDS = 60.0


def usable_cores() -> int:
    return len(os.sched_getaffinity(0))


def family(pid: int) -> list[int]:
    """A process and all its descendants; those that end meanwhile are left out."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(other for child in children for other in family(child))]


def resident_mb(pid: int) -> float:
    """Memory of a process and its descendants in MB; pages that several of them share count for each."""
    return sum(_pages(member) for member in family(pid)) * PAGE / 1e6


def settle() -> None:
    """Wait until this process's children do nothing, such as import: what they did before is no part of what is timed."""
    deadline, rest, before = time.monotonic() + MOST_SECONDS, time.monotonic(), -1
    while time.monotonic() < deadline and time.monotonic() - rest < REST_SECONDS:
        now = sum(_ticks(member) for member in family(os.getpid())[1:])
        if now != before:
            rest, before = time.monotonic(), now
        time.sleep(0.05)


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _ticks(pid: int) -> int:
    """Time on a processor so far, in the kernel's ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])
