"""Months: what a retrain of flights knows when it stands at the first of a month, and the month it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from configs.reading import read_config
from configs.schema import RetrainConfig
from tasks.loading import load_table
from tasks.metrics import METRICS
from tasks.models.model import Fitting
from tasks.records import Floats, Rows, Scores, Split, Table
from tasks.splitting import split_table
from tasks.targets import encode
from tasks.validation import validate_table

CONFIG = "configs/flights.yaml"


@dataclass(frozen=True)
class Month:
    """`table` holds the labelled rows before as_of less the label delay, `judged` the labelled rows of [as_of, as_of + 1 month)."""

    as_of: pd.Timestamp
    config: RetrainConfig
    table: Table
    judged: pd.DataFrame

    @property
    def truth(self) -> Floats:
        """The label of every row that may be learned from, 0 or 1, shape (rows,)."""
        return encode(self.table.columns.target, self.table.frame[self.config.target])

    @property
    def every_row(self) -> Rows:
        return np.arange(len(self.table.frame))

    @cached_property
    def last_month(self) -> tuple[Rows, Rows]:
        """Rows before the last month, and the last month: how a plain script validates on data ordered by time."""
        times = self.table.frame[self.time]
        newest = (times >= self.as_of - pd.DateOffset(months=1)).to_numpy()
        return np.flatnonzero(~newest), np.flatnonzero(newest)

    @cached_property
    def split(self) -> Split:
        """Evertune's own folds. The judge is the month to come, so only the newest day is held back as test window, not a month."""
        settings = self.config.split.changed(test=timedelta(days=1))
        return split_table.plain(self.table, settings, self.config.label_delay, None, self.config.gate.min_rows)

    @property
    def time(self) -> str:
        assert self.table.columns.time is not None
        return self.table.columns.time

    def fitting(self, seed: int) -> Fitting:
        return Fitting(self.table.columns.target, METRICS["log_loss"], seed, self.config.usable_threads)

    def plain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The same columns for every peer: category dtypes, and the calendar parts that Evertune makes of the time column."""
        times = frame[self.time].dt
        calendar = {part: getattr(times, part) for part in self.config.features.date_parts}
        categories = {name: "category" for name, kind in self.table.columns.features.items() if kind == "category"}
        return frame[list(self.table.columns.features)].assign(**calendar).astype(categories)

    def judge(self, prediction: Floats) -> Scores:
        """Log-loss and AUC of probabilities for the judged rows."""
        truth = encode(self.table.columns.target, self.judged[self.config.target])
        return {name: METRICS[name].measure(truth, prediction) for name in ("log_loss", "roc_auc")}


def read_settings(seed: int) -> RetrainConfig:
    """The worked example's own config; of it the benchmark changes the seed and the limits alone."""
    return read_config(CONFIG, {"seed": seed})


def read_month(month: str, seed: int) -> Month:
    """`2013-05`: the retrain that stands at the first of that month (UTC)."""
    as_of = pd.Timestamp(f"{month}-01", tz="UTC")
    config = read_settings(seed)
    loaded = load_table.plain(config.source, as_of.to_pydatetime())
    unasked = config.validation.changed(expectations=())  # they cost seconds of imports, and change no row
    table = validate_table.plain(loaded, config.table, unasked, as_of.to_pydatetime())
    assert config.time is not None
    times = loaded.frame[config.time.column]
    judged = (times >= as_of) & (times < as_of + pd.DateOffset(months=1)) & loaded.frame[config.target].notna()
    return Month(as_of, config, table, loaded.frame[judged].reset_index(drop=True))
