"""Live progress: on a real pseudo-terminal, in a log, and on Prefect's page; it never disturbs what it shows."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.telling import progress as module
from flows.telling.progress import Progress
from tasks.settings import TuningSettings
from tasks.trials.search import Standing
from tests.searches import make_search

ROOT = Path(__file__).parent.parent.parent.parent
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
SEARCH = """
import contextlib, logging, sys, time
from flows.command_line import _log_to_the_terminal
from flows.telling.progress import Progress
from tasks.settings import TuningSettings
from tasks.trials.search import Standing
from tests.searches import make_search

_log_to_the_terminal()
def run(ends):
    with Progress("log_loss", TuningSettings(trials=40, minutes=1)) as progress:
        for count in range(0, 40, 4):
            trials = make_search(40).trials[:count]
            best = min((t for t in trials if t.value), key=lambda t: t.value, default=None)
            progress.update(Standing(trials, 2, best, 1.0 + count, 59.0 - count, 40))
            time.sleep(0.08)
            if count == 20:
                logging.getLogger("evertune").warning("a line of the log")
                print("a print of a library")
            if count == 32 and ends == "interrupted":
                raise KeyboardInterrupt
            if count == 32 and ends == "raised":
                raise ValueError("the search's own error")
try:
    with contextlib.redirect_stdout(sys.stderr):
        run(sys.argv[1])
except (KeyboardInterrupt, ValueError) as error:
    print(type(error).__name__, file=sys.stderr)
print("the result")
"""


def standing(count: int = 20, **changes: Any) -> Standing:
    search = make_search(40)
    trials = search.trials[:count]
    best = min((trial for trial in trials if trial.value), key=lambda trial: trial.value or 0.0, default=None)
    given = {"trials": trials, "running": 2, "best": best, "elapsed": 30.0, "left": 30.0, "most": 40}
    return Standing(**{**given, **changes})


def on_a_terminal(ends: str, folder: Path, columns: int = 120, **environment: str) -> tuple[str, str]:
    """What a search writes on a terminal of its own, and to standard output, which is a file."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=theirs, check=True)
    out = folder / "out.txt"
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SEARCH, ends],
            stdin=theirs,
            stdout=file,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment},
        )
        written = b""
        while process.poll() is None:
            time.sleep(0.05)
            written += read(ours)
        written += read(ours)
    os.close(ours)
    os.close(theirs)
    return written.decode(), out.read_text()


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("ends", ["done", "interrupted", "raised"])
def test_a_terminal_is_left_as_it_was_and_standard_output_holds_the_result_alone(ends: str, tmp_path: Path) -> None:
    written, out = on_a_terminal(ends, tmp_path)
    assert out == "the result\n"
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1
    wiped, after = written.rsplit("\x1b[?25h", 1)
    assert re.search(r"\d+ trials, \d+ pruned, \d+ failed", wiped)
    assert after.lstrip("\r\n").startswith("\x1b[1A\x1b[2K")
    assert ("tuning ended:" if ends == "done" else "tuning interrupted:") in after
    assert "━" not in after


def test_lines_of_the_log_and_prints_stand_whole_above_the_bar(tmp_path: Path) -> None:
    written, _ = on_a_terminal("done", tmp_path)
    lines = [ESCAPE.sub("", line).split("\r")[-1].strip() for line in written.replace("\r\n", "\n").split("\n")]
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d  a line of the log", line) for line in lines)
    assert "a print of a library" in lines


@pytest.mark.parametrize("columns", [40, 80])
def test_the_line_is_never_wider_than_the_terminal(columns: int, tmp_path: Path) -> None:
    written, _ = on_a_terminal("done", tmp_path, columns)
    drawn = [part for part in ESCAPE.sub("", written).replace("\n", "\r").split("\r") if " trials" in part and "tuning" not in part]
    assert drawn
    assert max(map(len, drawn)) <= columns
    assert ("best 0.4" in drawn[-1]) == (columns == 80)


