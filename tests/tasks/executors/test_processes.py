from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest

from tasks.errors import ConfigError, ServiceUnavailable
from tasks.executors import crew, memory, open_executor
from tasks.executors.cores import usable_cores
from tasks.executors.executor import JobLimits, Workload
from tasks.executors.memory import private_bytes
from tasks.executors.processes import Processes
from tasks.executors.scoring import Bench
from tests.servers import Program, read_until
from tests.tasks.executors.scenes import WITH_FAULTS, Breaks, alive, failure, job, outcomes, run, score, until, workers_below, workload

PARENT = """
import sys, time
from pathlib import Path
from tasks.executors.processes import Processes
from tests.tasks.executors.scenes import WITH_FAULTS, job, run, workload

executor = Processes(capacity=1, scratch=Path(sys.argv[1]), environment=WITH_FAULTS)
executor.start()
executor.load(workload())
run(executor, job(0))
if sys.argv[2] != "nothing":
    executor.submit(job(1, sys.argv[2]))
    time.sleep(0.5)
print("under way", flush=True)
time.sleep(600)
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def folders(scratch: Path) -> list[Path]:
    return [path for path in scratch.iterdir() if path.is_dir()]


def test_close_leaves_no_process_and_no_file(scratch: Path) -> None:
    executor = Processes(capacity=2, scratch=scratch, environment=WITH_FAULTS)
    executor.start()
    executor.load(workload())
    run(executor, job(0))
    executor.submit(job(1, "hang"))
    executor.wait(0.3)
    assert len(workers_below(scratch)) == 2
    began = time.monotonic()
    executor.close()
    executor.close()
    assert time.monotonic() - began < 2
    assert workers_below(scratch) == []
    assert folders(scratch) == []


def test_what_is_written_is_for_the_owner_alone(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        (folder,) = folders(scratch)
        assert scratch.stat().st_mode & 0o777 == folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("doing", ["nothing", "hang", "hold_the_interpreter"])
def test_workers_die_with_a_parent_that_is_killed_and_the_next_start_clears_up(scratch: Path, program: Program, doing: str) -> None:
    parent = program(PARENT, str(scratch), doing)
    read_until(parent, "under way")
    (worker,) = workers_below(scratch)
    (left,) = folders(scratch)
    parent.kill()
    parent.wait()
    until(lambda: not alive(worker), 1)
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        assert not left.exists()
        assert len(folders(scratch)) == 1


def test_the_folder_of_a_living_search_is_left_alone(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch) as first, Processes(capacity=1, scratch=scratch) as second:
        first.start()
        first.load(workload())
        second.start()
        second.load(workload())
        assert len(folders(scratch)) == 2
        assert score(run(first, job(0))[0, 0]).value == score(run(second, job(0))[0, 0]).value


def test_workers_outlive_the_thread_that_called_start(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        thread = threading.Thread(target=executor.start)
        thread.start()
        thread.join()
        executor.load(workload())
        run(executor, job(0))
        before = workers_below(scratch)
        time.sleep(0.3)
        run(executor, job(1))
        assert workers_below(scratch) == before


def test_what_a_fit_has_started_ends_with_it(scratch: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with Processes(capacity=1, scratch=scratch, environment={**WITH_FAULTS, "MARK": str(mark)}) as executor:
        executor.start()
        executor.load(workload())
        executor.submit(job(0, "start_a_child"))
        child = int(until(lambda: mark.exists() and mark.read_text()))
        executor.end(0)
        assert failure(outcomes(executor)[0, 0])[0] == "ended"
        until(lambda: not alive(child), 2)


def test_a_worker_gives_way_when_memory_runs_out_and_leaves_no_core(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch, limits=JobLimits(bytes=10**9)) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        (pid,) = workers_below(scratch)
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert "Max core file size        0 " in limits
        assert f"Max data size             {int(10**9 * 1.25) + (256 << 20)} " in limits


def test_jobs_go_to_the_worker_that_has_their_fold(scratch: Path) -> None:
    if usable_cores() < 2:
        pytest.skip("there is one core only")
    with Processes(capacity=2, scratch=scratch) as executor:
        executor.start()
        executor.load(workload())
        until(lambda: len(workers_below(scratch)) == 2)
        first = {key[1]: score(outcome).worker for key, outcome in run(executor, job(0, fold=0), job(0, fold=1)).items()}
        if len(set(first.values())) == 2:
            again = [score(run(executor, job(1 + k, fold=fold))[1 + k, fold]).worker for k, fold in enumerate((0, 1, 0, 1))]
            assert again == [first[0], first[1], first[0], first[1]]


def test_a_log_that_grows_is_cut(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch, environment=WITH_FAULTS) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0, "write_much"), job(1))
        (log,) = scratch.glob("*/worker-1.log")
        assert log.stat().st_size < 1_000_000


def test_workers_that_cannot_start_are_an_error_that_shows_why(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nsys.stderr.write('no such wheel\\n')\nsys.stderr.flush()\nos._exit(9)\n")
    with Processes(capacity=1, scratch=scratch, environment={"PYTHONPATH": str(tmp_path)}) as executor:
        executor.start()
        executor.load(workload())
        executor.submit(job(0))
        with pytest.raises(ServiceUnavailable, match="do not start: ended with exit code 9; it wrote: no such wheel"):
            executor.wait(30)


def breaking(code: str) -> Workload:
    return replace(workload(), keep_predictions=cast(bool, Breaks(code)))


def test_workers_that_die_over_the_workload_are_an_error_that_shows_why(scratch: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(breaking(r"import os; os.write(2, b'too big a table\n'); os._exit(9)"))
        executor.submit(job(0))
        with pytest.raises(ServiceUnavailable, match=r"do not start: ended with exit code 9; it wrote: .*too big a table"):
            executor.wait(60)
    assert caplog.text.count("worker 1 did not start: ended with exit code 9") == 3


def test_workers_that_hang_over_the_workload_are_an_error_too(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        monkeypatch.setattr(crew, "START_SECONDS", 0.5)
        monkeypatch.setattr(crew, "FALSE_STARTS", 1)
        executor.load(breaking("import time; print('reading', flush=True); time.sleep(600)"))
        executor.submit(job(1))
        with pytest.raises(ServiceUnavailable, match=r"do not start: no answer within 0.5 seconds; it wrote: .*reading"):
            executor.wait(30)
    until(lambda: not workers_below(scratch), 2)


def test_a_worker_that_dies_over_the_workload_once_is_replaced(scratch: Path, tmp_path: Path) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(breaking(f"import os, pathlib; m = pathlib.Path({str(tmp_path / 'mark')!r}); m.exists() or (m.touch(), os._exit(9))"))
        assert score(run(executor, job(0))[0, 0]).rows == 900
    assert (tmp_path / "mark").exists()


def test_preparing_is_not_held_against_a_trial(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch, limits=JobLimits(seconds=1.5), environment=WITH_FAULTS) as executor:
        executor.start()
        executor.load(workload())
        found = run(executor, job(0, "prepare_for_two_seconds"), job(0, "prepare_for_two_seconds", fold=1))
        for outcome in found.values():
            assert score(outcome).rows
            assert outcome.fitting < 1.5 < 2 < outcome.seconds


def test_preparing_for_ever_is_ended_later(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch, limits=JobLimits(seconds=0.3), environment=WITH_FAULTS) as executor:
        executor.start()
        executor.load(workload())
        (outcome,) = run(executor, job(0, "prepare_for_ever")).values()
        assert failure(outcome) == ("slow", "took more than 3 seconds to prepare its rows")
        assert outcome.fitting == 0


def test_a_worker_keeps_no_rows_that_it_can_map(scratch: Path) -> None:
    wide = workload(100_000)
    ballast = pd.DataFrame(np.ones((100_000, 100)), columns=[f"unused {number}" for number in range(100)])
    wide = replace(wide, frame=pd.concat([wide.frame, ballast], axis=1))
    assert wide.frame.memory_usage(index=False).sum() > 80_000_000
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        (pid,) = workers_below(scratch)
        before = private_bytes(pid)
        executor.load(wide)
        run(executor, job(1), job(2, fold=1))
        assert workers_below(scratch) == [pid]
        assert private_bytes(pid) - before < 60_000_000


def test_rows_after_the_last_fold_stay_here(scratch: Path) -> None:
    whole = workload(20_000)
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(whole)
        executor.load(replace(whole, folds=whole.folds[:1], blocks=whole.blocks[:1]))
        first, second = (path.stat().st_size for path in sorted(scratch.glob("*/workload-*.pickle")))
        assert second < 0.85 * first
        assert score(run(executor, job(0))[0, 0]).value == Bench(whole).score(job(0)).value


def test_the_default_limit_is_a_share_of_what_is_free_at_the_load(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        until(lambda: workers_below(scratch))
        monkeypatch.setattr(memory, "free_bytes", lambda: 10**9)
        executor.load(workload())
        run(executor, job(0))
        (pid,) = workers_below(scratch)
        assert f"Max data size             {int(8 * 10**8 * 1.25) + (256 << 20)} " in Path(f"/proc/{pid}/limits").read_text()


def test_more_threads_than_cores_are_refused(scratch: Path) -> None:
    cores = usable_cores()
    with pytest.raises(ConfigError, match=rf"tuning.parallel: .* 1 to {cores}, .* got {cores + 1} times 1"):
        Processes(capacity=cores + 1, scratch=scratch)


def test_the_trials_share_the_cores(scratch: Path) -> None:
    executor = open_executor("processes", 1, 2, JobLimits(), scratch)
    assert isinstance(executor, Processes)
    assert (executor.capacity, executor.threads) == (1, 2)
    assert open_executor("processes", None, 2, JobLimits(), scratch).capacity == 2


def test_workers_import_nothing_that_scoring_does_not_need() -> None:
    heavy = ["optuna", "mlflow", "prefect", "great_expectations", "matplotlib", "sqlalchemy", "distributed", "dask", "tensorflow", "duckdb"]
    code = f"""
