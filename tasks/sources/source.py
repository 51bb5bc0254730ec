"""What a data source is: settings that can read themselves into a frame."""

from __future__ import annotations

import os
import re
import stat
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import pandas as pd
from pydantic import AfterValidator, BeforeValidator

from tasks.errors import DataRejected
from tasks.settings import Scalar, Settings


class Source(Settings):
    """Base of the sources."""

    kind: str

    @abstractmethod
    def read(self, as_of: datetime) -> pd.DataFrame:
        """Every row (a source may leave out rows later than `as_of`, UTC, but need not).

        Raises DataRejected when the data is missing or is not what it claims to be, ConfigError when the query, the
        function or the login is wrong, ServiceUnavailable when a server does not answer.
        """

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the rows come from, for people; never holds a secret and never raises."""

    def anchored(self, folder: Path) -> Self:
        """The same source with its relative paths below `folder`, which is the config file's own."""
        return self


def _refuse_address(value: object) -> object:
    if "://" in str(value):
        raise ValueError("must be a file on this machine, not an address; read an address in a function of yours (kind: python)")
    return value


Given = TypeVar("Given", bound=Mapping[str, Any])


def refuse_as_of(values: Given) -> Given:
    """Settings may not bind `as_of`: the retrain does."""
    if "as_of" in values:
        raise ValueError("as_of is set by the retrain; leave it out")
    return values


LocalPath = Annotated[Path, BeforeValidator(_refuse_address)]
Parameters = Annotated[dict[str, Scalar], AfterValidator(refuse_as_of)]


def require_file(path: Path, key: str = "source.path") -> Path:
    """The path, if it is a regular file with something in it; never opens a pipe or a device."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise DataRejected(f"{key}: there is no file {path}; check the path (a relative one starts at the config's folder)") from None
    except (OSError, ValueError) as error:
        raise DataRejected(f"{key}: {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataRejected(f"{key}: {path} must be a regular file, got a {_file_kind(found.st_mode)}")
    if found.st_size == 0:
        raise DataRejected(f"{key}: {path} is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise DataRejected(f"{key}: no permission to read {path}")
    return path


def _file_kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((name for matches, name in kinds if matches(mode)), "device")


@contextmanager
def unchanged(*paths: Path) -> Iterator[None]:
    """Raises DataRejected when one of the files was written to, or replaced, while the body read it."""
    before = [_stamp(path) for path in paths]
    yield
    for path, stamp in zip(paths, before, strict=True):
        if _stamp(path) != stamp:
            raise DataRejected(f"source.path: {path} changed while it was being read; write it under another name, then rename it")


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def frame_from_arrow(table: Any) -> pd.DataFrame:
    """An Arrow table as a frame with plain dtypes: decimals as float64, dates as midnights, a pandas index not restored."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(position, field.name, table.column(position).cast(pa.float64()))
    frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
    return frame


_LOGIN = re.compile(r"(://[^:/@\s]*):\S*@")
_REVEALING = r"pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|access_?key"
_NAMED = re.compile(rf"""(?i)(?<!\w)(?!\w+_env\s*[=:])(\w*(?:{_REVEALING})\w*\s*[=:]\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)""")


def mask(text: str) -> str:
    """The text without what looks like a secret: the password of an address, and whatever follows `password=` and its like.

    What follows `password_env=` is the name of a variable.
    """
    return _NAMED.sub(r"\1***", _LOGIN.sub(r"\1:***@", text))
