"""CSV files, plain or compressed (.gz, .bz2, .xz, .zip)."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal, Self

import pandas as pd
from pydantic import AfterValidator, Field, model_validator

from tasks.errors import DataRejected
from tasks.sources.source import LocalPath, Source, require_file, unchanged

BROKEN = (ValueError, OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What pandas and the decompressors raise on a damaged file (pandas' parser errors are ValueErrors)."""


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError("there is no such text encoding; common ones are utf-8, latin-1, cp1252 and utf-16") from None
    return name


def _one_character(text: str) -> str:
    if len(text) != 1 or text in '"\r\n':
        raise ValueError("must be one character, other than a quote or a line break")
    return text


Character = Annotated[str, AfterValidator(_one_character), Field(json_schema_extra={"minLength": 1, "maxLength": 1})]


class Csv(Source):
    """One CSV file with a header line, plain or compressed (.gz, .bz2, .xz, or .zip with a single member)."""

    kind: Literal["csv"]
    """csv"""
    path: LocalPath
    """The file; a relative path starts at the config's folder."""
    separator: Character = ","
    """The character between two fields."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"
    """The text encoding, such as utf-8, latin-1 or cp1252."""
    decimal: Character = "."
    """The character before the decimals of a number."""

    @model_validator(mode="after")
    def _two_characters(self) -> Self:
        if self.separator == self.decimal:
            raise ValueError(f"separator and decimal must differ, both are {self.decimal!r}")
        return self

    @property
    def location(self) -> str:
        return str(self.path)

    def anchored(self, folder: Path) -> Self:
        changed: Self = self.changed(path=folder / self.path)
        return changed

    def read(self, as_of: datetime) -> pd.DataFrame:
        path = require_file(self.path)
        with unchanged(path):
            try:
                self._check_text(path)
                self._check_header(path)
                return self._parse(path, index_col=False, low_memory=False)
            except pd.errors.ParserWarning:
                raise DataRejected(f"source.path: {path} has rows with more fields than its header") from None
            except BROKEN as error:
                raise DataRejected(f"source.path: {path} is not a readable CSV file: {str(error).strip()}") from None

    def _check_text(self, path: Path) -> None:
        """Where the first byte stands that is no text: pandas knows only its place within the field, and lets NUL through."""
        decoder, read, line = codecs.getincrementaldecoder(self.encoding)(), 0, 1
        with _opened(path) as stream:
            while chunk := stream.read(1 << 20):
                read += len(chunk)
                try:
                    text = decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    line += error.object[: error.start].count(b"\n")
                    where = f"byte {read - len(error.object) + error.start} (line {line}) is 0x{error.object[error.start]:02x}"
                    raise DataRejected(
                        f"source.encoding: {path} is not {self.encoding}: {where}; declare its encoding, such as latin-1"
                    ) from None
                if "\0" in text:
                    line += text[: text.index("\0")].count("\n")
                    raise DataRejected(f"source.encoding: {path} has a NUL byte in line {line}; is it really {self.encoding} text?")
                line += text.count("\n")

    def _parse(self, path: Path, **options: Any) -> pd.DataFrame:
        with _opened(path) as stream, warnings.catch_warnings():
            # pandas only warns when it drops the fields that a row has too many
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(stream, sep=self.separator, encoding=self.encoding, decimal=self.decimal, **options)
            return frame

    def _check_header(self, path: Path) -> None:
        """pandas would silently call a second column `a` `a.1`."""
        names = self._parse(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
        twice = names[names.duplicated() & (names != "")]
        if len(twice):
            raise DataRejected(f"source.path: {path} has the column {twice.iloc[0]!r} more than once")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed by what its name ends in."""
    ending = path.suffix.lower()
    if ending == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_single_member(archive, path)) as stream:
            yield stream
    else:
        plain: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(ending, open)
        with plain(path, "rb") as stream:
            yield stream


def _single_member(archive: zipfile.ZipFile, path: Path) -> str:
    """The one file in the archive, folders and the Mac's `__MACOSX` shadows not counted."""
    members = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(members) != 1:
        found = ", ".join(members[:3]) + (", ..." if len(members) > 3 else "")
        raise DataRejected(f"source.path: {path} must hold exactly one file, got {len(members)}{f' ({found})' if found else ''}")
    return members[0]
