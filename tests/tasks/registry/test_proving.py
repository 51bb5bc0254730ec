"""Proofs in real clean processes: the test run's own for all models that answer, and a new one after each that was killed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.homes import Home
from tasks.models import parse_model
from tasks.models.model import Fitted
from tasks.registry.digesting import fetched, model_digest, private_folder
from tasks.registry.proving import MANY, Prover, _imports, _missing
from tasks.registry.saving import EXAMPLE_FILE, save_model
from tasks.settings import Task
from tasks.stage import Timing
from tasks.tracking import Run, connect, open_run
from tests.tasks.models.test_families import TARGETS, fitting, labelled, matrices

ROOT = Path(__file__).parents[3]
TREES = {"family": "lightgbm", "hyperparameters": {"num_leaves": 4, "num_iterations": 10, "min_data_in_leaf": 10}}
OTHER = {"family": "xgboost", "hyperparameters": {"max_depth": 3, "num_boost_round": 10}}
NETWORK = {"family": "keras", "hyperparameters": {"hidden_layers": 1, "units": 8, "epochs": 2}}
SERVED: list[tuple[dict[str, Any], str]] = [
    (TREES, "binary"),
    (TREES, "ranking"),
    (OTHER, "multiclass"),
    ({"family": "scikit", "estimator": "Ridge"}, "regression"),
    ({"family": "scikit", "estimator": "RandomForestClassifier", "hyperparameters": {"n_estimators": 10}}, "multiclass"),
    ({"family": "blend", "members": [TREES, OTHER]}, "binary"),
    *([(NETWORK, "regression")] if importlib.util.find_spec("tensorflow") else []),
]
CASES = ["input example", "one row", "many rows", "missing values", "unseen categories", "numbers without decimals"]


@pytest.fixture
def run(store: Home) -> Iterator[Run]:
    with open_run(connect(store, "shop"), "retrain", {}, Timing()) as opened:
        yield opened


def fitted(settings: dict[str, Any], task: Task, seed: int = 0) -> Fitted:
    model = parse_model(settings)
    train, _, features = matrices(model if "members" not in settings else model.members[0], task)
    asked = fitting(task, seed)
    return Fitted(model, features, model.fit(model.prepare(train, None, asked), asked), TARGETS[task])


def stored(run: Run, uri: str) -> Path:
    """The folder of the artifact store that the model lies in."""
    return Path(run.client.get_logged_model(uri.removeprefix("models:/")).artifact_location.removeprefix("file://"))


@pytest.mark.parametrize(("settings", "task"), SERVED, ids=lambda value: value if isinstance(value, str) else value["family"])
def test_a_saved_model_answers_requests_in_json_where_evertune_is_not_installed(
    prover: Prover, run: Run, settings: dict[str, Any], task: Task
) -> None:
    model, rows = fitted(settings, task), labelled(task, 200, seed=3)
    uri = save_model(run, model, rows, "shop", {})
    proof = prover.prove(uri, model, rows)
    assert [case.name for case in proof.cases] == [*CASES, "other order, one column more"]
    assert {case.name: case.rows for case in proof.cases} | {"one row": 1, "many rows": MANY, "missing values": 5} == {
        case.name: case.rows for case in proof.cases
    }
    assert proof.bytes == sum(path.stat().st_size for path in stored(run, uri).rglob("*") if path.is_file())
    with fetched(uri) as folder:
        assert proof.digest == model_digest(folder)


def test_a_process_that_was_started_early_is_ready_when_it_is_asked(prover: Prover, run: Run) -> None:
    model, rows = fitted(TREES, "binary"), labelled("binary", 20)
    proof = prover.prove(save_model(run, model, rows, "shop", {}), model, rows)
    assert proof.startup_seconds > 0
    assert proof.seconds < proof.startup_seconds + 5


def test_rows_with_infinite_numbers_and_few_of_them_are_asked_all_the_same(prover: Prover, run: Run) -> None:
    model, rows = fitted(TREES, "binary"), labelled("binary", 3).assign(price=[np.inf, -np.inf, np.nan])
    proof = prover.prove(save_model(run, model, rows, "shop", {}), model, rows)
    assert [case.rows for case in proof.cases][:4] == [3, 1, MANY, 5]


def test_a_model_that_answers_otherwise_than_the_trained_one_is_refused_with_the_row_and_both_answers(prover: Prover, run: Run) -> None:
    model, rows = fitted(TREES, "binary"), labelled("binary", 50)
    uri = save_model(run, model, rows, "shop", {})
    another = fitted({**TREES, "hyperparameters": {**TREES["hyperparameters"], "num_iterations": 3}}, "binary")  # type: ignore[dict-item]
    with pytest.raises(
        TrainingFailed,
        match=rf"{uri} cannot be served: the request 'input example' is answered otherwise in 3 of 3 rows; first row 1: "
        r"\{'price'.*served \{'prediction': '\w+', 'probability_no'.*trained \{.*it was not registered",
    ):
        prover.prove(uri, another, rows)


def test_a_model_that_was_trained_on_categories_and_is_served_their_numbers_is_refused(prover: Prover, run: Run) -> None:
    """The plan's categories in another order: loads, answers, and is wrong on some rows only."""
    model, rows = fitted(TREES, "binary"), labelled("binary", 200)
    shuffled = replace(model, features=_with_categories_reversed(model))
    uri = save_model(run, shuffled, rows, "shop", {})
    with pytest.raises(TrainingFailed, match=r"is answered otherwise in \d+ of \d+ rows"):
        prover.prove(uri, model, rows)


