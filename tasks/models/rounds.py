"""Boosting round by round, watching the metric itself: the loop that LightGBM and XGBoost share.

The libraries' own loops know their own metrics only, keep no prediction, and copy the model at their end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tasks.metrics import Metric
from tasks.models.model import Fitting, Matrix
from tasks.records import Floats, Rows

UNTUNED_ROUNDS = 200
"""What a fit takes when neither the config nor validation rows say how many."""


@dataclass(frozen=True)
class Watched:
    """The rows an early stop watches, in the order that the library holds them in."""

    truth: Floats
    query: Rows | None = None
    order: Rows | None = None
    """Positions of these rows in the matrix they came from; None when they stand as they did there."""

    def measure(self, metric: Metric, raw: Floats) -> float:
        return metric.of(self.truth, raw, self.query)

    def as_given(self, raw: Floats) -> Floats:
        """A prediction of these rows in the order of the matrix they came from."""
        if self.order is None:
            return raw
        given = np.empty_like(raw)
        given[self.order] = raw
        return given


@dataclass(frozen=True)
class Boosted:
    """Where boosting ended: the best round, its prediction of the watched rows, and the metric of every round."""

    rounds: int
    prediction: Floats | None = None
    curve: Floats | None = None


def boost(
    update: Callable[[], int],
    answer: Callable[[], Floats],
    watched: Watched,
    fitting: Fitting,
    most: int,
    patience: int,
    whole: bool = False,
) -> Boosted:
    """Boost until the metric has not improved for `patience` rounds, or `most` are done.

    `update` adds a round and returns how many there are (a round that finds no split adds none); `answer` gives the
    raw prediction of the watched rows, in a buffer that it may use again. `whole`: rounds cannot be taken back, since
    later ones change earlier ones, so that all are kept.
    """
    curve: list[float] = []
    best, least, kept, gained = 0, math.inf, np.empty(0), 0
    for attempt in range(most):
        rounds = update()
        if rounds > len(curve):
            raw = answer()
            curve.append(watched.measure(fitting.metric, raw))
            loss = fitting.metric.loss(curve[-1])
            if loss < least or not best:
                best, least, kept, gained = rounds, loss if math.isfinite(loss) else math.inf, raw.copy(), attempt
        if attempt - gained >= patience:
            break
    if whole:
        best, kept = len(curve), answer().copy()
    return Boosted(best, watched.as_given(kept), np.array(curve))


def straight(update: Callable[[], int], rounds: int) -> int:
    """So many rounds, whatever they bring; returns how many, those that found no split among them."""
    for _ in range(rounds):
        update()
    return rounds


def by_query(rows: Matrix) -> tuple[Matrix, Rows | None, Rows | None]:
    """The rows with those of a query side by side, how many each query has, and their positions before; both None without queries."""
    if rows.query is None:
        return rows, None, None
    order = np.argsort(rows.query, kind="stable")
    weight = None if rows.weight is None else rows.weight[order]
    query = rows.query[order]
    ordered = replace(rows, values=rows.values[order], truth=rows.truth[order], weight=weight, query=query)
    return ordered, np.unique_counts(query).counts, order
