"""CSV files, plain or compressed (.gz, .zip, .bz2, .xz, .zst)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from tasks.errors import DataRejected
from tasks.sources.source import Source, require_file


class Csv(Source):
    """One CSV file with a header line."""

    kind: Literal["csv"]
    path: Path
    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."

    @property
    def location(self) -> str:
        return str(self.path)

    def read(self, as_of: datetime) -> pd.DataFrame:
        path = require_file(self.path)
        try:
            return pd.read_csv(path, sep=self.separator, encoding=self.encoding, decimal=self.decimal, low_memory=False)
        except UnicodeDecodeError as error:
            raise DataRejected(
                f"source.encoding: {path} is not {self.encoding} (byte {error.start}); declare its encoding, such as latin-1"
            ) from None
        except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError, EOFError) as error:
            raise DataRejected(f"source.path: {path} is not a readable CSV file: {str(error).strip()}") from None
