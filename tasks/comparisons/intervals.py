"""Intervals: how sure a difference between two models is, by a paired block bootstrap of the rows that both answered.

Both are scored on the same rows, so what makes a day hard is hard for both and cancels. What is left is drawn again by
whole blocks (days), since rows of a day are alike; days are taken to be independent of each other, and a model whose bad
days come one in twenty looks better than it is until one has been seen. The spread of the drawn differences is their
standard error (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6 and 8). How many of these make
an interval is Student's, with the blocks that there are in effect: large ones count for more than small ones, so there
are fewer in effect than in number (Kish, Survey Sampling, 1965; Cameron and Miller, A Practitioner's Guide to
Cluster-Robust Inference, 2015, section VI). Where the drawn differences lean to one side (most days alike, a few very
bad), that end lies further off by Hall's transformation (On the Removal of Skewness by Transformation, 1992), which is
never used to bring an end nearer. `python -m tests.benchmarks.gate` measures how often this is wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.metrics import Metric
from tasks.records import Floats, Interval, Rows

RESAMPLES = 2000
FEWER, FEWEST_DRAWS, MEASURED_ROWS = 500, 100, 30_000_000
"""Draws where each of them measures the rows again: as many as measure so many rows in all, within these bounds."""
SEED = 20_130_901
"""Fixed: the same two models are always told apart in the same way."""
FEWEST, FEWEST_IN_EFFECT = 5, 3.0
"""Blocks, and blocks in effect; fewer say too little about noise."""


@dataclass(frozen=True)
class Sample:
    """The rows that both models answered. `block` numbers their blocks from 0 without a gap, `rows` counts each block's."""

    truth: Floats
    block: Rows
    rows: Rows
    metric: Metric
    query: Rows | None

    @functools.cached_property
    def members(self) -> list[Rows]:
        """The rows of each block."""
        return np.split(np.argsort(self.block, kind="stable"), np.cumsum(self.rows)[:-1])

    def measure(self, rows: Rows, prediction: Floats) -> float:
        return self.metric.of(self.truth[rows], prediction[rows], None if self.query is None else self.query[rows])


def paired_interval(
    truth: Floats, ours: Floats, theirs: Floats, metric: Metric, blocks: Rows, confidence: float, query: Rows | None = None
) -> Interval:
    """Our loss less theirs on the same rows, with its noise; truth, predictions and `query` as `tasks.metrics` has them.

    `blocks` has each row's block, any whole numbers, shape (rows,); no query is torn between two. The same rows always get
    the same interval, and two models that answer alike differ by exactly 0, with an error of 0. Everything but the
    difference is NaN with fewer than FEWEST blocks, or where most draws do not define the metric.
    """
    difference = metric.loss(metric.of(truth, ours, query)) - metric.loss(metric.of(truth, theirs, query))
    _, block, rows = np.unique(blocks, return_inverse=True, return_counts=True)
    unknown = Interval(difference, math.nan, math.nan, math.nan, confidence, len(rows))
    effective = count_effective(rows)
    if len(rows) < FEWEST or effective < FEWEST_IN_EFFECT or not math.isfinite(difference):
        return unknown
    redraw, count = way_to_redraw(metric, len(truth))
    sample, draws = Sample(truth, block, rows, metric, query), draw_blocks(len(rows), count)
    drawn = metric.loss(1.0) * (redraw(sample, ours, draws) - redraw(sample, theirs, draws))
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < count / 2:
        return unknown
    spread = float(drawn.std(ddof=1))
    error, lean = spread * math.sqrt(effective / (effective - 1)), _lean(drawn, spread, effective)
    freedom = 1 / (1 / (effective - 1) + 1 / (len(drawn) - 1))  # of the blocks, and of the draws: both spread the error
    far = student(freedom, confidence)
    low, high = difference - error * max(far, _unlean(far, lean)), difference - error * min(-far, _unlean(-far, lean))
    return Interval(difference, low, high, error, confidence, len(rows), freedom, lean)


def count_effective(rows: Rows) -> float:
    """How many equal blocks say as much as blocks of so many rows: (sum of rows) ** 2 / sum of rows ** 2, by Kish."""
    return float(rows.sum()) ** 2 / float((rows.astype(np.float64) ** 2).sum())


def student(freedom: float, probability: float) -> float:
    """What Student's t stays below with this probability."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def surely_above(intervals: Sequence[Interval], limits: Sequence[float], confidence: float) -> tuple[bool, ...]:
    """Which true differences are shown to exceed their limits, with a chance of at most 1 - confidence of a single false alarm.

    Each interval is one test, and several are several: Holm's step-down keeps the chance of any false alarm, whatever
    their dependence (Scandinavian Journal of Statistics 6, 1979). Of a single one it asks whether `low` exceeds the limit.
    An interval without ends is no alarm.
    """
    chances = [_chance(interval, limit) for interval, limit in zip(intervals, limits, strict=True)]
    found = [False] * len(chances)
    for before, position in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[position] >= (1 - confidence) / (len(chances) - before):
            break
        found[position] = True
    return tuple(found)


def _chance(interval: Interval, limit: float) -> float:
    """The chance of such a difference, or a larger one, if the true one were the limit; 1 where noise is not known."""
    from scipy.special import stdtr

    above, lean = interval.difference - limit, interval.lean
    if interval.standard_error == 0:
        return 0.0 if above > 0 else 1.0
    far = above / interval.standard_error
    chance = float(stdtr(interval.freedom, -min(far, far + lean * far**2 / 3 + lean**2 * far**3 / 27 + lean / 6)))
    return chance if math.isfinite(chance) else 1.0


def _lean(drawn: Floats, spread: float, effective: float) -> float:
    """The skewness of the drawn differences, which is the blocks' own over the root of their number, made unbiased for few."""
    if spread == 0:
        return 0.0
    skewness = float(np.mean(((drawn - drawn.mean()) / spread) ** 3))
    return skewness * math.sqrt(effective * (effective - 1)) / (effective - 2)


