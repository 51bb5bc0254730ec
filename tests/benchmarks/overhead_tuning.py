"""What the tuning stage costs beyond its fits: `python -m tests.benchmarks.overhead_tuning [--seconds 60] [--month 2013-06]`.

The stage searches flights for so many seconds, no final fit reserved. Then the same fits (settings, folds, rows) are run by the plainest
loop there is: as many processes, each with its folds binned in memory, taking one fit after the other from a list, with nothing
proposed, scored, compared or written. The overhead is the stage's wall time over that loop's. Processes are started, and
libraries imported, before either clock. `make benchmark ARGS=--publish` puts the figures into the README.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.executors.executor import Executor, Job, Outcome, Workload
from tasks.models.recipes import read_recipe
from tests.benchmarks.tuning.months import Month, read_month, read_settings
from tests.benchmarks.tuning.processes import settle, usable_cores
from tests.benchmarks.tuning.publishing import OVERHEAD_FILE, RESULTS_FOLDER
from tests.benchmarks.tuning.systems.evertune import open_workers, search_month


@dataclass(frozen=True)
class Overhead:
    """Seconds of wall time, and shares of it; `fits` is how many fits both did. What the stage spent on the last fits,
    which the limit of time ended in the middle, has no counterpart in the plain loop, and counts as overhead."""

    budget: float
    stage_seconds: float
    bare_seconds: float
    fits: int
    in_boosting: float
    """Of the stage's wall time times workers."""

    @property
    def overhead(self) -> float:
        return self.stage_seconds / self.bare_seconds - 1


def measure_overhead(name: str, seed: int, seconds: float) -> Overhead:
    """One stage, and its fits again."""
    with open_workers(read_settings(seed)) as workers:
        month, jobs = read_month(name, seed), _listen(workers.executor)
        settle()
        began = time.perf_counter()
        _, search = search_month(month, seed, seconds, workers, final_fits=0)
        stage = time.perf_counter() - began
    bare = _run_bare(_workload(month, seed), jobs, usable_cores())
    return Overhead(seconds, stage, bare, len(jobs), search.fit_seconds / search.worker_seconds)


def _listen(executor: Executor) -> list[Job]:
    """The fits that come to their end from now on, also those of trials that the limit of time cut short; grows as they do."""
    done: list[Job] = []
    wait = executor.wait

    def listening(seconds: float) -> list[Outcome]:
        outcomes = wait(seconds)
        done.extend(outcome.job for outcome in outcomes if outcome.score is not None)
        return outcomes

    executor.wait = listening  # type: ignore[method-assign]
    return done


def _workload(month: Month, seed: int) -> Workload:
    """Nothing is scored block by block here, so there are no blocks."""
    return Workload(month.table.frame, month.table.columns, month.split.folds, (), "log_loss", seed, 1)


def _run_bare(workload: Workload, jobs: list[Job], processes: int) -> float:
    """Seconds from the signal to go until the last fit is done."""
    context = multiprocessing.get_context("spawn")
    ready, go, left = context.Barrier(processes + 1), context.Barrier(processes + 1), context.Value("i", 0)
    loops = [context.Process(target=_loop, args=(workload, jobs, left, ready, go)) for _ in range(processes)]
    for loop in loops:
        loop.start()
    ready.wait(timeout=120)
    go.wait(timeout=120)
    began = time.perf_counter()
    for loop in loops:
        loop.join()
    if any(loop.exitcode for loop in loops):
        raise RuntimeError(f"a plain loop ended with {[loop.exitcode for loop in loops]}; there is nothing to compare with")
    return time.perf_counter() - began


def _loop(workload: Workload, jobs: list[Job], left: Any, ready: Any, go: Any) -> None:
    """Fits, until there are none left. Binning is part of it, once a fold, as it is in the stage."""
    import lightgbm  # noqa: F401

    from tasks.executors.folds import build_fold
    from tasks.metrics import METRICS
    from tasks.models.model import Fitting

    fitting = Fitting(workload.columns.target, METRICS[workload.metric], workload.seed, workload.threads)
    folds: dict[tuple[int, float], Any] = {}
    ready.wait(timeout=120)
    go.wait(timeout=120)
    while True:
        with left.get_lock():
            number, left.value = left.value, left.value + 1
        if number >= len(jobs):
            return
        job = jobs[number]
        model = read_recipe(job.recipe).model
        place = (job.fold, job.share)
        if place not in folds:
            folds[place] = model.prepare(*build_fold(workload, read_recipe(job.recipe), job), fitting)
        model.fit(folds[place], fitting)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--month", default="2013-06")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER / OVERHEAD_FILE)
    asked = parser.parse_args()
    found = []
    for seed in asked.seeds:
        one = measure_overhead(asked.month, seed, asked.seconds)
        found.append(one)
        print(
            f"seed {seed}: stage {one.stage_seconds:.1f} s, the same {one.fits} fits in plain loops {one.bare_seconds:.1f} s, "
            f"overhead {one.overhead:+.1%}, {one.in_boosting:.1%} of worker time inside boosting",
            flush=True,
        )
    summary = {
        "budget": asked.seconds,
        "overhead": statistics.fmean(one.overhead for one in found),
        "in_boosting": statistics.fmean(one.in_boosting for one in found),
        "fits": [one.fits for one in found],
    }
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    asked.results.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"mean overhead {summary['overhead']:+.1%}; written to {asked.results}")


if __name__ == "__main__":
    main()
