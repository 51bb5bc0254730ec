"""Digests: what was changed is found before anything is loaded. Each trap is shown to work where nobody looks."""

from __future__ import annotations

import os
import py_compile
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from tasks.errors import Conflict
from tasks.homes import Home
from tasks.registry.digesting import changed_files, fetched, load_verified, model_digest, verified_copy, verify_digest
from tasks.registry.saving import save_model
from tasks.stage import Timing
from tasks.tracking import Run, connect, open_run
from tests.tasks.models.test_families import labelled
from tests.tasks.registry.test_proving import TREES, fitted, stored


@pytest.fixture
def run(store: Home) -> Iterator[Run]:
    with open_run(connect(store, "shop"), "retrain", {}, Timing()) as opened:
        yield opened


@pytest.fixture
def saved(run: Run) -> tuple[str, Path, str]:
    """A model's URI, its folder in the artifact store, and its digest."""
    uri = save_model(run, fitted(TREES, "binary"), labelled("binary", 20), "shop", {})
    with fetched(uri) as folder:
        return uri, stored(run, uri), model_digest(folder)


def test_a_digest_is_of_names_and_contents_and_of_nothing_else(tmp_path: Path) -> None:
    for name in ("a", "b", "other name", "other place", "more", "compiled"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "x").write_text("1")
        (tmp_path / name / "y").write_text("2")
    (tmp_path / "other name" / "y").rename(tmp_path / "other name" / "z")
    (tmp_path / "other place" / "y").rename(tmp_path / "other place" / "inner" / "y")
    (tmp_path / "more" / "empty").touch()
    (tmp_path / "compiled" / "__pycache__").mkdir()
    (tmp_path / "compiled" / "__pycache__" / "x.pyc").touch()
    digests = {folder.name: model_digest(folder) for folder in tmp_path.iterdir()}
    assert digests["a"] == digests["b"] == digests["compiled"]
    assert len(set(digests.values())) == 4


def test_files_as_they_were_registered_are_loaded_whatever_mlflow_leaves_beside_them(saved: tuple[str, Path, str], run: Run) -> None:
    uri, folder, digest = saved
    run.client.create_registered_model("shop")
    run.client.create_model_version("shop", uri)
    mlflow.pyfunc.load_model("models:/shop/1")  # which writes into a local store
    assert (folder / "registered_model_meta").exists()
    verify_digest(uri, digest)
    rows = labelled("binary", 50)
    np.testing.assert_allclose(load_verified(uri, digest).raw(rows), fitted(TREES, "binary").predict(rows), rtol=1e-12)


@pytest.mark.parametrize("harm", ["another leaf value", "cut", "gone", "one more", "description"])
def test_a_file_that_was_changed_is_named_and_nothing_is_loaded(saved: tuple[str, Path, str], harm: str) -> None:
    uri, folder, digest = saved
    trees = folder / "artifacts" / "model" / "model.txt"
    text, named = trees.read_text(), "artifacts/model/model.txt"
    if harm == "another leaf value":  # LightGBM takes the last of two lines
        line = next(line for line in text.splitlines() if line.startswith("leaf_value="))
        trees.write_text(text.replace(line, f"{line}\nleaf_value=" + " ".join("9" * len(line.split())), 1))
    elif harm == "cut":
        trees.write_text(text[:-1])
    elif harm == "gone":
        trees.unlink()
    elif harm == "one more":
        (folder / "code.py").touch()
    else:
        (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace('"required": true', '"required": false'))
    words = rf"; changed: {named}\)" if harm in ("another leaf value", "cut", "gone") else r"\w\); nothing of it was loaded"
    with pytest.raises(Conflict, match=rf"the files of {uri} are not those that were registered.*{words}"):
        load_verified(uri, digest)


def test_code_that_was_put_into_a_model_never_runs(saved: tuple[str, Path, str], tmp_path: Path) -> None:
    uri, folder, digest = saved
    marker, code = tmp_path / "executed", folder / "served_model.py"
    code.write_text(code.read_text() + f"\nos.mknod({str(marker)!r})\n")
    with pytest.raises(Conflict, match=r"changed: served_model.py"):
        load_verified(uri, digest)
    assert not marker.exists()
    mlflow.pyfunc.load_model(uri)
    assert marker.exists()


