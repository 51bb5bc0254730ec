"""Folders that killed processes left on this machine: scratch of searches, half of a restore."""

from __future__ import annotations

import logging
import shutil
import time

from flows.reconciling.owners import SAFE_AGE
from tasks.executors.scratch import Scratch
from tasks.homes import Home

log = logging.getLogger("evertune")


def remove_leftovers(home: Home) -> list[str]:
    """Remove them; a line where there were any. What the disk refuses is said in the log, and left to the next time."""
    try:
        return [*_clear_scratch(home), *_clear_restores(home)]
    except OSError as error:
        log.warning("what dead processes left in %s cannot be removed: %s", home.root, error)
        return []


def _clear_scratch(home: Home) -> list[str]:
    """Each folder has a lock that the kernel frees when its owner dies: opening a new one removes those."""
    root = home.root / "scratch"
    if not root.is_dir():
        return []
    before = {path for path in root.iterdir() if path.is_dir()}
    Scratch.open(root).close()
    gone = [path for path in before if not path.is_dir()]
    return [f"{root}: {len(gone)} folders of dead processes removed"] if gone else []


def _clear_restores(home: Home) -> list[str]:
    """What a killed `evertune restore` had unpacked, beside the home. Nothing says whether its owner lives, so only old ones go."""
    lines = []
    for folder in home.root.parent.glob(f".{home.root.name}.restoring-*"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > SAFE_AGE.total_seconds():
            shutil.rmtree(folder)
            lines.append(f"{folder}: a restore that was killed, removed")
    return lines
