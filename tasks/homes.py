"""Where embedded state lives: one private folder with a database for each of Prefect, MLflow and Optuna."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.errors import ConfigError, ServiceUnavailable

VARIABLE = "EVERTUNE_HOME"
DEFAULT = ".evertune"
WRONG_NAME = {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
FIRST_ACCESS_SECONDS = 180.0


@dataclass(frozen=True)
class Home:
    """The paths inside an EVERTUNE_HOME; `root` is absolute."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """The home that EVERTUNE_HOME names, made if it was not there, and proven to be writable.

        Raises ConfigError for a name that can never be a folder, ServiceUnavailable for a disk that refuses.
        """
        home = cls.named(os.environ.get(VARIABLE) or DEFAULT)
        home.prepare()
        return home

    @classmethod
    def named(cls, folder: str | Path) -> Home:
        """The home in `folder`, relative to the working directory; nothing is made or touched."""
        wrong = sorted(set(str(folder)) & set("?#%\0\n\r"))
        if wrong:
            raise ConfigError(
                f"{VARIABLE} must not hold any of ? # % or control characters (they break database addresses), got {folder!r}"
            )
        return cls(Path(folder).expanduser().absolute())

    def prepare(self) -> None:
        """Make the folders, 0700 each, and write one small file to see that the disk takes it."""
        try:
            for folder in (self.root, self.prefect, self.artifacts, self.logs):
                make_private(folder)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
        except OSError as error:
            raise refusal(self.root, error) from error

    @property
    def prefect(self) -> Path:
        return self.root / "prefect"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def prefect_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.prefect / 'prefect.db'}"

    @property
    def mlflow_url(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def studies_url(self) -> str:
        return f"sqlite:///{self.root / 'studies.db'}"


@contextmanager
def first_access(home: Home, database: str = "mlflow", wait_seconds: float = FIRST_ACCESS_SECONDS) -> Iterator[None]:
    """Hold the lock under which a fresh database is migrated: two processes doing it at once break it for good.

    Waits for another holder, at most `wait_seconds`; a killed holder frees it at once. Raises ServiceUnavailable.
    """
    path = home.root / f"{database}.lock"
    with open_private(path) as file:
        deadline = time.monotonic() + wait_seconds
        while not try_lock(file):
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    f"{path}: another process has been setting up the {database} database for {wait_seconds:.0f} seconds; "
                    "wait for it, or end it, and run again"
                )
            time.sleep(0.05)
        yield


def open_private(path: Path) -> IO[str]:
    """A file opened to append, made for its owner alone if it was not there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+")


def try_lock(file: IO[str]) -> bool:
    """Lock an open file for this process alone; False when another one has it. Closing the file unlocks it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_private(folder: Path) -> None:
    """Make a folder, whatever the umask, for its owner alone; an existing one keeps its rights."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)


def refusal(root: Path, error: OSError) -> ConfigError | ServiceUnavailable:
    """The operating system's refusal in plain words."""
    where, why = error.filename if isinstance(error.filename, str) else root, error.strerror or str(error)
    if error.errno in WRONG_NAME:
        return ConfigError(f"{VARIABLE}: {root} cannot be a folder ({where}: {why}); name another one")
    return ServiceUnavailable(f"{VARIABLE}: {root} cannot be written ({where}: {why}); free it, or name another folder")
