"""Folds, prepared once and shared: in a worker's memory, and in a folder that the workers of a machine share.

A folder of the store appears whole or not at all (written beside it, then renamed), under a lock that a killed worker
frees: no two workers build the same thing at once, and none reads half of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.executors.executor import Job, Workload
from tasks.executors.memory import private_bytes
from tasks.homes import make_private, open_private
from tasks.models.model import Fitting, Matrix, Model, matrix
from tasks.models.recipes import Recipe
from tasks.plans import Features, plan_features
from tasks.targets import encode, queries
from tasks.weights import weigh

log = logging.getLogger("evertune")

ARRAYS = ("values", "truth", "weight", "query")
SPARE_BYTES = 1 << 30
"""Free disk that the store leaves alone at least: what would not fit beside it is built by each worker for itself."""


@dataclass(frozen=True)
class Prepared:
    """A fold ready to be fitted again and again: what all its trials share is built once."""

    train: Any
    valid: Matrix
    rows: int
    """Training rows."""


class FoldStore:
    """A folder of folders, each made once by whoever comes first; `spare` bytes of its disk stay free, half of them if not given."""

    def __init__(self, folder: Path, spare: int | None = None) -> None:
        make_private(folder)
        self.folder = folder
        self.spare = max(SPARE_BYTES, shutil.disk_usage(folder).free // 2) if spare is None else spare

    def find(self, key: str) -> Path | None:
        """What was kept under this key; None when nothing was."""
        path = self.folder / key
        return path if path.is_dir() else None

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold the key's lock, waiting for whoever has it; the kernel frees a dead holder's."""
        with open_private(self.folder / f"{key}.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def keep(self, key: str, write: Callable[[Path], bool], size: int = 0) -> Path | None:
        """Have `write` fill a folder of about `size` bytes, and keep it if it says so; None when it was not kept.

        A disk that is full costs speed, not the trial: it is logged, and nothing is kept.
        """
        if shutil.disk_usage(self.folder).free < self.spare + size:
            return None
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=self.folder))
        try:
            if write(draft):
                return draft.rename(self.folder / key)
        except OSError as error:
            log.warning("a prepared fold could not be kept for other workers: %s", error)
        shutil.rmtree(draft, ignore_errors=True)
        return None


class PreparedFolds:
    """The folds of one workload as one worker has them: from memory, else from the store, else built."""

    def __init__(
        self,
        workload: Workload,
        store: FoldStore | None,
        keep: int,
        keep_bytes: float,
        read_rows: Callable[[], pd.DataFrame] | None = None,
    ) -> None:
        self.workload, self.store, self.keep, self.keep_bytes = workload, store, keep, keep_bytes
        self._read_rows = read_rows or (lambda: workload.frame)
        self._rows: pd.DataFrame | None = None
        self._folds: OrderedDict[str, Prepared] = OrderedDict()

    def get(self, recipe: Recipe, job: Job, fitting: Fitting) -> Prepared:
        """Raises what features, weights and the family raise about these rows."""
        key = prepared_key(recipe, job)
        if key not in self._folds:
            self._make_room()
            self._folds[key] = self._shared(key, recipe, job, fitting) if self._shares(recipe.model) else self._built(recipe, job, fitting)
        self._folds.move_to_end(key)
        return self._folds[key]

    def _make_room(self) -> None:
        while self._folds and (len(self._folds) >= self.keep or private_bytes() > self.keep_bytes):
            self._folds.popitem(last=False)

    def _shares(self, model: Model) -> bool:
        """Whether the family can write down what it prepares; one that cannot need not wait for another worker's building."""
        return self.store is not None and type(model).store is not Model.store

    def _built(self, recipe: Recipe, job: Job, fitting: Fitting) -> Prepared:
        train, valid = self._matrices(recipe, job)
        return Prepared(recipe.model.prepare(train, valid, fitting), valid, len(train.truth))

    def _shared(self, key: str, recipe: Recipe, job: Job, fitting: Fitting) -> Prepared:
        assert self.store is not None
        with self.store.locked(key):
            if (found := self.store.find(key)) is None:
                built = self._built(recipe, job, fitting)
                self.store.keep(key, lambda folder: recipe.model.store(built.train, folder))
                return built
        train, valid = self._matrices(recipe, job)
        return Prepared(recipe.model.restore(found, fitting), valid, len(train.truth))

    def _matrices(self, recipe: Recipe, job: Job) -> tuple[Matrix, Matrix]:
        """Training and scored rows, mapped from the store where they are: the page cache holds them once for all workers."""
        if self.store is None:
            return self._build(recipe, job)
        key = matrix_key(recipe, job)
        with self.store.locked(key):
            if (found := self.store.find(key)) is None:
                built = self._build(recipe, job)
                size = sum(array.nbytes for part in built for array in (part.values, part.truth, part.weight) if array is not None)
                found = self.store.keep(key, lambda folder: write_matrices(built, folder), size)
                if found is None:
                    return built
                self._rows = None  # mapped matrices are all that a fit needs
        return read_matrices(found)

    def _build(self, recipe: Recipe, job: Job) -> tuple[Matrix, Matrix]:
        if self._rows is None:
            self._rows = self._read_rows()
        return build_fold(replace(self.workload, frame=self._rows), recipe, job)


