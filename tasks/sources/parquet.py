"""Parquet: one file, a folder of files (partitions too), or a glob."""

from __future__ import annotations

import glob
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from tasks.errors import DataRejected
from tasks.sources.source import Source, require_file


class Parquet(Source):
    """Parquet files that share a schema; page checksums are verified where the files carry them."""

    kind: Literal["parquet"]
    path: Path
    """A file, a folder (hive partitions become columns) or a glob such as data/2013-*.parquet."""
    columns: tuple[str, ...] = ()
    """Read only these; all when left out."""

    @property
    def location(self) -> str:
        return str(self.path)

    def read(self, as_of: datetime) -> pd.DataFrame:
        import pyarrow as pa
        import pyarrow.dataset as ds

        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        try:
            found = ds.dataset(self._files(), format=ds.ParquetFileFormat(default_fragment_scan_options=options), partitioning="hive")
            frame: pd.DataFrame = found.to_table(columns=list(self.columns) or None).to_pandas()
            return frame
        except (pa.ArrowException, OSError) as error:
            raise DataRejected(f"source.path: {self.path} is not readable Parquet: {str(error).splitlines()[0]}") from None

    def _files(self) -> str | list[str]:
        if self.path.is_dir():
            if not any(self.path.rglob("*.parquet")):
                raise DataRejected(f"source.path: the folder {self.path} holds no .parquet file")
            return str(self.path)
        if glob.has_magic(str(self.path)):
            names = sorted(glob.glob(str(self.path), recursive=True))
            if not names:
                raise DataRejected(f"source.path: no file matches {self.path}")
            return [str(require_file(Path(name))) for name in names]
        return str(require_file(self.path))
