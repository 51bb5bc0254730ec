"""How often the gate promotes what it must not, and how often what it should: `python -m tests.benchmarks.gate`.

Two models answer made-up rows of some days. Days differ in how many rows they have, in how hard they are (for both
models alike, which cancels) and in how well they suit each model (which does not). How good a model truly is, over all
days there could be, is known exactly: a closed form or an integral, not a simulation. So is the difference of the two.
Where it is exactly the margin (rule non_inferior) or zero (superior), promotions are wrong, and may be no more than
1 - confidence of all. The whole gate decides, from predictions to verdict. The last lines break what the gate takes for
granted, that days are independent and not too lopsided, and show what that costs.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from tasks.comparisons.intervals import paired_interval
from tasks.gate import judge_candidate
from tasks.metrics import METRICS
from tasks.records import Evaluation, Floats, Rows
from tasks.settings import GateSettings, LeakageSettings

Rule = Literal["non_inferior", "superior"]
DAYS, ROWS_A_DAY = (5, 8, 15, 30, 60), 200
MARGIN, CONFIDENCE = 0.01, 0.95
BY_DAY, ALIKE = 0.1, 0.9
"""Share of a model's errors (as a variance) that a whole day has in common, and that both models have in common."""
SPREAD = 0.7
"""The champion's errors, as a standard deviation beside a signal of about 1."""
Set = tuple[int, Rule]
SETS: tuple[Set, ...] = (
    (1, "non_inferior"),
    (0, "non_inferior"),
    (-1, "non_inferior"),
    (0, "superior"),
    (-1, "superior"),
    (-3, "superior"),
)
"""True differences in margins (above 0: the challenger is worse) and the rule that judges them; the first of each rule must not pass."""
DEPENDENCE = 0.3


@dataclass(frozen=True)
class Scene:
    """Made-up rows for one metric. `true` is the metric of a model whose errors have this spread, over all days there could be."""

    name: str
    metric: str
    true: Callable[[float], float]
    answer: Callable[[np.random.Generator, Rows, float], tuple[Floats, Floats, Floats]]
    """Draws, each row's day and the challenger's spread -> truth, challenger's and champion's predictions."""

    def spread(self, margins: float) -> float:
        """The errors of a challenger that is truly worse by so many margins."""
        metric, before = METRICS[self.metric], self.true(SPREAD)
        wanted = metric.loss(before) + margins * MARGIN * abs(before)
        return float(brentq(lambda spread: metric.loss(self.true(spread)) - wanted, 0.01, 3 * SPREAD, xtol=1e-12))


