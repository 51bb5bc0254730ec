"""Publishing: results, plot and tables into the repository. The README's section is made from the results, never typed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.tuning.cells import Cell, Run, append_line, read_lines, read_places, read_runs
from tests.benchmarks.tuning.drawing import draw
from tests.benchmarks.tuning.tables import short_summary, summary

BEGIN, END = "<!-- tuning benchmark: made by make benchmark, do not edit -->", "<!-- end of the tuning benchmark -->"
RESULTS_FOLDER = Path(os.environ.get("EVERTUNE_HOME", ".evertune")) / "benchmarks"
"""Where results are kept until they are published."""
RESULTS_FILE, OVERHEAD_FILE = "tuning.jsonl", "overhead.json"
FOLDER = Path("tests/benchmarks/tuning")
RESULTS, PLOT, OVERHEAD, PAGE = FOLDER / "results.jsonl", FOLDER / "results.svg", FOLDER / OVERHEAD_FILE, FOLDER / "RESULTS.md"


def publish(results: Path, overhead: dict[str, Any] | None, root: Path) -> None:
    """Copy the results to the repository, draw them, write their page, and renew the README between its two markers."""
    (root / RESULTS).unlink(missing_ok=True)
    for line in read_lines(results):
        append_line(root / RESULTS, line)
    if overhead is not None:
        (root / OVERHEAD).write_text(json.dumps(overhead, indent=1) + "\n", encoding="utf-8")
    (root / PLOT).write_text(draw(read_runs(root / RESULTS), read_places(root / RESULTS)), encoding="utf-8")
    (root / PAGE).write_text(page(root), encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(renewed(readme.read_text(encoding="utf-8"), section(root)), encoding="utf-8")


def read_overhead(file: Path) -> dict[str, Any] | None:
    """What `tests.benchmarks.overhead_tuning` measured; None before it has."""
    found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return found


def section(root: Path) -> str:
    """What the README says between its markers."""
    return f"![Log-loss on the next month, Evertune against its peers]({PLOT})\n\n{_told(short_summary, root)}"


def page(root: Path) -> str:
    """Everything that was measured, goals that were missed included."""
    beginning = "# The tuning benchmark\n\nMade by `make benchmark ARGS=--publish`; the README says what is compared."
    return f"{beginning}\n\n{_told(summary, root)}\n"


def _told(tell: Callable[[Mapping[Cell, Run], list[dict[str, str]], dict[str, Any] | None], str], root: Path) -> str:
    return tell(read_runs(root / RESULTS), read_places(root / RESULTS), read_overhead(root / OVERHEAD))


def renewed(readme: str, text: str) -> str:
    """The README with `text` between the markers. Raises ValueError where they are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md: the lines {BEGIN} and {END} mark where the benchmark goes, and are missing; put them back")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def published(readme: str) -> str:
    """What stands between the markers now."""
    return readme.partition(BEGIN)[2].partition(END)[0].strip("\n")