def _with_categories_reversed(model: Fitted) -> Any:
    import copy

    features = copy.deepcopy(model.features)
    column = next(column for column in features.plan_["columns"] if column["kind"] == "category")
    column["values"] = column["values"][::-1]
    return features


@pytest.mark.parametrize("harm", ["cut", "gone", "description cut"])
def test_an_upload_that_was_cut_is_noticed_before_anything_is_loaded(prover: Prover, run: Run, harm: str) -> None:
    model, rows = fitted(TREES, "binary"), labelled("binary", 20)
    uri = save_model(run, model, rows, "shop", {})
    file = stored(run, uri) / ("MLmodel" if harm == "description cut" else "artifacts/model/model.txt")
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: content.index(b"evertune.files") + 40] if harm == "description cut" else content[:-20])
    with pytest.raises((ServiceUnavailable, TrainingFailed), match=r"artifacts/model/model.txt differ|MLmodel differ|cannot be loaded"):
        prover.prove(uri, model, rows)


@dataclass(frozen=True)
class Trapped(Fitted):
    """A model whose code does something else where no EVERTUNE_HOME is set: in the clean process."""

    trap: str = ""

    def save(self, folder: Path) -> Path:
        code = super().save(folder)
        start = "from __future__ import annotations\n"
        trap = f"import os\nif 'EVERTUNE_HOME' not in os.environ:\n    {self.trap}\n"
        code.write_text(code.read_text().replace(start, start + trap, 1))
        return code


TRAPS = {
    "import tasks.serving": r"cannot be loaded where Evertune is not installed: .*'?tasks'?",
    "import json, sys; raise ValueError(json.dumps([sorted(os.environ), sys.path]))": r"cannot be loaded where",
    "print('the last words', flush=True); os._exit(3)": r"ended with exit code 3 while it loaded the model; it wrote: .*the last words",
    "import time; time.sleep(600)": r"did not answer within 2 seconds while it loaded the model; it was ended",
}


@pytest.mark.parametrize(("trap", "words"), TRAPS.items(), ids=["import", "environment", "exit", "sleep"])
def test_a_model_that_cannot_be_loaded_elsewhere_is_refused_and_the_end_is_told(
    prover: Prover, run: Run, trap: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    plain, rows = fitted(TREES, "binary"), labelled("binary", 20)
    model = Trapped(plain.model, plain.features, plain.native, plain.target, trap)
    uri = save_model(run, model, rows, "shop", {})
    own = Prover(limit=2) if "sleep" in trap else prover
    with pytest.raises(TrainingFailed, match=words) as told:
        own.prove(uri, model, rows)
    if own is not prover:
        own.close()
    assert "AWS_SECRET_ACCESS_KEY" not in str(told.value)
    assert "EVERTUNE_HOME" not in str(told.value).partition("not registered")[0]


def test_a_pickled_model_is_never_read(prover: Prover, run: Run, tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Malicious(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def __reduce__(self) -> Any:
            return os.system, (f"touch {marker}",)

        def predict(self, context: Any, model_input: list[str]) -> list[str]:
            return model_input

    model, rows = fitted(TREES, "binary"), labelled("binary", 20)
    folder = stored(run, uri := save_model(run, model, rows, "shop", {}))
    example = (folder / EXAMPLE_FILE).read_text()
    shutil.rmtree(folder)
    mlflow.pyfunc.save_model(folder, python_model=Malicious(), pip_requirements=["mlflow"])
    (folder / EXAMPLE_FILE).write_text(example)
    assert not marker.exists()
    with pytest.raises(TrainingFailed, match=r"cannot be loaded .*Deserializing model using pickle is disallowed"):
        prover.prove(uri, model, rows)
    assert not marker.exists()
    with pytest.raises(AttributeError):  # what os.system answers is no model
        mlflow.pyfunc.load_model(uri)
    assert marker.exists()  # as it would have been without all this


def test_each_column_is_missing_once_and_all_of_them_once() -> None:
    rows = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    assert _missing(rows).isna().astype(int).to_numpy().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]


def test_the_libraries_of_a_model_are_those_that_its_own_code_imports() -> None:
    assert _imports(parse_model({"family": "blend", "members": [TREES, OTHER]})) == {"os", "lightgbm", "numpy", "xgboost"}


def test_what_a_killed_process_leaves_is_removed_by_the_next_one_and_its_clean_process_dies_with_it(store: Home) -> None:
    code = (
        "import os, signal; from tasks.registry.proving import Prover; prover = Prover(); prover.start();"
        "print(prover._outsider._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    outsider = Path("/proc") / done.stdout.strip()
    left = [path for path in (store.root / "scratch").iterdir() if path.is_dir()]
    assert len(left) == 1
    deadline = time.monotonic() + 20
    while outsider.exists() and "zombie" not in (outsider / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with private_folder() as folder:
        assert [path for path in (store.root / "scratch").iterdir() if path.is_dir()] == [folder.parent]
    assert not [path for path in (store.root / "scratch").iterdir() if path.is_dir()]
