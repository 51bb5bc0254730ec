"""Seconds and memory of validation on all flights: `python tests/benchmarks/validation.py`. Run by hand, prints figures.

The goals: 336,776 x 19 rows with 25 expectations below 5 s apart from imports, the sentinels on 25 columns below 1.5 s, no more
than 6 times the raw frame plus 500 MB at the peak, a policy that leaves out 5 % of the rows below 1 s, and a fingerprint for the
price of a digest.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np
import pandas as pd

from tasks.checks.expectations import run_expectations
from tasks.checks.fingerprints import compare_fingerprints, fingerprint
from tasks.checks.leakage import find_suspects
from tasks.checks.policies import screen_rows
from tasks.checks.profiling import propose_expectations
from tasks.digests import digest
from tasks.records import Target
from tasks.settings import ColumnKind, Expectation, LeakageSettings, ValidationSettings
from tasks.validation import validate_table, validation_page, visible_rows
from tests.flights import FLIGHTS, KEY, all_flights, loaded

Output = TypeVar("Output")
AS_OF = datetime(2013, 12, 1, tzinfo=UTC)
NUMBERS = ("year", "month", "day", "sched_dep_time", "sched_arr_time", "distance", "hour", "minute", "flight")
SUITE = (
    *[Expectation(type="expect_column_values_to_be_between", column=name, min_value=0, max_value=10_000) for name in NUMBERS],
    *[Expectation(type="expect_column_values_to_not_be_null", column=name) for name in ("carrier", "origin", "dest", *NUMBERS[:5])],
    *[Expectation(type="expect_column_mean_to_be_between", column=name, min_value=0) for name in ("hour", "distance", "minute")],
    Expectation(type="expect_column_values_to_be_in_set", column="origin", value_set=["EWR", "JFK", "LGA"]),
    Expectation(type="expect_column_value_lengths_to_equal", column="dest", value=3),
    Expectation(type="expect_column_values_to_match_regex", column="carrier", regex="^[A-Z0-9]{2}$"),
    Expectation(type="expect_column_values_to_be_between", column="time_hour", min_value="2013-01-01"),
    Expectation(type="expect_table_row_count_to_be_between", min_value=1000),
)


def main() -> None:
    frame = all_flights()
    raw = frame.memory_usage(deep=True).sum() / 1e6
    print(f"{len(frame):,} x {len(frame.columns)} rows, {raw:.0f} MB, {len(SUITE)} expectations")
    measure("import Great Expectations", lambda: run_expectations(frame.head(10), SUITE[:1]))
    columns = FLIGHTS.changed(key=KEY)
    settings = ValidationSettings(expectations=SUITE)
    for _ in range(3):
        table = measure("the whole stage", lambda: validate_table(loaded(frame), columns, settings, AS_OF))
    measure("without expectations", lambda: validate_table(loaded(frame), columns, ValidationSettings(), AS_OF))
    measure("expectations alone", lambda: run_expectations(frame, SUITE))
    measure("sentinels on 25 columns", sentinels(frame))
    measure("10,000 columns x 2,000 rows", wide())
    visible = visible_rows(loaded(frame), columns, settings, AS_OF)[list(table.frame.columns)]
    suite = measure("a proposed suite", lambda: propose_expectations(visible, table.columns))
    measure(f"its {len(suite)} expectations", lambda: validate_table(loaded(frame), columns, ValidationSettings(expectations=suite), AS_OF))
    measure("a policy that drops 5 %", dropping(frame))
    measure("the digest", lambda: digest(table.frame))
    found = measure("the fingerprint", lambda: fingerprint(table, AS_OF))
    measure("fingerprints compared", lambda: compare_fingerprints(found, found))
    page = measure("the page", lambda: validation_page(table.findings, table.suspects))
    print(f"{len(table.findings)} findings, page {len(page) / 1e3:.0f} kB")


def dropping(frame: pd.DataFrame) -> Callable[[], object]:
    far = Expectation(type="expect_column_values_to_be_between", column="distance", max_value=2500, policy="drop")
    share = (frame["distance"] > 2500).mean()
    print(f"{share:.1%} of the rows have a distance above 2,500")
    settings = ValidationSettings(expectations=(far,), max_dropped=0.2)
    return lambda: screen_rows(frame, settings, KEY)


def sentinels(frame: pd.DataFrame) -> Callable[[], object]:
    rows = frame[frame["late"].notna()].astype({"late": bool})
    rows = rows.assign(**{f"noise{k}": np.random.default_rng(k).normal(size=len(rows)) for k in range(7)}).reset_index(drop=True)
    text = ("carrier", "origin", "dest", "tailnum", "flight")
    features: dict[str, ColumnKind] = {name: "category" if name in text else "number" for name in rows if name not in ("late", "time_hour")}
    assert len(features) == 25
    unlabelled = frame[frame["late"].isna()].reindex(columns=rows.columns)
    return lambda: find_suspects(rows, unlabelled, Target("late", "binary", (False, True)), features, LeakageSettings())


def wide() -> Callable[[], object]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(2000, 10_000)), columns=[f"x{k}" for k in range(10_000)])
    frame = pd.concat(
        [frame, pd.DataFrame({"late": random.integers(0, 2, 2000), "time_hour": pd.date_range("2013-01-01", periods=2000)})], axis=1
    )
    return lambda: validate_table(loaded(frame), FLIGHTS.changed(columns={}), ValidationSettings(), datetime(2020, 1, 1, tzinfo=UTC))


def measure(what: str, action: Callable[[], Output]) -> Output:
    """Run it, print its seconds and by how much resident memory rose above where it stood."""
    before, peak, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started, began = time.perf_counter(), time.process_time()
    try:
        output = action()
        spent, worked = time.perf_counter() - started, time.process_time() - began
    finally:
        done.set()
        watcher.join()
    print(f"{what:<28} {spent:7.2f} s {worked:7.2f} s of CPU {max(0.0, peak[0] - before):+8.0f} MB")
    return output


def resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
