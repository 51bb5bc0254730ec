"""What is Dask's own: addresses, schedulers and workers that are not there, or go away."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import ConfigError, ServiceUnavailable
from tasks.executors import dask, open_executor
from tasks.executors.dask import DaskCluster
from tasks.executors.executor import JobLimits
from tasks.executors.posts import close_post
from tests.servers import Program, read_until
from tests.tasks.executors.scenes import (
    WITH_FAULTS,
    DaskProcesses,
    alive,
    dask_cluster,
    failure,
    in_process,
    job,
    outcomes,
    run,
    score,
    until,
    workers_below,
    workload,
)

CLIENT = """
import sys, time
from tasks.executors.dask import DaskCluster
from tests.tasks.executors.scenes import job, workload

executor = DaskCluster(capacity=0, address=sys.argv[1])
executor.start()
executor.load(workload())
executor.submit(job(1, "wait_to_be_killed"))
print("under way", flush=True)
time.sleep(600)
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskProcesses]:
    with dask_cluster(tmp_path, 1, {**WITH_FAULTS, "MARK": str(tmp_path / "mark")}) as started:
        yield started


def executor_on(cluster: DaskProcesses) -> DaskCluster:
    return DaskCluster(capacity=0, address=cluster.address)


def waiting_worker(folder: Path) -> int:
    mark = folder / "mark"
    return int(until(lambda: mark.exists() and mark.read_text(), 30))


def test_nobody_at_the_address_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable, match=rf"tuning.dask: no scheduler answers at {address}"):
            DaskCluster(capacity=0, address=address).start()
        assert time.monotonic() - began < 14


def test_no_address_and_no_package_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"tuning.dask: must be given with executor: dask"):
        open_executor("dask", None, 2, JobLimits(), tmp_path, None)
    executor = open_executor("dask", None, 2, JobLimits(), tmp_path, "tcp://127.0.0.1:8786")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'evertune\[dask\]'"):
        executor.start()


def test_a_killed_dask_worker_costs_its_job_one_more_try_and_takes_its_process_along(cluster: DaskProcesses, tmp_path: Path) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        assert executor.capacity == 1
        executor.load(workload())
        executor.submit(job(0, "wait_to_be_killed"))
        pid = waiting_worker(tmp_path)
        cluster.add_worker("another")
        cluster.running[1].kill()
        until(lambda: not alive(pid), 2)
        (outcome,) = outcomes(executor, 60).values()
        assert score(outcome).value == in_process(job(0))[0, 0].value


def test_a_job_whose_workers_go_away_twice_is_lost_and_the_next_one_is_not(cluster: DaskProcesses, tmp_path: Path) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        executor.load(workload())
        executor.submit(job(0, "wait_to_be_killed"))
        waiting_worker(tmp_path)
        cluster.add_worker("second")
        (tmp_path / "mark").unlink()
        cluster.running[1].kill()
        until(lambda: executor.wait(0.1) or (tmp_path / "mark").exists(), 60)
        cluster.add_worker("third")
        cluster.running[2].kill()
        found = outcomes(executor, 60)
        assert failure(found[0, 0])[0] == "lost"
        assert "went away" in failure(found[0, 0])[1]
        assert score(run(executor, job(1), seconds=60)[1, 0]).value == in_process(job(1))[1, 0].value


def test_close_leaves_no_process_of_ours_on_the_cluster(cluster: DaskProcesses, tmp_path: Path) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        executor.submit(job(1, "hang"))
        executor.wait(0.5)
        assert workers_below(tmp_path)
        began = time.monotonic()
    assert time.monotonic() - began < 4
    until(lambda: not workers_below(tmp_path), 2)
    assert not list(tmp_path.glob("**/*.pickle"))


def test_a_client_that_is_killed_ends_what_it_had_running(cluster: DaskProcesses, tmp_path: Path, program: Program) -> None:
    client = program(CLIENT, cluster.address)
    read_until(client, "under way")
    pid = waiting_worker(tmp_path)
    client.kill()
    until(lambda: not alive(pid), 20)


def test_a_worker_that_gave_its_post_up_is_sent_the_workload_again(cluster: DaskProcesses) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        assert executor._cluster is not None
        executor._cluster.client.submit(close_post, executor._orders.session, pure=False).result(timeout=20)
        assert score(run(executor, job(1))[1, 0]).rows == 900


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("import os\ndef eventfd(*_): raise OSError('not on this system')\nos.eventfd = eventfd", "not on this system"),
        ("import sys\nsys.modules['tasks.executors.posts'] = None", "the worker went away over it"),
    ],
    ids=["with an error", "dying"],
)
def test_later_workers_that_all_refuse_the_data_are_an_error_and_no_hang(
    cluster: DaskProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, words: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text(wrong)
    monkeypatch.setattr(dask, "NO_WORKER_SECONDS", 8.0)
    with executor_on(cluster) as executor:
        executor.start()
        executor.load(workload())
        executor.submit(job(0, "wait_to_be_killed"))
        waiting_worker(tmp_path)
        cluster.environment = {"PYTHONPATH": str(tmp_path / "other")}
        cluster.add_worker("another")
        cluster.running[1].kill()
        with pytest.raises(ServiceUnavailable, match=rf"no worker of {cluster.address} takes the data \(tcp://.*: {words}\); install"):
            outcomes(executor, 60)


def test_a_fit_on_the_cluster_has_one_thread(cluster: DaskProcesses) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        assert (executor.capacity, executor.threads) == (1, 1)


def test_a_dead_scheduler_is_an_error_and_no_hang(cluster: DaskProcesses, tmp_path: Path) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        executor.load(workload())
        executor.submit(job(0, "wait_to_be_killed"))
        waiting_worker(tmp_path)
        cluster.scheduler.kill()
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable, match=f"the scheduler at {cluster.address} "):
            executor.wait(60)
        assert time.monotonic() - began < 30


def test_a_silent_scheduler_is_an_error_and_no_hang(cluster: DaskProcesses, tmp_path: Path) -> None:
    with executor_on(cluster) as executor:
        executor.start()
        executor.load(workload())
        executor.submit(job(0, "wait_to_be_killed"))
        waiting_worker(tmp_path)
        os.kill(cluster.scheduler.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable, match=f"the scheduler at {cluster.address} answers no more"):
            executor.wait(60)
        assert time.monotonic() - began < 30


def test_a_cluster_without_workers_is_an_error(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, 0, {}) as empty, executor_on(empty) as executor:
        executor.start()
        with pytest.raises(ServiceUnavailable, match=r"has no workers; start some"):
            executor.load(workload())