def test_byte_code_beside_a_models_source_never_runs(saved: tuple[str, Path, str], tmp_path: Path) -> None:
    uri, folder, digest = saved
    marker, source, harm = tmp_path / "executed", folder / "served_model.py", tmp_path / "harm.py"
    harm.write_text(source.read_text() + f"\nos.mknod({str(marker)!r})\n")
    compiled = folder / "__pycache__" / Path(py_compile.compile(str(source), doraise=True)).name
    py_compile.compile(str(harm), cfile=str(compiled), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    load_verified(uri, digest)
    assert not marker.exists()
    mlflow.pyfunc.load_model(uri)
    assert marker.exists()


def test_a_skops_file_that_was_swapped_is_refused_by_its_digest_and_else_by_its_types(run: Run, tmp_path: Path) -> None:
    model = fitted({"family": "scikit", "estimator": "LogisticRegression"}, "binary")
    uri = save_model(run, model, labelled("binary", 20), "shop", {})
    file = stored(run, uri) / "artifacts" / "model" / "model.skops"
    with fetched(uri) as folder:
        digest = model_digest(folder)
    harm = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    harm.predict_proba = os.system
    skops.io.dump(harm, file)
    with pytest.raises(Conflict, match=r"changed: artifacts/model/model.skops"):
        load_verified(uri, digest)
    with fetched(uri) as folder:
        digest = model_digest(folder)
    with pytest.raises(ValueError, match=r"no part of scikit-learn's models: posix.system"):
        load_verified(uri, digest)


def test_a_pickle_is_not_read_even_if_its_digest_is_right(saved: tuple[str, Path, str], tmp_path: Path) -> None:
    uri, folder, _ = saved
    marker = tmp_path / "executed"

    class Malicious(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def __reduce__(self) -> Any:
            return os.system, (f"touch {marker}",)

        def predict(self, context: Any, model_input: list[str]) -> list[str]:
            return model_input

    shutil.rmtree(folder)
    mlflow.pyfunc.save_model(folder, python_model=Malicious(), pip_requirements=["mlflow"])
    with fetched(uri) as copy:
        digest = model_digest(copy)
    with pytest.raises(mlflow.MlflowException, match="using pickle is disallowed"):
        load_verified(uri, digest)
    assert not marker.exists()
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION" not in os.environ


def test_a_model_of_somebody_elses_is_refused(run: Run, tmp_path: Path) -> None:
    code = tmp_path / "other.py"
    code.write_text(
        "import mlflow\nclass Other(mlflow.pyfunc.PythonModel):\n    def predict(self, context, model_input: list[str]):\n"
        "        return model_input\nmlflow.models.set_model(Other())\n"
    )
    logged = run.client.create_logged_model(run.tracker.experiment, name="shop", source_run_id=run.id)
    mlflow.pyfunc.save_model(tmp_path / "other", python_model=str(code), pip_requirements=["mlflow"])
    run.client.log_model_artifacts(logged.model_id, str(tmp_path / "other"))
    uri = f"models:/{logged.model_id}"
    with fetched(uri) as folder:
        assert changed_files(folder) == []
        digest = model_digest(folder)
    with pytest.raises(Conflict, match="was not saved by Evertune"):
        load_verified(uri, digest)


def test_a_version_without_a_digest_is_not_loaded_and_the_advice_holds(saved: tuple[str, Path, str]) -> None:
    uri, _, digest = saved
    with pytest.raises(Conflict, match=rf"registered without a digest \(version tag evertune.digest\).* set the tag to {digest}"):
        load_verified(uri, "")


def test_a_model_that_is_gone_is_said_to_be(saved: tuple[str, Path, str], run: Run) -> None:
    uri, folder, digest = saved
    shutil.rmtree(folder)
    with pytest.raises(Conflict, match=rf"the files of {uri} are gone"), verified_copy(uri, digest):
        raise AssertionError
    run.client.delete_logged_model(uri.removeprefix("models:/"))
    with pytest.raises(Conflict, match=rf"{uri} (is|are) gone|{uri} is gone"):
        verify_digest(uri, digest)
