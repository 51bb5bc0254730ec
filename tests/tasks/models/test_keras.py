"""The Keras family, beside the contract of all families: what it trains, what it refuses, and that it repeats."""

from __future__ import annotations

import gc
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tasks.models.keras as family
from tasks.errors import TrainingFailed
from tasks.metrics import METRICS, find_metric
from tasks.models import parse_model
from tasks.models.keras import CHOICES, PACKAGES, REAL, WHOLE, Keras
from tasks.models.model import Fitting, Matrix, Native
from tasks.models.networks import OPTIMIZERS, Design, _batches
from tasks.models.objectives import Objective
from tasks.records import Target
from tasks.settings import Task
from tasks.spaces import Int, check_conditions, defaults, is_active

ROOT = Path(__file__).parents[3]
needs_tensorflow = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: make extras")
TARGETS: dict[Task, Target] = {
    "binary": Target("y", "binary", (0, 1)),
    "multiclass": Target("y", "multiclass", (0, 1, 2)),
    "regression": Target("y", "regression"),
}


def rows(task: Task, count: int = 192, seed: int = 0) -> Matrix:
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 3))
    signal = values[:, 0] + 0.3 * random.normal(size=count)
    truth = 50 + 10 * signal if task == "regression" else np.digitize(signal, [0] if task == "binary" else [-0.5, 0.5])
    return Matrix(values, truth.astype(np.float64), ("a", "b", "c"), ())


def fit(task: Task, seed: int = 0, valid: Matrix | None = None, train: Matrix | None = None, **settings: Any) -> Native:
    small = {"hidden_layers": 1, "units": 8, "batch_size": 64, "learning_rate": 0.02}
    model: Any = parse_model({"family": "keras", **settings, "hyperparameters": {**small, **settings.get("hyperparameters", {})}})
    asked = Fitting(TARGETS[task], METRICS[model.default_metric(task)] if task != "regression" else find_metric("rmse"), seed, 1)
    native: Native = model.fit(model.prepare(train or rows(task), valid, asked), asked)
    return native


@needs_tensorflow
def test_the_seed_decides_everything() -> None:
    first, again, other = (fit("binary", seed, hyperparameters={"epochs": 2}).predict(rows("binary").values).tolist() for seed in (0, 0, 1))
    assert first == again != other