def normal(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    return random.normal(size=size)


def lopsided(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Most days a little better than the mean, a few much worse."""
    return random.exponential(size=size) - 1


def dependent(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Each day a little like the one before it."""
    drawn = random.normal(size=size)
    for day in range(1, size[1]):
        drawn[:, day] = DEPENDENCE * drawn[:, day - 1] + math.sqrt(1 - DEPENDENCE**2) * drawn[:, day]
    return drawn


Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


def errors(random: np.random.Generator, day: Rows, spread: float, days: Draw = normal) -> Floats:
    """Challenger's and champion's errors, partly in common, partly the whole day's; shape (2, rows)."""
    by_day, by_row = _pair(random, int(day[-1]) + 1, days), _pair(random, len(day), normal)
    mixed: Floats = math.sqrt(BY_DAY) * by_day[:, day] + math.sqrt(1 - BY_DAY) * by_row
    return mixed * [[spread], [SPREAD]]


def _pair(random: np.random.Generator, count: int, draw: Draw) -> Floats:
    """Two series of mean 0 and variance 1 with a correlation, shape (2, count)."""
    own, common = draw(random, (2, count)), random.normal(size=count)
    pair: Floats = math.sqrt(ALIKE) * common + math.sqrt(1 - ALIKE) * own
    return pair


def late(random: np.random.Generator, day: Rows, spread: float, days: Draw = normal) -> tuple[Floats, Floats, Floats]:
    """Probabilities whose log-odds are the true ones and an error."""
    odds = -1.2 + 0.5 * random.normal(size=int(day[-1]) + 1)[day] + 1.2 * random.normal(size=len(day))
    ours, theirs = errors(random, day, spread, days)
    return (random.random(len(day)) < expit(odds)).astype(np.float64), expit(odds + ours), expit(odds + theirs)


def late_loss(spread: float) -> float:
    """Log loss by Gauss-Hermite quadrature over the true log-odds (all days and rows: standard deviation 1.3) and the error."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    odds, error = -1.2 + 1.3 * nodes[:, None], spread * nodes[None, :]
    loss = expit(odds) * np.logaddexp(0, -odds - error) + expit(-odds) * np.logaddexp(0, odds + error)
    return float(weights @ loss @ weights / weights.sum() ** 2)


def ranked(random: np.random.Generator, day: Rows, spread: float, days: Draw = normal) -> tuple[Floats, Floats, Floats]:
    """Scores of two classes a distance of 1.5 apart; the share of the positive one changes from day to day."""
    truth = (random.random(len(day)) < expit(-1.2 + 0.5 * random.normal(size=int(day[-1]) + 1)[day])).astype(np.float64)
    score = 1.5 * truth + random.normal(size=len(day))
    ours, theirs = errors(random, day, spread, days)
    return truth, score + ours, score + theirs


def ranked_area(spread: float) -> float:
    """The area under a binormal curve."""
    return float(ndtr(1.5 / math.sqrt(2 * (1 + spread**2))))


def delay(random: np.random.Generator, day: Rows, spread: float, days: Draw = normal) -> tuple[Floats, Floats, Floats]:
    """Values on days of different levels; some days are harder for both models than others, with a mean square of 1."""
    count = int(day[-1]) + 1
    truth = 10 + 2 * random.normal(size=count)[day] + random.normal(size=len(day))
    hard = np.exp(0.25 * random.normal(size=count) - 0.25**2)[day]
    ours, theirs = hard * errors(random, day, spread, days)
    return truth, truth + ours, truth + theirs


def delay_error(spread: float) -> float:
    return spread


SCENES = (
    Scene("log_loss", "log_loss", late_loss, late),
    Scene("roc_auc", "roc_auc", ranked_area, ranked),
    Scene("rmse", "rmse", delay_error, delay),
)
STRESSED = (
    Scene("log_loss, days depend on each other", "log_loss", late_loss, partial(late, days=dependent)),
    Scene("rmse, days depend on each other", "rmse", delay_error, partial(delay, days=dependent)),
    Scene("rmse, few very bad days", "rmse", delay_error, partial(delay, days=lopsided)),
)


def count_promoted(scene: Scene, days: int, tries: int, seed: int, sets: tuple[Set, ...] = SETS) -> list[float]:
    """Share of promotions for each set; both rules judge the same rows where the true difference is the same."""
    counts = dict.fromkeys(sets, 0)
    for margins in dict.fromkeys(margins for margins, _ in sets):
        spread, rules = scene.spread(margins), [rule for other, rule in sets if other == margins]
        for number in range(tries):
            evaluation = compare(scene, days, spread, np.random.default_rng([seed, days, number]))
            for rule in rules:
                counts[margins, rule] += is_promoted(evaluation, rule)
    return [count / tries for count in counts.values()]


def compare(scene: Scene, days: int, spread: float, random: np.random.Generator) -> Evaluation:
    """Two models on the rows of some days, whose numbers differ several times over."""
    day = np.repeat(np.arange(days), np.maximum(5, ROWS_A_DAY * np.exp(0.5 * random.normal(size=days))).astype(int))
    truth, ours, theirs = scene.answer(random, day, spread)
    metric = METRICS[scene.metric]
    now, before = ({metric.name: metric.of(truth, prediction)} for prediction in (ours, theirs))
    interval = paired_interval(truth, ours, theirs, metric, day, CONFIDENCE)
    return Evaluation(metric.name, now, before, len(day), "champion", "", truth, ours, theirs, day, interval)


def is_promoted(evaluation: Evaluation, rule: Rule) -> bool:
    settings = GateSettings(rule=rule, margin=MARGIN, confidence=CONFIDENCE)
    return judge_candidate.plain(evaluation, settings, (), LeakageSettings(action="off"), None).passed


def main() -> None:
    """Print shares of promotions in per cent, a line for each metric and number of days."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=2000, help="made-up retrains a cell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the processes to come: small products do not pay for threads
    print("| metric | days | " + " | ".join(f"{rule}, {say_true(margins)}" for margins, rule in SETS) + " |")
    print("|---" * (2 + len(SETS)) + "|")
    cells = [(scene, days) for scene in (*SCENES, *STRESSED) for days in DAYS]
    with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
        found = [pool.submit(count_promoted, scene, days, given.tries, given.seed) for scene, days in cells]
        for (scene, days), shares in zip(cells, found, strict=True):
            print(f"| {scene.name} | {days} | " + " | ".join(f"{100 * share:.1f}" for share in shares.result()) + " |", flush=True)


def say_true(margins: int) -> str:
    return "no better" if not margins else f"{abs(margins)} margin{'s' * (abs(margins) > 1)} {'worse' if margins > 0 else 'better'}"


if __name__ == "__main__":
    main()
