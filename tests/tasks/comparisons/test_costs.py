from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.comparisons.costs import FEWEST, PATIENCE, measure_cost
from tasks.features import build_features
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitted, Fitting
from tasks.records import Columns, Floats, Table, Target
from tasks.settings import FeatureSettings
from tasks.training import train_model

TARGET = Target("sold", "binary", ("no", "yes"))


def rows(count: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    price, shop = random.normal(size=count), random.choice(["north", "south"], count)
    day = pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC")
    return pd.DataFrame({"price": price, "shop": shop, "day": day, "sold": np.where(price > 0, "yes", "no")})


def fit(rounds: int = 20) -> Fitted:
    table = Table(rows(300), Columns(TARGET, {"price": "number", "shop": "category"}, "day"), "digest", ())
    model = parse_model({"family": "lightgbm", "hyperparameters": {"num_iterations": rounds, "learning_rate": 0.01}})
    features = build_features.plain(table.columns, FeatureSettings(expand_time=True), model.reads)
    return train_model(table, np.arange(300), features, model, Fitting(TARGET, METRICS["log_loss"], 0, 1))


class Watched:
    """A real model, and what it was asked for; it may take its time."""

    def __init__(self, fitted: Fitted, seconds: float = 0.0) -> None:
        self.fitted, self.seconds, self.asked = fitted, seconds, list[pd.DataFrame]()

    @property
    def plan(self) -> dict[str, Any]:
        return self.fitted.plan

    def predict(self, frame: Any) -> Floats:
        self.asked.append(frame)
        time.sleep(self.seconds)
        return self.fitted.predict(frame)

    def save(self, folder: Path) -> Path:
        return self.fitted.save(folder)


@pytest.mark.parametrize("count", [7, 1500])
def test_one_row_and_a_thousand_are_asked_as_raw_columns(count: int) -> None:
    watched = Watched(fit())
    found = measure_cost(watched, rows(count))
    assert {len(frame) for frame in watched.asked} == {1, 1000}
    assert {tuple(frame.columns) for frame in watched.asked} == {("price", "shop", "day")}
    assert 0 < found.one_row_ms < 1000
    assert 0 < found.thousand_rows_ms < 1000


def test_a_slow_model_is_said_to_be_slow_without_waiting_for_it_long() -> None:
    watched = Watched(fit(), 0.4 * PATIENCE)
    started = time.perf_counter()
    found = measure_cost(watched, rows(50))
    assert found.one_row_ms >= 1000 * 0.4 * PATIENCE
    assert found.thousand_rows_ms >= 1000 * 0.4 * PATIENCE
    assert len(watched.asked) == 2 * (FEWEST + 1)
    assert time.perf_counter() - started < 10 * PATIENCE


def test_the_size_is_that_of_all_files_that_saving_writes(tmp_path: Path) -> None:
    fitted = fit()
    fitted.save(tmp_path / "saved")
    written = [path.read_bytes() for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert len(written) >= 3
    assert measure_cost(fitted, rows(10)).megabytes == sum(map(len, written)) / 1e6


def test_a_larger_model_is_larger() -> None:
    assert measure_cost(fit(200), rows(10)).megabytes > measure_cost(fit(20), rows(10)).megabytes