def test_a_terminal_that_cannot_draw_gets_lines(tmp_path: Path) -> None:
    written, _ = on_a_terminal("done", tmp_path, TERM="dumb")
    assert "\x1b" not in written
    assert "tuning ended:" in written


def test_without_a_terminal_a_new_best_and_every_so_often_is_a_line_and_nothing_between(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "NEWS_SECONDS", 0.0)
    monkeypatch.setattr(module, "DRAW_SECONDS", 0.02)
    caplog.set_level(logging.INFO, "evertune")
    with Progress("log_loss", TuningSettings(), io.StringIO()) as progress:
        for count in (3, 3, 3, 20, 20, 20):
            progress.update(standing(count))
            time.sleep(0.1)
    lines = [record.message for record in caplog.records]
    assert len(lines) == 3
    assert lines[1] == "tuning: 20 trials, 4 pruned, 1 failed; best log_loss 0.4498 (trial 10); 30 s or 20 trials left"
    assert lines[2] == "tuning ended: 20 trials, 4 pruned, 1 failed in 30 s; best log_loss 0.4498 (trial 10)"


def test_the_nearest_limit_fills_the_bar_and_time_goes_on_by_itself() -> None:
    progress = Progress("log_loss", TuningSettings(failed_trials=2), io.StringIO())
    assert progress._words(standing(20), 0.0).share == 0.5
    assert progress._words(standing(20), 15.0).share == pytest.approx(0.75)
    assert progress._words(standing(20), 15.0).left == "15 s or 20 trials left"
    assert progress._words(standing(30, most=40), 0.0).share == 1.0  # both failures
    assert progress._words(standing(20, left=None, most=None), 0.0) == module.Words(
        "20 trials, 4 pruned, 1 failed", "best log_loss 0.4498 (trial 10)", "", None
    )


def test_a_search_without_a_score_is_told() -> None:
    progress = Progress("log_loss", TuningSettings(), io.StringIO())
    assert str(progress._words(standing(0), 0.0)) == "0 trials; 30 s or 40 trials left"


def test_a_display_that_fails_is_one_warning_and_the_search_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module.ProgressArtifact, "publish", fail)
    monkeypatch.setattr(module, "PUBLISH_SECONDS", 0.0)
    with Progress("log_loss", TuningSettings(), io.StringIO()) as progress:
        progress.update(standing())
        time.sleep(0.6)
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "the progress of the search cannot be shown any more: no space left"
    ]


def test_leaving_a_standing_takes_no_time() -> None:
    with Progress("log_loss", TuningSettings(), io.StringIO()) as progress:
        given, began = standing(40), time.perf_counter()
        for _ in range(10_000):
            progress.update(given)
        assert (time.perf_counter() - began) / 10_000 < 1e-4


@pytest.mark.flow
def test_inside_a_flow_an_artifact_moves_to_the_end(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client

    monkeypatch.setattr(module, "PUBLISH_SECONDS", 0.1)
    seen = []

    def read_artifacts() -> list[Any]:
        with get_client(sync_client=True) as client:
            return list(client.read_artifacts())

    @flow
    def tune() -> None:
        with Progress("log_loss", TuningSettings(), io.StringIO()) as progress:
            progress.update(standing(20))
            time.sleep(1.0)
            seen.extend(one for one in read_artifacts() if one.key == "tuning-progress")
            progress.update(standing(40, left=0.0))

    tune()
    ended = [one for one in read_artifacts() if one.key == "tuning-progress"]
    assert len(seen) == len(ended) == 1
    assert 50 <= seen[0].data < 60
    assert seen[0].description.startswith("20 trials, 4 pruned, 1 failed; best log_loss 0.4498 (trial 10); ")
    assert ended[0].data == 100
    assert ended[0].description.startswith("40 trials")
    assert ended[0].flow_run_id is not None
