"""`evertune up` without configs, with its real servers: pages that answer, one a home, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from flows.services.claims import claim_pages, current_claim
from flows.services.servers import embedded_prefect
from tasks.homes import Home
from tests.servers import Program, gone, processes_in, read_until

pytestmark = pytest.mark.flow
UP = "import sys; from flows.command_line import main; sys.exit(main(['up', *sys.argv[1:]]))"


@dataclass
class Shown:
    """A running `evertune up` and what it printed."""

    process: subprocess.Popen[str]
    printed: str
    prefect: str
    mlflow: str

    def end(self, number: int) -> tuple[int, str]:
        """Its exit code after a signal, and what it still said; ten seconds at most."""
        self.process.send_signal(number)
        output = self.process.communicate(timeout=10)[0]
        return self.process.returncode, output


def show(program: Program) -> Shown:
    process = program(UP)
    printed = read_until(process, "Ctrl-C")
    prefect, mlflow = (re.search(rf"{name} +(http://127\.0\.0\.1:\d+)/", printed) for name in ("Prefect", "MLflow"))
    assert prefect, printed
    assert mlflow, printed
    return Shown(process, printed, prefect[1], mlflow[1])


def get(address: str) -> str:
    asked_by_a_browser = urllib.request.Request(address, headers={"Accept": "text/html,application/json"})
    with urllib.request.urlopen(asked_by_a_browser, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture
def ready(used_home: Home, store: Home) -> Home:
    """A home whose databases are all there, so that its pages are up in seconds."""
    return store


@pytest.fixture
def both_ports_taken() -> Iterator[None]:
    with ExitStack() as stack:
        for port in (4200, 5000):
            try:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:  # somebody else's: as good
                continue
        yield


@pytest.mark.usefixtures("both_ports_taken")
def test_an_empty_home_has_pages_and_ports_that_are_taken_are_said_and_avoided(home: Path, program: Program) -> None:
    shown = show(program)
    assert re.search(r"Port 4200 is taken by \S.*: Prefect's pages are on \d+\.", shown.printed)
    assert re.search(r"Port 5000 is taken by \S.*: MLflow's pages are on \d+\.", shown.printed)
    assert json.loads(get(f"{shown.prefect}/ui-settings"))["api_url"] == f"{shown.prefect}/api"
    assert "<html" in get(f"{shown.prefect}/v2/runs")
    assert "<html" in get(f"{shown.mlflow}/")
    assert shown.end(signal.SIGINT) == (0, "Ended.\n")
    assert gone(home, seconds=0)


def test_pages_show_artifacts_that_runs_wrote_to_files(ready: Home, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(ready.mlflow_url)
    experiment = client.create_experiment("pictures", artifact_location=(ready.artifacts / "pictures").as_uri())
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "<h1>promoted</h1>", "report.html")
    shown = show(program)
    assert get(f"{shown.mlflow}/get-artifact?path=report.html&run_uuid={run}") == "<h1>promoted</h1>"
    assert shown.end(signal.SIGTERM)[0] == 143
    assert gone(ready.root, seconds=0)


def test_a_second_up_says_where_the_first_is_and_a_run_uses_its_server(ready: Home, program: Program) -> None:
    shown = show(program)
    second = program(UP)
    output = second.communicate(timeout=10)[0]
    assert (second.returncode, f"process {shown.process.pid}" in output) == (0, True)
    assert shown.prefect in output
    assert shown.mlflow in output
    with embedded_prefect(ready) as server:
        assert server.address == shown.prefect
        server.wait()
    assert shown.end(signal.SIGINT)[0] == 0


def test_after_it_was_killed_the_home_is_free_and_nothing_runs(ready: Home, program: Program) -> None:
    shown = show(program)
    shown.process.send_signal(signal.SIGKILL)
    assert gone(ready.root, seconds=10)
    assert current_claim(ready) is None
    with claim_pages(ready) as claim:
        assert claim is not None


def test_a_server_named_elsewhere_is_pointed_to(home: Path, evertune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@tracker:5000")
    with claim_pages(Home.from_environment()):
        code, out, _ = evertune("up")
    assert code == 0
    assert "runs are recorded at http://me:***@tracker:5000" in out
    assert "Another `evertune up` is starting" in out


def test_ctrl_c_while_the_servers_start_ends_them(ready: Home, program: Program) -> None:
    process = program(UP)
    while not any("mlflow" in command for command in processes_in(ready.root)):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[0] == "Ended.\n"
    assert process.returncode == 0
    assert gone(ready.root, seconds=5)  # a server caught in the moment of its start is ended by its guard, which then sees us gone


@pytest.mark.parametrize("server", ["prefect_server", "uvicorn"])
def test_a_server_that_dies_ends_the_other_and_is_reported(server: str, ready: Home, program: Program) -> None:
    shown = show(program)
    os.kill(process_of(ready, server), signal.SIGKILL)
    output = shown.process.communicate(timeout=15)[0]
    assert shown.process.returncode == 75
    assert f"{'Prefect' if server == 'prefect_server' else 'MLflow'}'s server has ended by itself" in output
    assert str(ready.logs) in output
    assert gone(ready.root, seconds=0)


def process_of(home: Home, word: str) -> int:
    """The server process of this home with `word` in its command, and not its guard."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in command and b"flows.services.guard" not in command and str(home.root).encode() in environment:
            return int(folder.name)
    raise AssertionError(f"no {word} runs for {home.root}")
