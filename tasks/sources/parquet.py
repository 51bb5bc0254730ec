"""Parquet: one file, a folder of files (partitions too), or a glob."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd

from tasks.errors import ConfigError, DataRejected
from tasks.sources.source import LocalPath, Source, frame_from_arrow, require_file, unchanged
from tasks.wording import did_you_mean


class Parquet(Source):
    """Parquet files that share their columns; page checksums are verified where the files carry them."""

    kind: Literal["parquet"]
    """parquet"""
    path: LocalPath
    """A file, a folder (month=1/ and the like become columns) or a glob such as data/2013-*.parquet."""
    columns: tuple[str, ...] = ()
    """Read only these; all when left out."""

    @property
    def location(self) -> str:
        return str(self.path)

    def anchored(self, folder: Path) -> Self:
        changed: Self = self.changed(path=folder / self.path)
        return changed

    def read(self, as_of: datetime) -> pd.DataFrame:
        import pyarrow as pa

        top, files = self.files()
        with unchanged(*files):
            dataset = _dataset(top, files)
            columns = self._columns(dataset.schema.names)
            tables = [_read(fragment, dataset.schema, columns) for fragment in dataset.get_fragments()]
        return frame_from_arrow(pa.concat_tables(tables))

    def files(self) -> tuple[Path, list[Path]]:
        """The folder below which a folder called month=1 is a partition, and the files."""
        if self.path.is_dir():
            found = [path for path in self.path.rglob("*.parquet") if not _hidden(path.relative_to(self.path))]
            if not found:
                raise DataRejected(f"source.path: the folder {self.path} holds no .parquet file")
            return self.path, [require_file(path) for path in sorted(found)]
        if glob.has_magic(str(self.path)) and not self.path.exists():
            names = sorted(glob.glob(str(self.path), recursive=True))
            if not names:
                raise DataRejected(f"source.path: no file matches {self.path}")
            plain = next(parent for parent in self.path.parents if not glob.has_magic(str(parent)))
            return plain, [require_file(Path(name)) for name in names]
        return self.path.parent, [require_file(self.path)]

    def _columns(self, present: list[str]) -> list[str]:
        for name in self.columns:
            if name not in present:
                hint = did_you_mean(name, present) or f"there are {', '.join(present)}"
                raise ConfigError(f"source.columns: {self.path} has no column {name!r}; {hint}")
        # a pandas index without a name is stored under such a name: row labels, not data
        return list(self.columns) or [name for name in present if not name.startswith("__index_level_")]


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _dataset(top: Path, files: list[Path]) -> Any:
    """The files as one data set, with the types that hold all of them. Arrow itself would go by the first file alone."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.fs as fs

    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    layout = ds.ParquetFileFormat(default_fragment_scan_options=options)
    schemas = []
    for file in files:
        with _faults_of(file):
            schemas.append(layout.inspect(str(file), filesystem=fs.LocalFileSystem()))
        missing = set(schemas[0].names) ^ set(schemas[-1].names)
        if missing:
            raise DataRejected(f"source.path: {files[0]} and {file} must have the same columns; only one has {', '.join(sorted(missing))}")
    with _faults_of(top):
        places = {"format": layout, "partitioning": "hive", "partition_base_dir": str(top)}
        names = [str(file) for file in files]
        partitions = [field for field in ds.dataset(names, **places).schema if field.name not in schemas[0].names]
        shared = pa.unify_schemas(schemas, promote_options="permissive")
        return ds.dataset(names, schema=pa.schema([*shared, *partitions]), **places)


def _read(fragment: Any, schema: Any, columns: list[str]) -> Any:
    with _faults_of(Path(fragment.path)):
        return fragment.to_table(schema=schema, columns=columns)


@contextmanager
def _faults_of(file: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataRejected(f"source.path: {file} is not readable Parquet: {str(error).splitlines()[0]}") from None
