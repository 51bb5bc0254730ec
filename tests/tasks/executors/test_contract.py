"""What every executor promises, run over all of them with real processes and faults in earnest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.executors.dask import DaskCluster
from tasks.executors.executor import Executor, JobLimits
from tasks.executors.processes import Processes
from tests.tasks.executors.scenes import (
    NUMBERS,
    WITH_FAULTS,
    alive,
    dask_cluster,
    failure,
    in_process,
    job,
    outcomes,
    run,
    score,
    until,
    workload,
)

LIMITS = JobLimits(seconds=6.0, bytes=700_000_000)
MEASURED = ("fit_seconds", "seconds", "peak_mb", "worker")


@pytest.fixture(scope="module", params=["processes", "dask"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Executor, Path]]:
    """A started executor with two workers and its workload, and the folder that its processes work below."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**WITH_FAULTS, "MARK": str(folder / "mark")}
    if request.param == "processes":
        with Processes(capacity=2, limits=LIMITS, scratch=folder, environment=environment) as executor:
            executor.start()
            executor.load(workload())
            yield executor, folder
        return
    with dask_cluster(folder, 2, environment) as cluster, DaskCluster(capacity=0, limits=LIMITS, address=cluster.address) as executor:
        executor.start()
        executor.load(workload())
        yield executor, folder


@pytest.fixture
def executor(place: tuple[Executor, Path]) -> Executor:
    return place[0]


@pytest.fixture
def folder(place: tuple[Executor, Path]) -> Path:
    return place[1]


@pytest.fixture
def mark(folder: Path) -> Iterator[Path]:
    """Where a job that waits writes a process's number."""
    yield folder / "mark"
    (folder / "mark").unlink(missing_ok=True)


def test_scores_are_those_of_one_process_to_the_last_bit(executor: Executor) -> None:
    jobs = [job(number, fold=fold, num_leaves=5 + number) for number in range(3) for fold in range(2)]
    jobs += [job(3, share=0.5), job(4, family="xgboost")]
    expected = in_process(*jobs)
    for key, outcome in run(executor, *jobs).items():
        unmeasured = {name: getattr(expected[key], name) for name in MEASURED}
        assert replace(score(outcome), **unmeasured) == expected[key]


def test_a_score_says_where_it_was_made_and_what_it_took(executor: Executor) -> None:
    (outcome,) = run(executor, job(10)).values()
    assert "worker" in score(outcome).worker
    assert 50 < score(outcome).peak_mb < 2000
    assert 0 < score(outcome).fit_seconds <= score(outcome).seconds <= outcome.seconds


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("raise_error", "raised", "ValueError: the library said no"),
        ("not_a_number", "raised", "not a finite number"),
        ("segfault", "died", "died of SIGSEGV; it wrote: about to crash"),
        ("abort", "died", "died of SIGABRT"),
        ("leave", "died", "ended with exit code 3"),
        ("hang", "slow", "took more than 6 seconds"),
        ("hold_the_interpreter", "slow", "took more than 6 seconds"),
        ("eat_slowly", "memory", "took more than 700 MB"),
        ("eat_at_once", "memory", "ran out of memory"),
        ("always_killed", "lost", "killed twice"),
    ],
)
def test_a_fit_that_goes_wrong_costs_its_trial_and_nothing_else(executor: Executor, fault: str, kind: str, words: str) -> None:
    trial = NUMBERS[fault]  # a trial's time adds up
    found = run(executor, job(trial, fault), job(trial + 100), job(trial + 200))
    assert failure(found[trial, 0])[0] == kind
    assert words in failure(found[trial, 0])[1]
    assert score(found[trial + 100, 0]).value == score(found[trial + 200, 0]).value == in_process(job(21))[21, 0].value


def test_a_trials_time_is_that_of_all_its_folds(executor: Executor) -> None:
    kinds = []
    for fold in (0, 1) * 4:
        (outcome,) = run(executor, job(30, "take_a_second", fold=fold)).values()
        kinds.append(outcome.failure.kind if outcome.failure else "scored")
    assert kinds.count("slow") >= 1
    assert kinds[0] == "scored"


def test_a_worker_killed_in_mid_job_costs_one_more_try(executor: Executor, mark: Path) -> None:
    executor.submit(job(40, "wait_to_be_killed"))
    executor.wait(0)
    os.kill(int(until(lambda: mark.exists() and mark.read_text())), signal.SIGKILL)
    (outcome,) = outcomes(executor).values()
    assert score(outcome).value == in_process(job(40))[40, 0].value


def test_a_trial_that_is_ended_is_ended_at_once_and_its_process_with_it(executor: Executor, mark: Path) -> None:
    executor.submit(job(50, "wait_to_be_killed"))
    executor.submit(job(51))
    executor.submit(job(52))
    pid = int(until(lambda: mark.exists() and mark.read_text()))
    executor.end(50)
    found = outcomes(executor, 10)
    assert failure(found[50, 0])[0] == "ended"
    assert score(found[51, 0]).value == score(found[52, 0]).value
    until(lambda: not alive(pid), 2)


def test_what_waits_in_the_queue_can_be_ended_too(executor: Executor) -> None:
    for number in range(60, 64):
        executor.submit(job(number, "take_a_second"))
    executor.end(63)
    found = outcomes(executor)
    assert failure(found[63, 0])[0] == "ended"
    assert score(found[60, 0]).value == score(found[62, 0]).value


def test_nothing_pending_is_nothing_to_wait_for(executor: Executor) -> None:
    began = time.monotonic()
    assert executor.wait(30) == []
    assert time.monotonic() - began < 1