@needs_tensorflow
def test_fresh_processes_with_one_thread_and_two_train_the_same_weights() -> None:
    code = """
import sys, numpy as np
from tests.tasks.models.test_keras import TARGETS, rows
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Fitting
model = parse_model({"family": "keras", "hyperparameters": {"epochs": 3, "batch_size": 256, "units": 128}})
asked = Fitting(TARGETS["binary"], METRICS["log_loss"], 0, int(sys.argv[1]))
data = rows("binary", 4000)
print(model.fit(model.prepare(data, None, asked), asked).predict(data.values).tobytes().hex())
import tensorflow as tf
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
"""
    asked = [[sys.executable, "-c", code, threads] for threads in ("1", "2")]
    running = [subprocess.Popen(each, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in asked]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    (one, one_thread), (two, two_threads) = (output.splitlines() for output, _ in said)
    assert one == two
    assert (one_thread, two_threads) == ("1 1", "2 1")
    assert [noise for _, noise in said] == ["", ""]  # TensorFlow tells nothing of itself


@needs_tensorflow
@pytest.mark.parametrize(
    ("optimizer", "momentum"), [("adam", {}), ("adamax", {}), ("adagrad", {}), ("rmsprop", {"momentum": 0.5}), ("sgd", {"momentum": 0.9})]
)
def test_our_loop_trains_as_keras_itself_would_on_the_same_batches(optimizer: str, momentum: dict[str, float]) -> None:
    import keras

    chosen = {"optimizer": optimizer, "dropout": 0.0, "l2": 0.01, "schedule": "constant", "batch_size": 64, **momentum}
    data, native = rows("binary"), fit("binary", hyperparameters={**chosen, "epochs": 3})
    oracle = network(fit("binary", hyperparameters={**chosen, "epochs": 1, "learning_rate": 1e-8}))  # all but untrained: the same start
    rule = getattr(keras.optimizers, OPTIMIZERS[optimizer])(0.02, **momentum)
    oracle.compile(rule, keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    for epoch in range(3):
        order = np.concatenate(list(_batches(192, 64, 0, epoch))).ravel()
        oracle.fit(data.values[order], data.truth[order, None], batch_size=64, shuffle=False, verbose=0)
    for ours, theirs in zip(network(native).get_weights(), oracle.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def network(native: Native) -> Any:
    return native.save.args[0]  # type: ignore[attr-defined]


def test_an_epoch_reads_every_row_at_most_once_in_an_order_of_its_own() -> None:
    first, second = (np.concatenate(list(_batches(1000, 64, 0, epoch))) for epoch in (0, 1))
    assert first.shape == (15, 64)
    assert len(np.unique(first)) == first.size
    assert (first != second).any()
    assert [each.shape for each in _batches(10, 64, 0, 0)] == [(1, 10)]


@pytest.mark.parametrize(
    ("schedule", "rates"), [("constant", [0.1, 0.1, 0.1]), ("exponential", [0.1, 0.05, 0.025]), ("cosine", [0.1, 0.05, 0.001])]
)
def test_the_learning_rate_decays_as_its_schedule_says(schedule: str, rates: list[float]) -> None:
    design = Design((8,), "relu", 0.0, 0.0, "adam", 0.0, 0.1, schedule, 0.5, 2, 32, Objective())
    np.testing.assert_allclose([design.rate(epoch) for epoch in range(3)], rates)


@needs_tensorflow
def test_layers_get_narrower_by_shrink_and_their_weights_are_the_size() -> None:
    native = fit("regression", hyperparameters={"hidden_layers": 3, "units": 16, "shrink": 0.5, "epochs": 1})
    assert native.size == (3 * 16 + 16) + (16 * 8 + 8) + (8 * 4 + 4) + (4 + 1)


@needs_tensorflow
def test_no_hidden_layer_is_a_linear_model() -> None:
    data = rows("regression")
    native = fit("regression", hyperparameters={"hidden_layers": 0, "epochs": 100, "l2": 0.0, "schedule": "constant"})
    oracle = np.linalg.lstsq(np.column_stack([data.values, np.ones(192)]), data.truth, rcond=None)[0]
    np.testing.assert_allclose(native.predict(data.values), data.values @ oracle[:3] + oracle[3], atol=0.3)
    assert native.size == 4


@needs_tensorflow
@pytest.mark.parametrize(
    ("objective", "expected"),
    [({"kind": "quantile", "alpha": 0.9}, 0.9), ("absolute", 0.5), ({"kind": "huber", "delta": 0.1}, 0.5)],
)
def test_an_objective_decides_how_many_rows_lie_below(objective: Any, expected: float) -> None:
    data = rows("regression", 1000)
    native = fit("regression", train=data, objective=objective, hyperparameters={"epochs": 20, "hidden_layers": 0})
    assert np.mean(data.truth <= native.predict(data.values)) == pytest.approx(expected, abs=0.05)


@needs_tensorflow
def test_poisson_learns_the_mean_of_counts() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(2000, 2))
    data = Matrix(values, random.poisson(3 * 2 ** values[:, 0]).astype(float), ("a", "b"), ())
    said = fit("regression", train=data, objective="poisson", hyperparameters={"hidden_layers": 0, "epochs": 30}).predict(values)
    assert said.min() > 0
    assert said.mean() == pytest.approx(data.truth.mean(), rel=0.05)
    assert np.corrcoef(np.log(said), values[:, 0])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("task", "objective", "words"),
    [
        ("ranking", None, "keras cannot rank"),
        ("binary", "absolute", "objective absolute is one of a regression, the task is binary"),
        ("regression", "gamma", "objective gamma is none that keras trains for; take one of squared"),
    ],
)
@needs_tensorflow
def test_a_task_that_it_cannot_do_is_told_before_any_trial(task: Task, objective: Any, words: str) -> None:
    assert words in parse_model({"family": "keras", "objective": objective}).unfit_for(task)


@needs_tensorflow
@pytest.mark.parametrize("valid", [None, rows("regression", 64, seed=1)], ids=["straight", "early"])
def test_a_network_that_diverges_is_a_failed_trial_with_a_reason(valid: Matrix | None) -> None:
    wild = {"optimizer": "sgd", "momentum": 0.99, "learning_rate": 10.0, "hidden_layers": 0, "batch_size": 4, "schedule": "constant"}
    with pytest.raises(ArithmeticError, match="the network diverged; a learning_rate below 10 may help"):
        fit("regression", valid=valid, hyperparameters=wild)


@needs_tensorflow
def test_values_far_outside_the_training_rows_do_not_blow_an_answer_up() -> None:
    native = fit("multiclass", hyperparameters={"epochs": 1})
    said = native.predict(np.array([[1e30, -1e30, 0.0]]))
    assert np.isfinite(said).all()
    assert said.sum() == pytest.approx(1)


@needs_tensorflow
def test_many_fits_leave_no_graph_in_memory() -> None:
    from tensorflow.python.framework.func_graph import FuncGraph

    def graphs() -> int:
        gc.collect()
        return sum(isinstance(each, FuncGraph) for each in gc.get_objects())

    before = graphs()
    for _ in range(3):
        fit("binary", hyperparameters={"epochs": 1})
    assert graphs() <= before


@needs_tensorflow
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optimizer", "adm", r"must be one of adam, adamax, adagrad, rmsprop, sgd, got 'adm'; did you mean adam\?"),
        ("activation", 3, "must be one of relu, .*, got 3"),
        ("dropout", 1.5, "must be a number from 0 to 0.95, got 1.5"),
        ("hidden_layers", 2.5, "must be a whole number from 0 to 10, got 2.5"),
        ("units", True, "must be a whole number from 1 to 8,192, got True"),
        ("learning_rate", "fast", "must be a number from 1e-08 to 10, got 'fast'"),
        ("lr", 0.1, "write learning_rate"),
        ("patience", 3, "write model.early_stopping_rounds"),
        ("loss", "mae", "write model.objective"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_key(key: str, value: Any, words: str) -> None:
    with pytest.raises(TrainingFailed, match=f"hyperparameters.{key}: {words}"):
        parse_model({"family": "keras", "hyperparameters": {key: value}})


@needs_tensorflow
def test_a_space_that_leads_outside_is_refused_with_its_key() -> None:
    with pytest.raises(TrainingFailed, match=r"space.dropout: must be a number from 0 to 0.95, got 2"):
        parse_model({"family": "keras", "space": {"dropout": {"type": "float", "low": 0.1, "high": 2}}})
    with pytest.raises(TrainingFailed, match=r"space.units: must be a whole number"):
        parse_model({"family": "keras", "space": {"units": {"type": "float", "low": 16, "high": 64}}})


@needs_tensorflow
def test_conditions_name_what_there_is_and_only_what_they_call_for_is_searched() -> None:
    model = Keras(family="keras")
    space = model.default_space("binary")
    assert list(check_conditions(space, {}, space)) == []
    assert set(space) | {"epochs"} == {*CHOICES, *WHOLE, *REAL}
    assert is_active(space["momentum"], {"optimizer": "sgd"})
    assert not is_active(space["momentum"], defaults(space))
    fixed = model.with_hyperparameters({"optimizer": "adam", "schedule": "cosine", "hidden_layers": 6}).searched("binary")
    assert {"momentum", "decay_rate"} & set(fixed) == set()
    assert {"shrink", "decay_epochs"} <= set(fixed)
    deep = Keras(family="keras", space={"hidden_layers": Int(low=1, high=6)}).searched("binary")
    assert deep["shrink"].when == {"hidden_layers": (2, 3, 4, 5, 6)}


def test_reading_the_settings_does_not_import_tensorflow() -> None:
    code = (
        "import sys; from tasks.models import parse_model; parse_model({'family': 'lightgbm'});"
        "import tasks.models.keras; print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_tensorflow_the_settings_are_refused_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "_installed", lambda name: name != "tensorflow")
    with pytest.raises(
        TrainingFailed, match=r"family keras needs tensorflow, which this Python lacks; install with: make extras .*pip install"
    ) as told:
        parse_model({"family": "keras"})
    assert all(f"'{package}'" in str(told.value) for package in PACKAGES)


def test_what_is_asked_to_be_installed_is_what_the_extra_names() -> None:
    import tomllib

    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["keras"]
    assert [wanted.partition(";")[0] for wanted in extra] == list(PACKAGES)
    locked = (ROOT / "deploy" / "extras.lock").read_text()
    assert "://" not in locked
    shared = (ROOT / "requirements.lock").read_text().splitlines()
    pins = {line.partition("==")[0]: set() for line in shared if "==" in line}  # type: ignore[var-annotated]
    for line in shared:
        if "==" in line:
            pins[line.partition("==")[0]].add(line.split()[0])
    both = [line.split()[0] for line in locked.splitlines() if line.partition("==")[0] in pins and "==" in line]
    assert len(both) > 5
    assert all(pin in pins[pin.partition("==")[0]] for pin in both)


@needs_tensorflow
def test_a_file_that_asks_for_other_code_is_not_loaded(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda values: values * 2)(inputs)).save(tmp_path / "model.keras")
    (tmp_path / "form.json").write_text(json.dumps({"kind": "value", "centre": 0.0, "scale": 1.0}))
    with pytest.raises(ValueError, match="Lambda"):
        Keras.load_native(str(tmp_path))