def _unlean(far: float, lean: float) -> float:
    """How many standard errors from the true difference one is found, where it would be `far` without skewness: Hall's inverse."""
    return far if abs(lean) < 1e-6 else 3 / lean * (float(np.cbrt(1 + lean * (far - lean / 6))) - 1)


def draw_blocks(blocks: int, count: int = RESAMPLES, stream: int = 0) -> Floats:
    """How often each block was drawn, shape (count, blocks); streams are independent of each other, the same one never changes."""
    return _draw(blocks, count, stream)


@functools.lru_cache(maxsize=64)
def _draw(blocks: int, count: int, stream: int) -> Floats:
    random = np.random.default_rng([SEED, stream])
    drawn = random.multinomial(blocks, np.full(blocks, 1 / blocks), size=count).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


Redraw = Callable[[Sample, Floats, Floats], Floats]


def way_to_redraw(metric: Metric, rows: int) -> tuple[Redraw, int]:
    """How a metric is measured on drawn blocks, and how many draws that affords."""
    name, _, _ = metric.name.partition("_at_")
    if name in WAYS:
        return WAYS[name], RESAMPLES
    return _measured_again, max(FEWEST_DRAWS, min(FEWER, MEASURED_ROWS // rows))


def _means(sample: Sample, prediction: Floats, draws: Floats, power: int = 1) -> Floats:
    """For a mean over rows: the drawn blocks' sums over their rows. With a power of 2: for the root of such a mean."""
    values = np.array([sample.measure(rows, prediction) for rows in sample.members]) ** power
    means: Floats = (draws @ (values * sample.rows)) / (draws @ sample.rows)
    return means ** (1 / power)


def _means_of_queries(sample: Sample, prediction: Floats, draws: Floats) -> Floats:
    """For a mean over queries with a relevant row; blocks without any say nothing."""
    if sample.query is None:
        raise ValueError(f"{sample.metric.name} is a mean over queries, and the rows come without theirs")
    relevant = sample.truth > 0
    counts = np.array([len(np.unique(sample.query[rows[relevant[rows]]])) for rows in sample.members], dtype=np.float64)
    values = [sample.measure(rows, prediction) if count else 0.0 for rows, count in zip(sample.members, counts, strict=True)]
    with np.errstate(invalid="ignore"):  # a draw without any such query is NaN
        means: Floats = (draws @ (values * counts)) / (draws @ counts)
    return means


def _areas(sample: Sample, prediction: Floats, draws: Floats) -> Floats:
    """For the area under the ROC curve: over several classes the mean of one against the rest, as in `tasks.metrics`."""
    columns = [prediction] if prediction.ndim == 1 else list(prediction.T)
    positive = [sample.truth == 1] if prediction.ndim == 1 else [sample.truth == k for k in range(len(columns))]
    areas = np.stack([_area(sample, column, one, draws) for column, one in zip(columns, positive, strict=True)])
    known = np.isfinite(areas)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(known, areas, 0.0).sum(axis=0) / known.sum(axis=0)
    return means


def _area(sample: Sample, score: Floats, positive: NDArray[np.bool_], draws: Floats) -> Floats:
    """Pairs in the right order by block of the positive and of the negative row, counted once; a draw weighs both blocks."""
    blocks, above, below = len(sample.rows), sample.block[positive], sample.block[~positive]
    order = np.argsort(score[positive], kind="stable")
    ranked, above = score[positive][order], above[order]
    negative = np.argsort(score[~positive], kind="stable")
    others, below = score[~positive][negative], below[negative]
    right = np.empty((blocks, blocks))
    for block in range(blocks):
        among = others[below == block]
        right[:, block] = np.bincount(above, np.searchsorted(among, ranked, "left") + np.searchsorted(among, ranked, "right"), blocks)
    pairs = (draws @ np.bincount(above, minlength=blocks)) * (draws @ np.bincount(below, minlength=blocks))
    with np.errstate(invalid="ignore"):  # a draw of one class alone is NaN
        area: Floats = ((draws @ right) * draws).sum(axis=1) / (2 * pairs)
    return area


def _measured_again(sample: Sample, prediction: Floats, draws: Floats) -> Floats:
    """For any metric: measured on the drawn rows, a query of a block drawn twice counting as two."""
    everything = np.arange(len(sample.truth))
    values = np.empty(len(draws))
    for position, counts in enumerate(draws.astype(np.int64)):
        copies = counts[sample.block]
        rows = np.repeat(everything, copies)
        query = None
        if sample.query is not None:
            copy = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
            query = sample.query[rows] + copy * (int(sample.query.max()) + 1)
        values[position] = sample.metric.of(sample.truth[rows], prediction[rows], query)
    return values


WAYS: dict[str, Redraw] = {
    **dict.fromkeys(("log_loss", "brier", "accuracy", "mae", "mape", "poisson_deviance", "pinball"), _means),
    "rmse": functools.partial(_means, power=2),
    "ndcg": _means_of_queries,
    "roc_auc": _areas,
}
"""By a metric's name, without the number in it; all others are measured again on every draw."""
