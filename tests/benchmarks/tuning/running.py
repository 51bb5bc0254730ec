"""Running one cell: a process of its own, its memory watched from outside, its time bounded."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.tuning.cells import Cell, Run, read_run
from tests.benchmarks.tuning.lineup import YARDSTICK, best_peer, memory_of
from tests.benchmarks.tuning.processes import family, resident_mb, usable_cores

ROOT = Path(__file__).parent.parent.parent.parent
LOOK_SECONDS = 0.2
OVERHEAD_SECONDS = 240.0
"""Imports, reading and a last trial that nothing interrupts: a cell may take so much longer than three times its budget."""
PACKAGES = ("lightgbm", "optuna", "flaml", "hyperopt", "scikit-learn", "pandas")


class CellFailed(Exception):
    """The process ended without an answer, or had to be ended."""


def measure(cell: Cell, runs: Mapping[Cell, Run]) -> Run:
    """Run a cell and wait for it. Raises CellFailed with the end of what it said."""
    peer = best_peer(cell, runs) if cell.system == YARDSTICK else None
    if cell.system == YARDSTICK and peer is None:
        raise CellFailed("no peer has run, so there is nothing to measure against")
    order = {"cell": asdict(cell), "memory": memory_of(cell, runs), "settings": peer.settings if peer else {}}
    with tempfile.TemporaryDirectory() as folder:
        asked, answer, said = (Path(folder) / name for name in ("order.json", "answer.json", "said.txt"))
        asked.write_text(json.dumps(order), encoding="utf-8")
        command = [sys.executable, "-m", "tests.benchmarks.tuning.subject", str(asked), str(answer)]
        with said.open("wb") as output:
            peak = _watch(command, {**os.environ, "TMPDIR": folder, **_own(cell)}, output, 3 * cell.budget + OVERHEAD_SECONDS)
        if not answer.exists():
            raise CellFailed(said.read_text(encoding="utf-8", errors="replace")[-2000:] or "it said nothing")
        run = read_run(json.loads(answer.read_text(encoding="utf-8")))
    return replace(run, peak_mb=round(peak, 1), note=run.note or (peer.cell.system if peer else ""))


def describe_place() -> dict[str, str]:
    """The machine, the day and the versions, for every line of the results."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{usable_cores()} cores ({_processor()}), {gigabytes:.0f} GB",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "commit": commit.stdout.strip(),
    }


def _own(cell: Cell) -> dict[str, str]:
    """What Evertune's command line sets for itself."""
    return {"OMP_WAIT_POLICY": "PASSIVE"} if cell.system.startswith("evertune") else {}


def _watch(command: list[str], environment: dict[str, str], output: Any, seconds: float) -> float:
    """Run to its end, or to the end of its time; the most memory that it and its children had, in MB."""
    deadline, peak = time.monotonic() + seconds, 0.0
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True) as process:
        try:
            while process.poll() is None and time.monotonic() < deadline:
                peak = max(peak, resident_mb(process.pid))
                time.sleep(LOOK_SECONDS)
        finally:
            if process.poll() is None:
                for member in family(process.pid):
                    with suppress(ProcessLookupError):  # it has just ended by itself
                        os.kill(member, signal.SIGKILL)
    return peak


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
