from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.executors.cores import usable_cores


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def cores(folder: Path, membership: str, files: dict[str, str]) -> int:
    """With these files under the root of all control groups."""
    (folder / "membership").write_text(membership)
    for name, text in files.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return usable_cores(folder / "root", folder / "membership")


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quota", "expected"), [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8), ("1600000 100000", 8)]
)
def test_a_quota_of_version_2_is_so_many_cores_rounded_up(tmp_path: Path, quota: str, expected: int) -> None:
    assert cores(tmp_path, "0::/\n", {"cpu.max": f"{quota}\n"}) == expected


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 8)])
def test_a_quota_of_version_1_counts_too(tmp_path: Path, quota: str, expected: int) -> None:
    files = {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert cores(tmp_path, "5:memory:/\n2:cpu,cpuacct:/\n0::/\n", files) == expected


@pytest.mark.usefixtures("eight")
def test_the_tightest_group_above_counts(tmp_path: Path) -> None:
    files = {"pod/cpu.max": "200000 100000\n", "pod/box/cpu.max": "max 100000\n"}
    assert cores(tmp_path, "0::/pod/box\n", files) == 2


def test_without_a_quota_it_is_the_cores_it_may_run_on(tmp_path: Path) -> None:
    assert cores(tmp_path, "0::/not/seen/here\n", {}) == len(os.sched_getaffinity(0))
