"""Batches: a table read and written piece by piece, in bounded memory, every column carried through as it was."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tasks.errors import ConfigError, DataRejected, ServiceUnavailable
from tasks.wording import clean

if TYPE_CHECKING:
    import pyarrow as pa

READ = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
WRITTEN = {".csv": "csv", ".parquet": "parquet"}
BLOCK_BYTES = 8_000_000
"""Of a CSV file, read at once."""


@dataclass(frozen=True)
class Batches:
    """An open table: its column names and types, and its rows, piece by piece. `text`: every column is text as it was written."""

    schema: pa.Schema
    rows: Iterator[pa.RecordBatch]
    text: bool


def format_of(path: Path, known: dict[str, str], which: str) -> str:
    """csv or parquet, by what the name ends in. Raises ConfigError for any other."""
    found = next((kind for ending, kind in known.items() if path.name.lower().endswith(ending)), None)
    if found is None:
        raise ConfigError(f"{which}: must end in {', '.join(known)}, got {path}")
    return found


@contextmanager
def open_batches(path: Path, most_rows: int) -> Iterator[Batches]:
    """The table in a file, at most so many rows at a time.

    Raises DataRejected for what is no readable table, or changes while it is read; ServiceUnavailable when the disk refuses.
    """
    from tasks.sources.source import require_file

    kind = format_of(path, READ, "IN")
    require_file(path, "IN")
    with ExitStack() as stack:
        with _faults_of(path, kind):
            schema, rows = _open_csv(path, stack) if kind == "csv" else _open_parquet(path, most_rows, stack)
        if twice := [name for place, name in enumerate(schema.names) if name in schema.names[:place]]:
            raise DataRejected(f"IN: {path} has the column {twice[0]!r} more than once")
        yield Batches(schema, _read(path, kind, rows, most_rows), text=kind == "csv")


def _open_csv(path: Path, stack: ExitStack) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """All text: a 007 that is only carried through stays one."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    convert = arrow.ConvertOptions(
        default_column_type=pa.string(), strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=False
    )
    stream = stack.enter_context(pa.input_stream(str(path), compression="gzip" if path.name.lower().endswith(".gz") else None))
    reader = stack.enter_context(
        arrow.open_csv(
            stream,
            read_options=arrow.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=arrow.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    )
    return reader.schema, iter(reader)


def _open_parquet(path: Path, most_rows: int, stack: ExitStack) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow.parquet as pq

    file = stack.enter_context(pq.ParquetFile(path, page_checksum_verification=True))
    return file.schema_arrow.remove_metadata(), file.iter_batches(batch_size=most_rows)


def _read(path: Path, kind: str, batches: Iterator[pa.RecordBatch], most_rows: int) -> Iterator[pa.RecordBatch]:
    from tasks.sources.source import unchanged

    with unchanged(path):
        while True:
            with _faults_of(path, kind):
                batch = next(batches, None)
            if batch is None:
                return
            for start in range(0, batch.num_rows, most_rows):
                yield batch.slice(start, most_rows)


@contextmanager
def _faults_of(path: Path, kind: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the operating system's own, not Arrow's
            raise ServiceUnavailable(f"IN: {path} cannot be read: {error.strerror}") from error
        raise DataRejected(f"IN: {path} is not readable {'CSV' if kind == 'csv' else 'Parquet'}: {clean(error, 300)}") from None


class BatchWriter:
    """Writes tables of one schema to an open file, as CSV or Parquet."""

    def __init__(self, sink: IO[bytes], kind: str, schema: pa.Schema) -> None:
        self._sink = sink
        self._parquet: Any = None
        if kind == "parquet":
            import pyarrow.parquet as pq

            self._parquet = pq.ParquetWriter(sink, schema, write_page_checksum=True)
        else:
            sink.write(_csv_text([schema.names]))

    def write(self, table: pa.Table) -> None:
        """Append these rows. Raises DataRejected for a column that CSV cannot hold, such as one of lists."""
        if self._parquet is not None:
            self._parquet.write_table(table)
        else:
            self._write_csv(table)

    def close(self) -> None:
        """Write what stands at the end of a file; the file itself stays open."""
        if self._parquet is not None:
            self._parquet.close()

    def _write_csv(self, table: pa.Table) -> None:
        """Quotes where they are needed only: Arrow writes all text with quotes, or none with any."""
        import pyarrow as pa
        from pyarrow import csv as arrow

        texts = pa.table({name: _as_text(name, table[name]) for name in table.column_names})
        plain = io.BytesIO()
        try:
            arrow.write_csv(texts, plain, arrow.WriteOptions(include_header=False, quoting_style="none"))
        except pa.ArrowInvalid:
            columns = [column.to_pylist() for column in texts.columns]
            self._sink.write(_csv_text(list(zip(*columns, strict=True))))
        else:
            self._sink.write(plain.getvalue())


def _as_text(name: str, column: Any) -> Any:
    import pyarrow as pa

    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise DataRejected(f"OUT: column {name!r} holds {column.type}, which CSV cannot hold; write .parquet instead") from None


def _csv_text(rows: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@contextmanager
def whole_file(path: Path, replace: bool) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name when the body ends well, and not at all when it does not.

    Raises ConfigError when it is there already and may not be replaced, ServiceUnavailable when the disk refuses.
    """
    refuse_existing(path, replace)
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise ConfigError(f"OUT: {path.parent} cannot be written to ({error.strerror}); name a folder that is there") from None
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fchmod(number, 0o666 & ~_umask())
            os.fsync(number)
        refuse_existing(path, replace)
        os.replace(name, path)
    except OSError as error:
        raise ServiceUnavailable(f"OUT: {path} cannot be written: {error.strerror or error}; nothing was left there") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def refuse_existing(path: Path, replace: bool) -> None:
    """Raises ConfigError for a name that is taken."""
    if path.is_dir():
        raise ConfigError(f"OUT: {path} is a folder; name a file")
    if path.exists() and not replace:
        raise ConfigError(f"OUT: {path} is there already; name another file, or add --force to replace it")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
