"""Fixtures around real servers: one Prefect server for the whole test run, and programs that start their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.services.servers import embedded_prefect
from tasks.homes import Home

ROOT = Path(__file__).parent.parent
Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def prefect_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for the whole test run; its API address. Tests ask for `prefect_server`."""
    home = Home.named(tmp_path_factory.mktemp("prefect"))
    home.prepare()
    with embedded_prefect(home) as server:
        server.wait()
        yield server.api_url


@pytest.fixture
def prefect_server(prefect_process: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Flows of this test run on the test run's server; its API address. Heartbeats, a second a flow, are off."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", prefect_process)
    with temporary_settings({PREFECT_API_URL: prefect_process, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield prefect_process


@pytest.fixture(scope="session")
def migrated_prefect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Prefect's server leaves behind in a fresh home after ten seconds of migrating; tests work on copies."""
    home = Home.named(tmp_path_factory.mktemp("migrated-prefect"))
    home.prepare()
    with embedded_prefect(home) as server:
        server.wait()
    return home.prefect


@pytest.fixture
def used_home(home: Path, migrated_prefect: Path) -> Home:
    """This test's home, with a Prefect database in it."""
    shutil.copytree(migrated_prefect, home / "prefect")
    return Home.from_environment()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Start Python code as a process of its own, in this test's home; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """What a program prints, up to and with the line that holds `word`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return "".join(lines)
    raise AssertionError(f"{word!r} never came; it printed:\n{''.join(lines)}")


def processes_in(home: Path) -> list[str]:
    """The command lines of all running processes whose environment names this home."""
    mark, found = f"EVERTUNE_HOME={home}\0".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes() and (command := (folder / "cmdline").read_bytes()):
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended while we looked
            continue
    return found


def gone(home: Path, seconds: float) -> bool:
    """True as soon as no process of this home is left, within `seconds`."""
    deadline = time.monotonic() + seconds
    while processes_in(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
