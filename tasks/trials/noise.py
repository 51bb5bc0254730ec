"""Noise: how sure a difference between two trials is, by the block bootstrap of paired differences of their losses.

Two trials are scored on the same rows, so what makes a day hard is hard for both and cancels. What is left is drawn
again by whole blocks (days), since rows of a day are alike. The spread of the folds' values, by contrast, is mostly
how hard each month is. Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 8.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.comparisons.intervals import draw_blocks
from tasks.metrics import Metric
from tasks.records import Floats, FoldScore


@dataclass(frozen=True)
class Difference:
    """The loss of `a` less that of `b`: below 0 where a is better, in the metric's units.

    All three are NaN-safe to compare: where too few blocks are there to say anything of noise, `standard_error` and
    `probability_better` are NaN, and every comparison with them is False.
    """

    mean: float
    standard_error: float
    probability_better: float
    """That a is better than b; one half for two that are equal."""


def paired_difference(a: Sequence[FoldScore], b: Sequence[FoldScore], rows: Sequence[NDArray[np.int64]], metric: Metric) -> Difference:
    """Compare two trials on the folds that both were scored on, each fold counting the same, as in a trial's value.

    `rows` has for each fold the number of scored rows of each block, see `count_rows`. Blocks on which either has no
    value (a ranking of rows of one class) are left out, and so are folds with fewer than two blocks left, if there are
    others. The mean is that of the folds' values; the blocks say how far it may be off, which for metrics that are no
    means over rows (rankings, roots) is an approximation.
    """
    pairs = list(_common(a, b))
    if not pairs:
        return Difference(math.nan, math.nan, math.nan)
    sign = metric.loss(1.0)
    noises = [_noise(ours, theirs, rows[ours.fold]) for ours, theirs in pairs]
    known = [(pair, noise) for pair, noise in zip(pairs, noises, strict=True) if noise is not None]
    if not known:
        return Difference(sign * float(np.mean([ours.value - theirs.value for ours, theirs in pairs])), math.nan, math.nan)
    mean = float(np.mean([ours.value - theirs.value for (ours, theirs), _ in known]))
    noise = np.mean([noise for _, noise in known], axis=0)
    drawn = sign * (mean + noise)
    better = float(np.mean(drawn < 0) + np.mean(drawn == 0) / 2)
    return Difference(sign * mean, float(noise.std(ddof=1)), better)


def count_rows(blocks: Iterable[NDArray[np.int64]]) -> tuple[NDArray[np.int64], ...]:
    """A workload's block of each scored row -> the number of rows of each block, fold by fold."""
    return tuple(np.unique(fold, return_counts=True)[1] for fold in blocks)


def _common(a: Sequence[FoldScore], b: Sequence[FoldScore]) -> Iterable[tuple[FoldScore, FoldScore]]:
    """Scores of both for the same fold and share of training rows; the largest share where there are several."""
    theirs = {(score.fold, score.share): score for score in b}
    ours = {score.fold: score for score in sorted(a, key=lambda score: score.share) if (score.fold, score.share) in theirs}
    return [(score, theirs[fold, score.share]) for fold, score in sorted(ours.items())]


def _noise(ours: FoldScore, theirs: FoldScore, rows: NDArray[np.int64]) -> Floats | None:
    """How far the fold's mean difference is off when its blocks are drawn again, shape (draws,); None for a single block.

    Folds are drawn independently of each other, and all pairs of trials by the same draws. Stretched by the root of
    n / (n - 1), since a bootstrap of n blocks finds a variance that much too small.
    """
    difference = np.subtract(ours.blocks, theirs.blocks)
    usable = np.isfinite(difference)
    count = int(usable.sum())
    if count < 2:
        return None
    difference, weight = difference[usable], rows[usable].astype(np.float64)
    draws = draw_blocks(count, stream=ours.fold)
    centred = difference - np.average(difference, weights=weight)
    noise: Floats = (draws @ (centred * weight)) / (draws @ weight) * math.sqrt(count / (count - 1))
    return noise