import sys
from tasks.executors.worker import import_libraries
import_libraries(({{"family": "lightgbm"}}, {{"family": "xgboost"}}))
from tests.tasks.executors.scenes import in_process, job
in_process(job(0), job(1, family="xgboost"))
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    libc, folder = ctypes.CDLL(None, use_errno=True), tmp_path / "disk"
    folder.mkdir()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=200k"):
        pytest.skip("mounting a small disk needs the right to")
    yield folder
    libc.umount2(str(folder).encode(), 2)


def test_a_full_disk_is_said_so_and_leaves_no_half_workload(small_disk: Path) -> None:
    with Processes(capacity=1, scratch=small_disk / "scratch") as executor:
        executor.start()
        with pytest.raises(OSError, match="No space left on device"):
            executor.load(workload(50_000))
        assert not list(small_disk.glob("scratch/*/*.pickle"))


def test_a_disk_without_room_for_folds_costs_speed_only(small_disk: Path) -> None:
    with Processes(capacity=1, scratch=small_disk / "scratch") as executor:
        executor.start()
        executor.load(workload(1500))
        (outcome,) = run(executor, job(0)).values()
        assert score(outcome).rows == 900
        assert not list(small_disk.glob("scratch/*/folds-1/matrices-*/"))


def test_ctrl_c_is_the_parents_affair(scratch: Path) -> None:
    with Processes(capacity=1, scratch=scratch) as executor:
        executor.start()
        executor.load(workload())
        run(executor, job(0))
        (pid,) = workers_below(scratch)
        assert os.getpgid(pid) == pid != os.getpgid(0)
        os.kill(pid, signal.SIGINT)
        assert score(run(executor, job(1), job(2))[2, 0]).rows == 900
