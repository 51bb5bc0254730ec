"""A shop whose customers change half-way, a weak and a strong recipe, and real fits of them: what judging and explaining are tried on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tasks.comparisons.blocks import block_rows
from tasks.features import build_features
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitted, Fitting
from tasks.models.recipes import Recipe
from tasks.records import Champion, Columns, Evaluation, Floats, Fold, Rows, Split, Table, Target
from tasks.targets import encode
from tasks.training import train_model

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, A_DAY, TESTED = 60, 20, 15
TARGET = Target("sold", "binary", ("no", "yes"))
FITTING = Fitting(TARGET, METRICS["log_loss"], 0, 1)


def shop(days: int = DAYS) -> Table:
    """Prices that are bought at, first the high ones, and from the half on the low ones too."""
    rows = days * A_DAY
    random = np.random.default_rng(0)
    price, size = random.normal(size=rows), random.normal(size=rows)
    day = np.arange(rows) // A_DAY
    signal = np.where(day < days // 2, price, np.abs(price) - 0.8) + 0.5 * size + 0.3 * random.normal(size=rows)
    times = [START + timedelta(days=row // A_DAY, minutes=row % A_DAY) for row in range(rows)]
    frame = pd.DataFrame({"time": pd.to_datetime(times, utc=True), "price": price, "size": size, "sold": np.where(signal > 0, "yes", "no")})
    return Table(frame, Columns(TARGET, {"price": "number", "size": "number"}, "time"), "digest", ())


def cut(unseen: bool = True, gap: int = 0) -> Split:
    """The last 15 days judge; `gap` days before them nobody is trained on."""
    first = (DAYS - TESTED) * A_DAY
    return Split((), np.arange(first - gap * A_DAY), np.arange(first, DAYS * A_DAY), "", unseen)


def recipe(rounds: int = 40, leaves: int = 8, **hyperparameters: Any) -> Recipe:
    return Recipe(
        parse_model({"family": "lightgbm", "hyperparameters": {"num_iterations": rounds, "num_leaves": leaves, **hyperparameters}})
    )


WEAK, STRONG = recipe(rounds=8, leaves=2), recipe()


def fit(table: Table, chosen: Recipe, rows: Rows) -> Fitted:
    features = build_features.plain(table.columns, chosen.features, chosen.model.reads)
    return train_model.plain(table, rows, features, chosen.model, FITTING, chosen.weights)


def champion(version: str = "3", through_day: int = 20, settings: Recipe = WEAK, **more: Any) -> Champion:
    """One that was trained through the end of a day."""
    through = START + timedelta(days=through_day) - timedelta(microseconds=1)
    made = Champion("shop", version, f"models:/shop/{version}", "run", through, "c", "d", "s", "lightgbm", {}, settings.to_json())
    return replace(made, **more)


def rows_of_days(first: int, last: int) -> Rows:
    """From the first day up to, not including, the last."""
    return np.arange(first * A_DAY, last * A_DAY)


def evaluated(table: Table, split: Split, ours: Floats, theirs: Floats | None, kind: Any = "champion", **more: Any) -> Evaluation:
    """Two predictions of the test rows, scored by the log loss."""
    truth = encode(TARGET, table.frame["sold"].iloc[split.test])
    scores = [{"log_loss": METRICS["log_loss"].of(truth, given)} if given is not None else {} for given in (ours, theirs)]
    blocks = block_rows(table, Fold(split.train, split.test))
    kind = kind if theirs is not None else "nobody"
    return replace(Evaluation("log_loss", scores[0], scores[1], len(truth), kind, "", truth, ours, theirs, blocks), **more)
