from __future__ import annotations

from pathlib import Path

from tasks.executors.scratch import Scratch
from tests.servers import Program

OPEN_AND_CLOSE = """
import sys
from pathlib import Path
from tasks.executors.scratch import Scratch
for _ in range(300):
    scratch = Scratch.open(Path(sys.argv[1]))
    (scratch.folder / "folds").mkdir()
    scratch.close()
    scratch.close()
"""


def test_processes_that_start_and_end_at_once_do_not_trip_over_each_other(tmp_path: Path, program: Program) -> None:
    root = tmp_path / "scratch"
    for each in [program(OPEN_AND_CLOSE, str(root)) for _ in range(3)]:
        said, _ = each.communicate(timeout=60)
        assert (each.returncode, said) == (0, "")
    assert [path.name for path in root.iterdir()] == ["scratch.lock"]


def test_a_folder_that_somebody_removed_is_no_fault(tmp_path: Path) -> None:
    scratch = Scratch.open(tmp_path / "scratch")
    (scratch.folder / "owned.lock").unlink()
    scratch.folder.rmdir()
    (tmp_path / "scratch" / "scratch.lock").unlink()
    (tmp_path / "scratch").rmdir()
    scratch.close()
