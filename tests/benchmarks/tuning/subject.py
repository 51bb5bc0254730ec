"""The subject: one cell in a process of its own. `python -m tests.benchmarks.tuning.subject ORDER ANSWER`, by the benchmark alone.

The clock starts when data and imports are there, and stops when there is a model that answers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.tuning.boosting import Meter, metered
from tests.benchmarks.tuning.cells import Cell, Run, to_line
from tests.benchmarks.tuning.lineup import SHARE, YARDSTICK
from tests.benchmarks.tuning.months import Month, read_month, read_settings
from tests.benchmarks.tuning.processes import settle
from tests.benchmarks.tuning.systems.system import Tuned

System = Callable[[Month, int, float, Meter], Tuned]


def run_cell(cell: Cell, memory: list[dict[str, Any]], settings: dict[str, Any]) -> Run:
    """Prepare, settle, run against the clock, and judge on the next month."""
    with ExitStack() as stack:
        system = _open_system(cell, memory, stack)
        month = read_month(cell.month, cell.seed)
        meter = stack.enter_context(metered())
        if cell.system == YARDSTICK:
            return _plain_run(cell, _yardstick(month, cell.seed, settings))
        allowed = cell.budget * SHARE.get(cell.system, 1.0)
        settle()
        started = time.perf_counter()
        tuned = system(month, cell.seed, allowed, meter)
        seconds = time.perf_counter() - started
        return _judged(cell, month, tuned, meter, seconds, allowed)


def _judged(cell: Cell, month: Month, tuned: Tuned, meter: Meter, seconds: float, allowed: float) -> Run:
    scores = month.judge(tuned.predict(month.judged))
    return Run(
        cell=cell,
        seconds=seconds,
        allowed=allowed,
        log_loss=scores["log_loss"],
        roc_auc=scores["roc_auc"],
        peak_mb=0.0,  # seen from outside, where the workers are seen too
        boosting_seconds=meter.seconds if tuned.boosting_seconds is None else tuned.boosting_seconds,
        worker_seconds=seconds * tuned.workers,
        search_share=tuned.search_share,
        attempts=tuned.attempts,
        settings=tuned.settings,
        validation=tuned.validation,
        memory=tuned.memory,
        note=tuned.note,
    )


def _open_system(cell: Cell, memory: list[dict[str, Any]], stack: ExitStack) -> System:
    """The system by name, everything it needs imported."""
    import lightgbm  # noqa: F401
    import sklearn.metrics  # noqa: F401

    name = cell.system
    if name == "flaml":
        import flaml  # type: ignore[import-not-found]  # noqa: F401

        from tests.benchmarks.tuning.systems.flaml import flaml_automl

        return flaml_automl
    if name.startswith("evertune"):
        import optuna
        import sqlalchemy  # noqa: F401

        from tests.benchmarks.tuning.systems.evertune import evertune, open_workers

        workers = stack.enter_context(open_workers(read_settings(cell.seed)))
        return lambda month, seed, budget, meter: evertune(month, seed, budget, meter, workers, memory)
    if name == "hyperopt":
        import hyperopt  # type: ignore[import-not-found]  # noqa: F401
    if name == "optuna":
        import optuna  # noqa: F401
    from tests.benchmarks.tuning.systems.scripts import defaults, hyperopt_script, optuna_script

    return {"optuna": optuna_script, "hyperopt": hyperopt_script}.get(name, defaults)


def _yardstick(month: Month, seed: int, settings: dict[str, Any]) -> float:
    from tests.benchmarks.tuning.systems.evertune import yardstick

    return yardstick(month, seed, settings)


def _plain_run(cell: Cell, score: float) -> Run:
    return Run(cell, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, yardstick=score)


def _as_json(value: Any) -> Any:
    """NumPy's numbers as plain ones."""
    return value.item()


if __name__ == "__main__":
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run = run_cell(Cell(**order["cell"]), order["memory"], order["settings"])
    answer = Path(sys.argv[2])
    answer.write_text(json.dumps(to_line(run), default=_as_json), encoding="utf-8")