def matrix_key(recipe: Recipe, job: Job) -> str:
    """A fold's matrices depend on the fold, on processing and weights, and on what the family reads; on nothing else of it."""
    return "matrices-" + _digest(_matrix_parts(recipe, job))


def prepared_key(recipe: Recipe, job: Job) -> str:
    """A prepared fold depends on its matrices, on the family, and on those of its settings that it says."""
    model = recipe.model
    own = {"family": model.family, "identity": model.identity, "by": dict(model.prepared_by())}
    return "prepared-" + _digest(_matrix_parts(recipe, job) | own)


def build_fold(workload: Workload, recipe: Recipe, job: Job) -> tuple[Matrix, Matrix]:
    """A fold's training and scored rows as matrices: features are fitted on the training rows alone."""
    fold, target = workload.folds[job.fold], workload.columns.target
    train = fold.train[len(fold.train) - max(1, round(job.share * len(fold.train))) :]
    frame, held_out = workload.frame.iloc[train], workload.frame.iloc[fold.valid]
    features: Features = plan_features(workload.columns, recipe.features, recipe.model.reads).fit(frame)
    truth = encode(target, frame[target.column])
    weight = weigh(recipe.weights, frame, truth, workload.columns)
    columns = workload.columns
    return (
        matrix(features, frame, truth, weight, queries(columns, frame)),
        matrix(features, held_out, encode(target, held_out[target.column]), query=queries(columns, held_out)),
    )


def write_matrices(matrices: tuple[Matrix, Matrix], folder: Path) -> bool:
    """One .npy an array, so that each can be mapped; names and categories as JSON."""
    for side, part in zip(("train", "valid"), matrices, strict=True):
        for name in ARRAYS:
            if (array := getattr(part, name)) is not None:
                np.save(folder / f"{side}-{name}.npy", array, allow_pickle=False)
        (folder / f"{side}.json").write_text(json.dumps({"names": part.names, "categorical": part.categorical}), encoding="utf-8")
    return True


def read_matrices(folder: Path) -> tuple[Matrix, Matrix]:
    """What `write_matrices` wrote, mapped and read-only."""
    return _read_matrix(folder, "train"), _read_matrix(folder, "valid")


def _read_matrix(folder: Path, side: str) -> Matrix:
    files = [folder / f"{side}-{name}.npy" for name in ARRAYS]
    values, truth, weight, query = (np.asarray(np.load(file, mmap_mode="r")) if file.exists() else None for file in files)
    described = json.loads((folder / f"{side}.json").read_text(encoding="utf-8"))
    assert values is not None
    assert truth is not None
    return Matrix(values, truth, tuple(described["names"]), tuple(described["categorical"]), weight, query)


def _matrix_parts(recipe: Recipe, job: Job) -> dict[str, Any]:
    processing = {part: getattr(recipe, part).model_dump(mode="json") for part in ("features", "weights")}
    return {"fold": job.fold, "share": job.share, "encoding": recipe.model.reads, **processing}


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
