"""No orphan, ever: on servers that are five lines of Python, stubborn ones among them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.services.children import LOG_BYTES, Child
from flows.services.guard import family
from tasks.errors import ServiceUnavailable
from tests.servers import Program, gone, processes_in, read_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FAMILY = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"
RUN = """
import signal, sys, time
def end(*_):
    time.sleep(0.3)
    print('the run has ended in order', flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
print('up', flush=True)
time.sleep(60)
"""
WORKER = f"""
import signal, subprocess, sys
run = subprocess.Popen([sys.executable, '-c', {RUN!r}], start_new_session=True)
def end(*_):
    run.kill()
    print('worker ends; its run was over:', run.poll() is not None, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
run.wait()
signal.pause()
"""
PARENT = """
import os, sys, time
from pathlib import Path
from flows.services.children import Child
Child.start("A server", [sys.executable, "-c", sys.argv[1]], os.environ, Path(sys.argv[2]), grace=0.5)
while "up" not in Path(sys.argv[2]).read_text():
    time.sleep(0.05)
print("ready")
time.sleep(60)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


@pytest.fixture
def child(log: Path) -> Iterator[Child]:
    """A server with a child of its own; neither ends when asked to."""
    started = start(FAMILY, log)
    yield started
    started.stop()


def start(code: str, log: Path) -> Child:
    return Child.start("A server", [sys.executable, "-c", code], os.environ, log, grace=0.5)


def wait_for(log: Path, word: str) -> None:
    deadline = time.monotonic() + 10
    while word not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stopping_ends_a_server_that_will_not_and_its_children(child: Child, log: Path, home: Path) -> None:
    wait_for(log, "up")
    assert len(processes_in(home)) == 3
    child.stop()
    assert processes_in(home) == []


def test_stopping_twice_is_harmless(child: Child) -> None:
    child.stop()
    child.stop()
    assert not child.alive


def test_what_a_server_runs_in_sessions_of_its_own_ends_in_order_before_it(log: Path, home: Path) -> None:
    child = Child.start("A worker", [sys.executable, "-c", WORKER], os.environ, log, grace=10)
    wait_for(log, "up")
    child.stop()
    assert log.read_text().splitlines()[1:] == ["the run has ended in order", "worker ends; its run was over: True"]
    assert processes_in(home) == []


def test_a_killed_server_leaves_no_session_behind(log: Path, home: Path) -> None:
    child = Child.start("A worker", [sys.executable, "-c", WORKER], os.environ, log, grace=10)
    wait_for(log, "up")
    (worker,) = (pid for pid, (parent, _) in family().items() if parent == child.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert gone(home, seconds=10)
    assert "the run has ended in order" in log.read_text()
    child.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_a_parent_that_dies_of_a_signal(number: int, program: Program, log: Path, home: Path) -> None:
    parent = program(PARENT, FAMILY, str(log))
    read_until(parent, "ready")
    parent.send_signal(number)
    assert gone(home, seconds=5)


def test_a_guard_that_is_killed_takes_its_server_along(program: Program, log: Path, home: Path) -> None:
    child = start("import time; print('up', flush=True); time.sleep(60)", log)
    wait_for(log, "up")
    os.kill(child.process.pid, signal.SIGKILL)
    assert gone(home, seconds=5)
    child.stop()


def test_a_server_that_fails_is_reported_with_the_end_of_its_log_and_where_that_is(log: Path) -> None:
    log.write_text("of yesterday\n")
    child = start("raise SystemExit('no such table: flow')", log)
    with pytest.raises(ServiceUnavailable, match="exit code 1") as caught:
        child.wait_until_healthy("http://127.0.0.1:1/", 10)
    assert "no such table: flow" in str(caught.value)
    assert str(log) in str(caught.value)
    assert "of yesterday" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up(child: Child) -> None:
    with pytest.raises(ServiceUnavailable, match="did not answer within 0 seconds"):
        child.wait_until_healthy("http://127.0.0.1:1/", 0.3)


def test_a_servers_warnings_do_not_stop_it_where_ours_are_errors(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    child = start("import warnings; warnings.warn('old'); print('up', flush=True)", log)
    wait_for(log, "up")
    child.stop()


def test_a_long_log_is_put_aside(log: Path) -> None:
    log.write_bytes(b"x" * (LOG_BYTES + 1))
    start("print('up')", log).stop()
    assert log.stat().st_size < 100
    assert log.with_name("server.log.1").stat().st_size == LOG_BYTES + 1


def test_a_log_is_for_its_owner_alone(child: Child, log: Path) -> None:
    assert log.stat().st_mode & 0o077 == 0
