"""A small table to rank: searches in a shop, what was shown for each, and how much it was liked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

START = datetime(2024, 1, 1, tzinfo=UTC)


def searches(count: int = 300, shown: int = 8, seed: int = 0, hours: float = 9.0, spread: float = 0.0) -> pd.DataFrame:
    """`liked` (0 to 3) follows price and shop; what a search was about shifts all its prices, which only a ranking is blind to.

    Searches are `hours` apart; the rows of one lie within `spread` hours.
    """
    random = np.random.default_rng(seed)
    rows = count * shown
    search = np.repeat(np.arange(count), shown)
    level, quality, shop = np.repeat(random.normal(0, 3, count), shown), random.normal(size=rows), random.choice(["north", "south"], rows)
    appeal = quality + np.where(shop == "north", 0.7, 0.0) + 0.4 * random.normal(size=rows)
    when = search * hours + spread * random.random(rows)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "search": [f"s{number}" for number in search],
            "when": [START + timedelta(hours=float(hour)) for hour in when],
            "level": level,
            "quality": quality,
            "shop": shop,
            "liked": np.clip(np.floor(appeal + 1), 0, 3).astype(int),
        }
    )
