"""Cores: how many of them this process may keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path

from tasks.executors.cgroups import MEMBERSHIP, ROOT, groups


def usable_cores(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Cores that this process may run on, or as many as its control groups' quotas of time come to, rounded up, if that is less.

    A container with `--cpus 2` sees all cores of its host; more threads than its quota only take turns.
    """
    quotas = [found for version, folder in groups("cpu", root, membership) if (found := _quota(version, folder)) is not None]
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, quotas)]))


def _quota(version: int, folder: Path) -> float | None:
    """Cores that a group may keep busy; None for one without a limit."""
    try:
        if version == 2:
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most, period = ((folder / name).read_text().strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    except FileNotFoundError:  # the root of version 2, or a path of the host's that a container does not see
        return None
    return None if most in ("max", "-1") else int(most) / int(period)
