"""Memory: what is free, what a process holds, and the wall that no process gets past."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from tasks.executors.cgroups import ROOT, groups

PAGE = os.sysconf("SC_PAGE_SIZE")
SHARE_OF_FREE = 0.8
"""What all workers together may take of the free memory."""
WALL_FACTOR, WALL_BYTES = 1.25, 256 << 20
"""The hard wall stands this far behind the limit: it counts what is reserved, the limit what is used."""
CGROUPS = ROOT


def private_bytes(pid: int | str = "self") -> int:
    """Memory that the process alone holds; files that it maps are the page cache's. 0 for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[1]) - int(fields[2])) * PAGE


def default_limit(workers: int) -> int:
    """Bytes for each of so many workers, when the config gives none."""
    return int(free_bytes() * SHARE_OF_FREE / workers)


def free_bytes() -> int:
    """Bytes that can still be had without swapping: the machine's, or the control group's where it grants less."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return min(int(line.split()[1]) * 1024, *_left_by_cgroups())
    raise OSError("/proc/meminfo has no MemAvailable: memory for trials cannot be told; set tuning.trial_memory")


def _left_by_cgroups() -> list[int]:
    """What each limited control group of this process, and those above it, has left."""
    names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}
    left = (_left(folder, *names[version]) for version, folder in groups("memory", CGROUPS))
    return [1 << 62, *(each for each in left if each is not None)]


def _left(folder: Path, limit: str, used: str) -> int | None:
    """Limit minus use, where cached files do not count as used; None for a group without a limit."""
    try:
        most = (folder / limit).read_text().strip()
        taken = int((folder / used).read_text())
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except FileNotFoundError:  # the root of version 2, or a path of the host's that a container does not see
        return None
    if most == "max":
        return None
    cached = int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    return max(0, int(most) - taken + cached)


def build_wall(limit: int) -> None:
    """Have this process refused memory a little beyond its limit: it gets an error before anybody could look at it."""
    wall = int(limit * WALL_FACTOR) + WALL_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (wall, wall))


def reset_peak() -> None:
    """Count the peak from here on, where the kernel lets us; else it stays that of the process's whole life."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_mb() -> float:
    """The most this process held at once since `reset_peak`, mapped files included, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def words(size: float) -> str:
    """`1.5 GB`, `300 MB`."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
