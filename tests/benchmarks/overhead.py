"""What a retrain costs beyond loading, features and the fit itself: `python tests/benchmarks/overhead.py [runs]`, by hand.

Each run is a cold `evertune run configs/flights.yaml --tune never` in a process of its own, as a user types it, in three settings:
a fresh home, a home in use, and beside a running Prefect server. Seconds are wall time of the whole process; the share of
loading, features and fits (train, stand-in, refit) is taken off. Peak memory is the process's own, as the kernel counts it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flows.services.servers import embedded_prefect
from tasks.homes import Home

ROOT = Path(__file__).parent.parent.parent
WORK = ("load", "features", "train", "stand-in", "refit")


def retrain(home: Path, **environment: str) -> dict[str, Any]:
    """One cold run: seconds by stage, wall seconds, overhead seconds, peak MB."""
    command = [str(Path(sys.executable).parent / "evertune"), "run", "configs/flights.yaml", "--as-of", "2013-10-01"]
    command += ["--tune", "never", "--json", "--force", "--set", "validation.min_rows=5000"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "EVERTUNE_HOME": str(home), **environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    wall = time.perf_counter() - started
    seconds = summary["seconds"]
    return {**seconds, "wall": wall, "overhead": wall - sum(seconds.get(stage, 0.0) for stage in WORK), "peak MB": usage.ru_maxrss / 1024}


def main(runs: int) -> None:
    results: dict[str, list[dict[str, Any]]] = {"fresh home": [], "home in use": [], "beside a server": []}
    with tempfile.TemporaryDirectory() as folder:
        used = Path(folder) / "used"
        retrain(used)
        served = Home.named(Path(folder) / "server")
        served.prepare()
        for number in range(runs):
            results["fresh home"].append(retrain(Path(folder) / f"fresh-{number}"))
            results["home in use"].append(retrain(used))
            with embedded_prefect(served) as server:
                server.wait()
                results["beside a server"].append(retrain(used, PREFECT_API_URL=server.api_url))
    from configs.flights import departures

    raw = departures().memory_usage(deep=True).sum() / 1e6
    stages = ("load", "validate", "train", "evaluate", "refit", "register", "report", "total", "wall", "overhead", "peak MB")
    print(f"{'median of ' + str(runs):<16}" + "".join(f"{stage:>10}" for stage in stages))
    for setting, found in results.items():
        print(f"{setting:<16}" + "".join(f"{statistics.median(run.get(stage, 0.0) for run in found):>10.2f}" for stage in stages))
    print(f"raw frame {raw:.0f} MB; the limit of peak memory is 6 x that + 500 MB = {6 * raw + 500:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
