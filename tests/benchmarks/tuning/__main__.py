"""The tuning benchmark: `make benchmark`, or `python -m tests.benchmarks.tuning --months 2013-05 --seeds 0 --budgets 10`.

Monthly retrains of flights. Every system gets the same rows, columns and seconds (search and final fit together) and is judged on
the month that follows. What has been measured is in the results file and is not measured again; --publish writes it into the README.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

from tests.benchmarks.tuning.cells import Cell, append, read_places, read_runs
from tests.benchmarks.tuning.lineup import NAMES, YARDSTICK, plan
from tests.benchmarks.tuning.publishing import OVERHEAD_FILE, RESULTS_FILE, RESULTS_FOLDER, publish, read_overhead
from tests.benchmarks.tuning.running import ROOT, CellFailed, describe_place, measure
from tests.benchmarks.tuning.tables import summary

SYSTEMS = [*NAMES, YARDSTICK]
DESIGN = ["2013-06", "2013-08"]
"""The default, about an hour on two cores. 2013-09 and later are held out: they are reported once, when the design is frozen."""


def main() -> int:
    """Run what is missing and print the tables; 1 when a cell failed."""
    asked = _arguments()
    cells = [cell for cell in plan(asked.months, asked.seeds, asked.budgets, asked.memory_from) if cell.system in asked.systems]
    failed = _run_missing(cells, asked.results)
    overhead = read_overhead(asked.results.with_name(OVERHEAD_FILE))
    runs = {cell: run for cell, run in read_runs(asked.results).items() if cell in cells}
    print(summary(runs, read_places(asked.results), overhead))
    if asked.publish:
        publish(asked.results, overhead, ROOT)
    return 1 if failed else 0


def _run_missing(cells: list[Cell], results: Path) -> list[Cell]:
    """Measure, one at a time, what the file does not have yet; the cells that failed are named, and tried again the next time."""
    runs, place, failed = read_runs(results), describe_place(), []
    missing = [cell for cell in cells if cell not in runs]
    print(f"{len(cells) - len(missing)} of {len(cells)} cells are there already; results in {results}", flush=True)
    for number, cell in enumerate(missing, start=1):
        began = time.monotonic()
        name = f"[{number}/{len(missing)}] {cell.month} seed {cell.seed} {cell.budget:g} s {cell.system}"
        try:
            runs[cell] = measure(cell, runs)
        except CellFailed as error:
            failed.append(cell)
            print(f"{name}: FAILED\n{error}", flush=True)
            continue
        append(results, runs[cell], place)
        told = f"log-loss {runs[cell].log_loss:.4f}, {len(runs[cell].attempts)} trials" if runs[cell].yardstick is None else "scored"
        print(f"{name}: {told}, {time.monotonic() - began:.0f} s in all", flush=True)
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.benchmarks.tuning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--months", nargs="+", type=_month, default=DESIGN, help="retrains on the 1st of these, judged on the whole month")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--budgets", nargs="+", type=float, default=[30.0, 60.0], help="seconds, search and final fit together")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="all of them when left out")
    parser.add_argument("--memory-from", type=_month, help="the first retrain that is remembered; the month before the first when left out")
    parser.add_argument(
        "--results", type=Path, default=RESULTS_FOLDER / RESULTS_FILE, help="JSON Lines; what is in there is not measured again"
    )
    parser.add_argument("--publish", action="store_true", help="copy all results here, and renew table and plot in the README")
    asked = parser.parse_args()
    asked.months = sorted(asked.months)
    return asked


def _month(text: str) -> str:
    if not re.fullmatch(r"2013-(0[3-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError(f"a month is one of 2013-03 to 2013-12 (there must be rows before it), got {text!r}")
    return text


if __name__ == "__main__":
    raise SystemExit(main())
