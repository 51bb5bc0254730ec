"""Scratch: a private folder for one search's workload, prepared folds and logs, gone when its owner is."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.homes import make_private, open_private, try_lock

OWNED = "owned.lock"


@dataclass(frozen=True)
class Scratch:
    """A folder whose lock says that its owner lives: the kernel frees it however the owner ends."""

    folder: Path
    lock: IO[str]

    @classmethod
    def open(cls, root: Path) -> Scratch:
        """A fresh folder in `root`; those that dead processes left behind there are removed. Raises OSError for a disk that refuses."""
        make_private(root)
        with _alone_in(root):
            for left in root.iterdir():
                if left.is_dir() and not _is_owned(left):
                    shutil.rmtree(left)
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
            lock = open_private(folder / OWNED)
            try_lock(lock)
        return cls(folder, lock)

    def close(self) -> None:
        """Remove the folder; safe to call twice."""
        if self.folder.is_dir():
            with _alone_in(self.folder.parent):
                shutil.rmtree(self.folder, ignore_errors=True)  # what cannot be removed now is at the next start
        self.lock.close()


@contextmanager
def _alone_in(root: Path) -> Iterator[None]:
    """Wait for another process that makes or removes a folder there: none sees half of one."""
    with open_private(root / "scratch.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_owned(folder: Path) -> bool:
    with open_private(folder / OWNED) as file:
        return not try_lock(file)
