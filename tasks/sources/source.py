"""What a data source is: settings that can read themselves into a frame."""

from __future__ import annotations

import os
import stat
from abc import abstractmethod
from datetime import datetime
from pathlib import Path

import pandas as pd

from tasks.errors import DataRejected
from tasks.settings import Settings


class Source(Settings):
    """Base of the sources. Relative paths are resolved against the config file's folder when the config is read."""

    kind: str

    @abstractmethod
    def read(self, as_of: datetime) -> pd.DataFrame:
        """Every row (a source may leave out rows later than `as_of`, UTC, but need not).

        Raises DataRejected when the data cannot be read as what it claims to be, ServiceUnavailable when a server
        does not answer, ConfigError when something that the config names does not exist.
        """

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the rows come from, for people; never holds a secret."""


def require_file(path: Path, key: str = "source.path") -> Path:
    """The path, if it is a regular file with something in it; never opens a pipe or a device."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise DataRejected(f"{key}: there is no file {path}; check the path (it is relative to the config's folder)") from None
    except OSError as error:
        raise DataRejected(f"{key}: {path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataRejected(f"{key}: {path} is not a regular file")
    if found.st_size == 0:
        raise DataRejected(f"{key}: {path} is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise DataRejected(f"{key}: no permission to read {path}")
    return path
