"""The tuning benchmark's own reckoning: results that survive a kill, pairs, goals, and a README that says what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.tuning.boosting import metered
from tests.benchmarks.tuning.cells import Attempt, Cell, Run, append, read_places, read_runs
from tests.benchmarks.tuning.drawing import draw
from tests.benchmarks.tuning.lineup import COLD, DEFAULTS, FIFTH, FLAML, MEMORY, OPTUNA, YARDSTICK, best_peer, memory_of, plan
from tests.benchmarks.tuning.pairs import compare
from tests.benchmarks.tuning.publishing import PAGE, page, published, renewed, section
from tests.benchmarks.tuning.tables import summary

ROOT = Path(__file__).parent.parent.parent
PLACE = {"machine": "2 cores", "date": "2026-11-23", "python": "3.11", "versions": "lightgbm 4.7.0", "commit": "abc"}


def run(system: str, month: str, seed: int, log_loss: float, budget: float = 30.0) -> Run:
    attempts = (Attempt("finished", 0.5, 4.0, 3e6), Attempt("pruned", None, 5.0, 1e6), Attempt("finished", 0.4, 9.0, 3e6))
    cell = Cell(month, seed, budget, system)
    return Run(cell, 30.5, 30.0, log_loss, 0.7, 500.0, 29.0, 30.5, 0.96, attempts, {"num_leaves": 31}, 0.45, ({"family": "lightgbm"},))


def measured() -> dict[Cell, Run]:
    losses = {COLD: 0.44, MEMORY: 0.43, FIFTH: 0.445, OPTUNA: 0.45, FLAML: 0.46, "hyperopt": 0.455}
    runs = [
        run(name, month, seed, loss + seed / 100) for name, loss in losses.items() for month in ("2013-05", "2013-06") for seed in (0, 1)
    ]
    runs += [run(DEFAULTS, month, seed, 0.47 + seed / 100, 0.0) for month in ("2013-05", "2013-06") for seed in (0, 1)]
    runs += [replace(run(YARDSTICK, "2013-05", 0, 0.0), yardstick=0.45)]
    return {one.cell: one for one in runs}


def test_a_line_torn_by_a_kill_is_left_out_and_overwritten(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    first, second = run(COLD, "2013-05", 0, 0.4), run(OPTUNA, "2013-05", 0, 0.5)
    append(results, first, PLACE)
    with results.open("ab") as file:
        file.write(b'{"cell": {"mon')
    assert read_runs(results) == {first.cell: first}
    append(results, second, PLACE)
    assert read_runs(results) == {first.cell: first, second.cell: second}
    assert read_places(results) == [PLACE]


def test_paired_differences_count_what_both_have_run() -> None:
    runs = measured()
    del runs[Cell("2013-06", 1, 30.0, OPTUNA)]
    pair = compare(runs, (COLD, 30.0), (OPTUNA, 30.0), ["2013-05", "2013-06"])
    assert pair is not None
    assert (pair.wins, pair.losses) == (3, 0)
    assert pair.mean == pytest.approx(-0.01)
    assert pair.low == pytest.approx(pair.high)  # the difference is the same in every cell


def test_an_interval_covers_the_mean_and_widens_with_the_spread() -> None:
    runs = measured()
    runs[Cell("2013-05", 0, 30.0, COLD)] = run(COLD, "2013-05", 0, 0.5)
    pair = compare(runs, (COLD, 30.0), (OPTUNA, 30.0), ["2013-05", "2013-06"])
    assert pair is not None
    assert pair.low < pair.mean < pair.high
    assert (pair.wins, pair.losses) == (3, 1)


def test_every_system_meets_the_goals_by_its_own_figures() -> None:
    told = summary(measured(), [PLACE], {"overhead": 0.08, "budget": 60.0})
    assert "| 30 s, Evertune, cold: log-loss better than every peer's by 0.002 | -0.0100" in told
    assert "useful boosting work against the Optuna loop's: at least 4 x | 1.0 x | missed by 3.0 x |" in told
    assert "tuning time inside boosting at least 95% | 96.0% | met |" in told
    assert "at most 5% | 8.0% | missed by 3.0% |" in told
    assert "better on most retrains | 4 of 4" in told


def test_seconds_to_the_best_peers_loss_are_taken_on_comparable_losses_only() -> None:
    lines = summary(measured(), [PLACE]).splitlines()
    cold = next(line for line in lines if line.startswith("| Evertune, cold |"))
    assert "| 9.0 s, 1 of 4 |" in cold  # the yardstick of a single cell is known
    optuna = next(line for line in lines if line.startswith("| Optuna + LGBMClassifier |"))
    assert "| 9.0 s |" in optuna


def test_memory_is_that_of_the_same_system_seed_and_budget_newest_first() -> None:
    runs = {one.cell: one for one in (run(MEMORY, month, seed, 0.4) for month in ("2013-04", "2013-05", "2013-06") for seed in (0, 1))}
    runs = {cell: replace(one, memory=({"origin": f"{cell.month} {cell.seed}"},)) for cell, one in runs.items()}
    assert [known["origin"] for known in memory_of(Cell("2013-06", 1, 30.0, MEMORY), runs)] == ["2013-05 1", "2013-04 1"]
    assert memory_of(Cell("2013-06", 1, 60.0, MEMORY), runs) == []
    assert memory_of(Cell("2013-06", 1, 30.0, COLD), runs) == []


def test_memory_begins_before_the_first_month_that_is_reported_and_the_yardstick_comes_after_the_peers() -> None:
    cells = list(plan(["2013-06", "2013-08"], [0], [30.0], None))
    assert [cell.month for cell in cells if cell.system == MEMORY] == ["2013-05", "2013-06", "2013-07", "2013-08"]
    assert [cell.month for cell in cells if cell.system == OPTUNA] == ["2013-06", "2013-08"]
    assert len(cells) == len(set(cells))
    for cell in (cell for cell in cells if cell.system == YARDSTICK):
        assert all(cells.index(replace(cell, system=peer)) < cells.index(cell) for peer in (OPTUNA, FLAML))


def test_the_best_peer_is_the_one_with_the_least_validation_loss() -> None:
    runs = measured()
    cell = Cell("2013-05", 0, 30.0, FLAML)
    runs[cell] = replace(runs[cell], validation=0.1)
    found = best_peer(Cell("2013-05", 0, 30.0, YARDSTICK), runs)
    assert found is not None
    assert found.cell.system == FLAML


def test_the_meter_counts_rounds_and_rows_of_each_fit_and_leaves_lightgbm_as_it_was() -> None:
    import lightgbm

    before = lightgbm.sklearn.train
    random = np.random.default_rng(0)
    values, truth = random.normal(size=(200, 3)), random.integers(0, 2, 200)
    with metered() as meter:
        lightgbm.LGBMClassifier(n_estimators=7, n_jobs=1, verbosity=-1).fit(values, truth)
    assert [(fit.rows, fit.rounds) for fit in meter.fits] == [(200, 7)]
    assert meter.seconds > 0
    assert lightgbm.sklearn.train is before


def test_the_plot_is_the_same_for_the_same_results() -> None:
    assert draw(measured(), [PLACE]) == draw(measured(), [PLACE])


def test_only_what_is_between_the_markers_is_renewed() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    changed = renewed(readme, "new")
    assert published(changed) == "new"
    assert renewed(changed, published(readme)) == readme
    with pytest.raises(ValueError, match="put them back"):
        renewed("no markers", "new")


def test_readme_and_page_say_what_the_published_results_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(ROOT)
    assert published((ROOT / "README.md").read_text(encoding="utf-8")) == section(ROOT)
