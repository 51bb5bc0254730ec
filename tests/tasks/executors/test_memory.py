from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.executors import memory

IN_A_FRESH_PROCESS = """
import os, sys
import numpy as np
from tasks.executors import memory
np.save(sys.argv[1], np.ones(5_000_000))
before = memory.private_bytes()
mapped = np.load(sys.argv[1], mmap_mode="r")
assert mapped.sum() == 5_000_000
assert memory.private_bytes() - before < 10_000_000
held = np.ones(25_000_000)
assert memory.private_bytes(os.getpid()) - before > 150_000_000
"""


def test_private_memory_grows_with_what_is_held_and_not_with_what_is_mapped(tmp_path: Path) -> None:
    """In a process of its own: a long-lived one may have as much freed memory to hand."""
    subprocess.run([sys.executable, "-c", IN_A_FRESH_PROCESS, str(tmp_path / "mapped.npy")], check=True)


def test_a_process_that_is_gone_holds_nothing() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert memory.private_bytes(done.pid) == 0


def test_a_control_group_grants_less_than_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"": ("memory.max", "memory.current"), "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes")}
    for controller, (limit, used) in names.items():
        folder = tmp_path / controller
        folder.mkdir(exist_ok=True)
        (folder / limit).write_text("3000000\n")
        (folder / used).write_text("2500000\n")
        (folder / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert memory.free_bytes() == 600_000
    assert memory.default_limit(2) == 240_000


def test_a_control_group_without_a_limit_grants_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert memory.free_bytes() > 10_000_000


def test_the_wall_is_an_error_in_the_process_itself() -> None:
    code = """
import numpy
from tasks.executors.memory import build_wall
build_wall(100_000_000)
try:
    numpy.ones(10**9)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout == "refused\n"


def test_the_peak_is_counted_from_its_reset() -> None:
    held = np.ones(20_000_000)
    memory.reset_peak()
    peak = memory.peak_mb()
    del held
    assert memory.peak_mb() >= peak - 1
    memory.reset_peak()
    assert memory.peak_mb() < peak - 100


@pytest.mark.parametrize(("size", "text"), [(2e9, "2 GB"), (1.5e9, "1.5 GB"), (3e8, "300 MB")])
def test_sizes_read_well(size: float, text: str) -> None:
    assert memory.words(size) == text
