"""How often `tuning.when: auto` tunes in vain, and how often it misses a gain: `python -m tests.benchmarks.auto`.

Month after month on flights, each retrain after the ones before it: the probe decides, and then the search is run
whatever it said. Both the last best settings and the tuned ones are fitted on all rows and judged on the next month, by
day, paired. The champion of the next month is what `auto` would have trained.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd

from tasks.deciding import judge_probe, last_best
from tasks.metrics import METRICS
from tasks.models.recipes import Candidates, Recipe
from tasks.plans import plan_features
from tasks.records import Champion, Floats, FoldScore, Hyperparameters
from tasks.remembering import LastSearch
from tasks.searches import find_search
from tasks.training import train_model
from tasks.trials.memory import start_from
from tasks.trials.noise import paired_difference
from tasks.trials.reserves import FinalFit
from tasks.trials.tuner import Tuner
from tests.benchmarks.tuning.months import Month, read_month
from tests.benchmarks.tuning.systems.evertune import open_workers

METRIC = METRICS["log_loss"]


@dataclass(frozen=True)
class Verdict:
    """One month: what `auto` decided, and what tuning would have gained (log-loss of the next month, above 0 where it did)."""

    month: str
    tuned: bool
    reason: str
    reused: float
    searched: float
    gain: float
    standard_error: float

    @property
    def in_vain(self) -> bool:
        return self.tuned and self.gain <= 0

    @property
    def missed(self) -> bool:
        return not self.tuned and self.gain > 2 * self.standard_error


def replay(months: list[str], seed: int, budget: float) -> list[Verdict]:
    """Each month in turn; the first one has nothing to reuse and only makes the first champion."""
    champion: Champion | None = None
    last: LastSearch | None = None
    verdicts = []
    for name in months:
        month = read_month(name, seed)
        config = month.config.tuning.changed(when="auto", trials=None, minutes=budget / 60, average=1)
        base = Recipe(month.config.model, month.config.features, month.config.weights)
        candidates = Candidates(base, month.table.columns.target.task)
        with open_workers(month.config) as workers:
            tuner = Tuner(
                month.table, month.split, candidates, config, find_search(config, candidates.space, len(month.split.folds)),
                month.fitting(seed), workers.executor, (f"sqlite:///{workers.folder / 'studies.db'}", "auto"),
                start_from(candidates, champion, [], config.memory), FinalFit(len(month.table.frame), 1, 2), lambda _: None,
            )  # fmt: skip
            began = time.monotonic()
            tuner.search(most=config.auto.probe)
            decision = None
            if champion is not None:
                seconds = time.monotonic() - began
                decision = judge_probe(tuner.trials, champion, last, tuner.block_rows, METRIC, config, seconds)
            tuner.search()
            tuner.close()
            recipe, search = tuner.finish(lambda base=base: base)
        if champion is not None and decision is not None:
            reused = last_best(candidates, champion)
            verdicts.append(_compare(name, month, seed, decision.tune, decision.reason, reused, recipe))
            print(json.dumps(asdict(verdicts[-1])), flush=True)
            recipe = recipe if decision.tune else reused
        last = LastSearch(month.as_of.to_pydatetime(), METRIC.name, {}, search.seconds, None, "")
        champion = _champion(name, recipe)
    return verdicts


def _compare(name: str, month: Month, seed: int, tuned: bool, reason: str, reused: Recipe, searched: Recipe) -> Verdict:
    """Both recipes fitted on all rows and judged on the next month, the difference with its noise by day."""
    truth = month.judged[month.config.target].to_numpy(dtype=np.float64)
    days = pd.factorize(month.judged[month.time].dt.floor("D"))[0]
    scores = [_score(_predict(month, seed, recipe), truth, days) for recipe in (reused, searched)]
    difference = paired_difference([scores[0]], [scores[1]], [np.bincount(days)], METRIC)
    return Verdict(name, tuned, reason, scores[0].value, scores[1].value, difference.mean, difference.standard_error)


def _predict(month: Month, seed: int, recipe: Recipe) -> Floats:
    features = plan_features(month.table.columns, recipe.features, recipe.model.reads)
    fitted = train_model.plain(month.table, month.every_row, features, recipe.model, month.fitting(seed), recipe.weights)
    return fitted.predict(month.judged)


def _score(prediction: Floats, truth: Floats, days: np.ndarray) -> FoldScore:
    blocks = tuple(METRIC.measure(truth[days == day], prediction[days == day]) for day in range(days.max() + 1))
    return FoldScore(0, 1.0, METRIC.measure(truth, prediction), blocks, len(truth))


def _champion(name: str, recipe: Recipe) -> Champion:
    chosen: Hyperparameters = recipe.model.hyperparameters
    through = datetime.fromisoformat(f"{name}-01").replace(tzinfo=UTC)
    return Champion(
        "flights", name, "", "", through, "", "", "", recipe.model.identity, chosen, {"family": recipe.model.family, **recipe.to_json()}
    )


def main() -> None:
    """Replay and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", nargs="+", default=[f"2013-{month:02d}" for month in range(4, 9)])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--budget", type=float, default=30.0, help="seconds of one search, its probe included")
    parser.add_argument("--results", type=Path, default=None, help="where the verdicts are written as JSON lines")
    given = parser.parse_args()
    verdicts = [verdict for seed in given.seeds for verdict in replay(given.months, seed, given.budget)]
    if given.results:
        given.results.write_text("".join(json.dumps(asdict(verdict)) + "\n" for verdict in verdicts))
    tuned = [verdict for verdict in verdicts if verdict.tuned]
    vain, missed = sum(verdict.in_vain for verdict in tuned), sum(verdict.missed for verdict in verdicts)
    always, auto = (np.mean([verdict.gain * counts for verdict, counts in pairs]) for pairs in _gains(verdicts))
    print(f"{len(verdicts)} retrains: tuned {len(tuned)}, {vain} in vain; reused {len(verdicts) - len(tuned)}, {missed} missed a gain")
    print(f"mean gain in log-loss over always reusing: of always tuning {always:+.4f}, of auto {auto:+.4f}")


def _gains(verdicts: list[Verdict]) -> tuple[list[tuple[Verdict, bool]], list[tuple[Verdict, bool]]]:
    """Each month with whether its gain counts: for a policy that always tunes, and for auto."""
    return [(verdict, True) for verdict in verdicts], [(verdict, verdict.tuned) for verdict in verdicts]


if __name__ == "__main__":
    main()
