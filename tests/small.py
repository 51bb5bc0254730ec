"""A small table with a time column and a signal, and a config for it: what flow tests retrain in a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

START = datetime(2024, 1, 1, tzinfo=UTC)


def small_table(days: int = 120, rows_a_day: int = 10, seed: int = 0, noise: float = 2.0) -> pd.DataFrame:
    """`sold` depends on price and shop; one row in fifty has no label; the same rows for the same day, however many days."""
    frames = []
    for day in range(days):
        random = np.random.default_rng([seed, day])
        price, shop = random.normal(size=rows_a_day), random.choice(["north", "south", "west"], rows_a_day)
        signal = 1.5 * price + np.where(shop == "north", 1.0, 0.0) + noise * random.normal(size=rows_a_day)
        frames.append(
            pd.DataFrame(
                {
                    "id": np.arange(day * rows_a_day, (day + 1) * rows_a_day),
                    "day": [(START + timedelta(days=day, minutes=minute)).isoformat() for minute in range(rows_a_day)],
                    "price": price,
                    "shop": shop,
                    "sold": np.where(random.random(rows_a_day) < 0.02, np.nan, (signal > 0).astype(float)),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def guarded_table(api_token: str) -> pd.DataFrame:
    """A source that wants a secret."""
    assert api_token
    return small_table()


def small_config(folder: Path, table: pd.DataFrame | None = None, **changes: Any) -> Path:
    """Write table and config; `changes` are top-level keys on top of a config that retrains in about a second."""
    folder.mkdir(parents=True, exist_ok=True)
    (small_table() if table is None else table).to_csv(folder / "table.csv", index=False)
    content: dict[str, Any] = {
        "name": "shop",
        "source": {"kind": "csv", "path": "table.csv"},
        "target": "sold",
        "time": "day",
        "key": ["id"],
        "validation": {"min_rows": 50},
        "split": {"test": "20d", "folds": 2, "fold": "15d"},
        "features": {"rare": 2},
        "model": {"family": "lightgbm", "max_rounds": 30, "early_stopping_rounds": 5},
        "tuning": {"trials": 3, "minutes": None},
        "gate": {"min_rows": 20, "margin": 0.05, "unsure": "promote"},  # a few hundred rows are never sure
    }
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")
    return path


def at_day(day: int) -> datetime:
    return START + timedelta(days=day)
