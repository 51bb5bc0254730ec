"""Data sources: one class each, one name in the union below."""

from typing import Annotated

from pydantic import Field

from tasks.sources.csv import Csv
from tasks.sources.duckdb import DuckDB
from tasks.sources.parquet import Parquet
from tasks.sources.python import Python
from tasks.sources.sql import Sql

AnySource = Annotated[Csv | Parquet | Sql | DuckDB | Python, Field(discriminator="kind")]
