from __future__ import annotations

import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.executors import folds
from tasks.executors.folds import FoldStore, PreparedFolds, build_fold, matrix_key, prepared_key, read_matrices, write_matrices
from tasks.executors.scoring import Bench
from tasks.metrics import METRICS
from tasks.models.model import Fitting
from tasks.models.recipes import Recipe, read_recipe
from tests.servers import Program, read_until
from tests.tasks.executors.scenes import job, workload

FITTING = Fitting(workload().columns.target, METRICS["log_loss"], 0, 1)


def recipe(**parts: Any) -> Recipe:
    return read_recipe({"model": {"family": "lightgbm", **parts.pop("model", {})}, **parts})


def same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other, equal_nan=True) and one.dtype == other.dtype)


def test_matrices_come_back_as_they_were_mapped_and_read_only(tmp_path: Path) -> None:
    built = build_fold(workload(), recipe(weights={"balance": True}), job(0))
    write_matrices(built, tmp_path)
    for before, after in zip(built, read_matrices(tmp_path), strict=True):
        assert all(same(getattr(before, name), getattr(after, name)) for name in ("values", "truth", "weight", "query"))
        assert (before.names, before.categorical) == (after.names, after.categorical)
        assert not after.values.flags.writeable


def test_a_share_is_the_newest_part_of_the_training_rows() -> None:
    whole, part = (build_fold(workload(), recipe(), job(0, share=share)) for share in (1.0, 0.25))
    assert len(part[0].truth) == len(whole[0].truth) // 4
    assert np.array_equal(part[0].truth, whole[0].truth[-len(part[0].truth) :])
    assert np.array_equal(part[1].truth, whole[1].truth)


def test_keys_follow_what_a_fold_depends_on_and_nothing_else() -> None:
    plain = recipe()
    others = [
        (plain, job(0, fold=1)),
        (plain, job(0, share=0.5)),
        (recipe(features={"rare": 50}), job(0)),
        (recipe(weights={"half_life": timedelta(days=9)}), job(0)),
        (read_recipe({"model": {"family": "scikit", "estimator": "LogisticRegression"}}), job(0)),
    ]
    assert len({matrix_key(*each) for each in [(plain, job(0)), *others]}) == 6
    assert matrix_key(plain, job(0)) == matrix_key(recipe(model={"max_bin": 15}), job(7))
    assert prepared_key(plain, job(0)) != prepared_key(recipe(model={"max_bin": 15}), job(0))
    assert prepared_key(plain, job(0)) == prepared_key(recipe(model={"hyperparameters": {"num_leaves": 9}}), job(7))


def test_two_workers_at_once_build_a_fold_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []

    def build(*given: Any) -> Any:
        built.append(1)
        time.sleep(0.3)
        return build_fold(*given)

    monkeypatch.setattr(folds, "build_fold", build)
    benches = [Bench(workload(), tmp_path / "store") for _ in range(3)]
    scores: list[float] = []
    threads = [threading.Thread(target=lambda bench=bench: scores.append(bench.score(job(0)).value)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len(scores) == 3
    assert len(set(scores)) == 1


def test_families_share_the_matrices(tmp_path: Path) -> None:
    bench = Bench(workload(), tmp_path / "store")
    bench.score(job(0))
    bench.score(job(1, family="xgboost"))
    assert len(list((tmp_path / "store").glob("matrices-*/"))) == 1


def test_a_killed_builder_frees_its_lock_and_leaves_nothing_that_counts(tmp_path: Path, program: Program) -> None:
    code = """
import sys, time
from pathlib import Path
from tasks.executors.folds import FoldStore
store = FoldStore(Path(sys.argv[1]))
def write(folder):
    (folder / "half.npy").write_text("half")
    print("half written", flush=True)
    time.sleep(600)
with store.locked("key"):
    store.keep("key", write)
"""
    builder = program(code, str(tmp_path / "store"))
    read_until(builder, "half written")
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    store = FoldStore(tmp_path / "store")
    with store.locked("key"):
        assert store.find("key") is None
        assert store.keep("key", lambda folder: bool((folder / "whole").write_text("whole"))) == store.find("key")


def test_nothing_is_kept_that_would_fill_the_disk(tmp_path: Path) -> None:
    store = FoldStore(tmp_path / "store", spare=1 << 62)
    assert store.keep("key", lambda _: True) is None
    assert store.find("key") is None


def test_the_folds_not_used_for_longest_are_forgotten() -> None:
    prepared = PreparedFolds(workload(), None, keep=2, keep_bytes=1e15)
    first = prepared.get(recipe(), job(0), FITTING)
    assert prepared.get(recipe(), job(1), FITTING) is first
    prepared.get(recipe(), job(0, fold=1), FITTING)
    prepared.get(recipe(), job(0), FITTING)
    prepared.get(recipe(), job(0, share=0.5), FITTING)
    assert prepared.get(recipe(), job(0), FITTING) is first


def test_a_worker_that_holds_too_much_forgets_its_folds() -> None:
    prepared = PreparedFolds(workload(), None, keep=12, keep_bytes=1)
    first = prepared.get(recipe(), job(0), FITTING)
    prepared.get(recipe(), job(0, fold=1), FITTING)
    assert prepared.get(recipe(), job(0), FITTING) is not first
