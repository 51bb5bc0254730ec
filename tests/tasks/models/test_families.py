"""The contract of a model family. A new one in the union is picked up here, and fails until it has an example."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from tasks.errors import TrainingFailed
from tasks.features import build_features
from tasks.metrics import DEFAULTS, METRICS, score
from tasks.models import parse_model
from tasks.models.families import Families
from tasks.models.model import Fitted, Fitting, Matrix, Model, Native, matrix
from tasks.models.scikit import Scikit
from tasks.plans import Encoding, Features
from tasks.records import Columns, Floats, Scores, Target
from tasks.serving import answer
from tasks.settings import FeatureSettings, Task
from tasks.spaces import Categorical, defaults
from tasks.targets import encode

FAMILIES: tuple[type[Model], ...] = typing.get_args(Families)
TARGETS: dict[Task, Target] = {
    "binary": Target("label", "binary", ("no", "yes")),
    "multiclass": Target("label", "multiclass", (3, 5, 7)),
    "regression": Target("label", "regression"),
    "ranking": Target("label", "ranking"),
}
QUERY = 10
"""Rows of a query."""


@dataclass(frozen=True)
class Example:
    """Settings of a family, with the tasks it is to be tried on."""

    settings: dict[str, Any]
    tasks: tuple[Task, ...] = ("binary", "multiclass", "regression")

    @property
    def name(self) -> str:
        return str(self.settings.get("estimator", self.settings["family"]))


CLASSIFIERS, REGRESSORS = ("binary", "multiclass"), ("regression",)
EVERY: tuple[Task, ...] = ("binary", "multiclass", "regression", "ranking")
EXAMPLES = [
    Example({"family": "lightgbm", "max_rounds": 40, "early_stopping_rounds": 5}, EVERY),
    Example({"family": "xgboost", "max_rounds": 40, "early_stopping_rounds": 5}, EVERY),
    Example(
        {
            "family": "keras",
            "max_rounds": 40,
            "early_stopping_rounds": 5,
            "hyperparameters": {"hidden_layers": 1, "units": 32, "learning_rate": 0.02, "batch_size": 32},
        },
        CLASSIFIERS + REGRESSORS,
    ),
    Example({"family": "scikit", "estimator": "LogisticRegression"}, CLASSIFIERS),
    Example({"family": "scikit", "estimator": "LinearSVC"}, CLASSIFIERS),
    Example({"family": "scikit", "estimator": "RandomForestClassifier", "hyperparameters": {"n_estimators": 20}}, CLASSIFIERS),
    Example({"family": "scikit", "estimator": "ExtraTreesRegressor", "hyperparameters": {"n_estimators": 20}}, REGRESSORS),
    Example({"family": "scikit", "estimator": "Ridge"}, REGRESSORS),
]
LEFT_OUT = set() if importlib.util.find_spec("tensorflow") else {"keras"}  # installed by make extras
EXAMPLES = [example for example in EXAMPLES if example.settings["family"] not in LEFT_OUT]
CASES = [pytest.param(example, task, id=f"{example.name}-{task}") for example in EXAMPLES for task in example.tasks]


def sales(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Raw columns of every kind with a signal in them, some values missing; and a label for each task."""
    random = np.random.default_rng(seed)
    price, shop = random.normal(size=rows), random.choice(["north", "south", "west", "rare"], rows, p=[0.5, 0.3, 0.18, 0.02])
    signal = 1.5 * price + np.select([shop == "north", shop == "south"], [1.0, -1.0], 0.0) + 0.5 * random.normal(size=rows)
    return pd.DataFrame(
        {
            "price": np.where(random.random(rows) < 0.1, np.nan, price),
            "shop": pd.Series(shop, dtype="str").where(random.random(rows) > 0.1),
            "member": random.random(rows) > 0.5,
            "day": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 8760, rows), "h"),
            "label_regression": 10 * signal,
            "label_binary": np.where(signal > 0, "yes", "no"),
            "label_multiclass": np.select([signal < -1, signal < 1], [3, 5], 7),
            "label_ranking": np.clip(np.round(signal), 0, 3),
        }
    )


def labelled(task: Task, rows: int = 300, seed: int = 0) -> pd.DataFrame:
    return sales(rows, seed).assign(label=lambda frame: frame[f"label_{task}"])


def fitting(task: Task, seed: int = 0, threads: int = 1, metric: str | None = None) -> Fitting:
    return Fitting(TARGETS[task], METRICS[metric or DEFAULTS[task][0]], seed, threads)


def matrices(model: Model, task: Task) -> tuple[Matrix, Matrix, Features]:
    """Training rows, rows to score, and the features fitted on the former."""
    return _matrices(model.encoding, task)


@functools.cache
def _matrices(encoding: Encoding, task: Task) -> tuple[Matrix, Matrix, Features]:
    kinds = {"price": "number", "shop": "category", "member": "number", "day": "date"}
    columns = Columns(TARGETS[task], kinds)  # type: ignore[arg-type]
    train, valid = labelled(task), labelled(task, 200, seed=1)
    features = build_features.plain(columns, FeatureSettings(rare=5), encoding).fit(train)
    known, scored = (
        matrix(features, rows, encode(TARGETS[task], rows["label"]), query=np.arange(len(rows)) % (len(rows) // QUERY))
        if task == "ranking"  # rows of a query do not stand side by side
        else matrix(features, rows, encode(TARGETS[task], rows["label"]))
        for rows in (train, valid)
    )
    return known, scored, features


def fit(model: Model, task: Task, early: bool = False, **chosen: Any) -> Native:
    train, valid, _ = matrices(model, task)
    return model.fit(model.prepare(train, valid if early else None, fitting(task, **chosen)), fitting(task, **chosen))


def predictions(model: Model, task: Task, **chosen: Any) -> Floats:
    return fit(model, task, **chosen).predict(matrices(model, task)[1].values)


def scores(model: Model, task: Task, raw: Floats) -> Scores:
    valid = matrices(model, task)[1]
    return score(DEFAULTS[task], valid.truth, raw, valid.query)


def test_every_family_has_an_example() -> None:
    families = {family.model_fields["family"].annotation.__args__[0] for family in FAMILIES}  # type: ignore[union-attr]
    found = {example.settings["family"] for example in EXAMPLES}
    assert families - LEFT_OUT == found
    assert {task for example in EXAMPLES for task in example.tasks} == set(TARGETS)


@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_fitted_model_predicts_in_the_shape_that_metrics_take_and_better_than_chance(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    raw = predictions(model, task)
    assert raw.dtype == np.float64
    assert np.isfinite(raw).all()
    found = scores(model, task, raw)
    if task == "regression":
        assert raw.shape == (200,)
        assert found["r2"] > 0.5
    elif task == "ranking":
        assert raw.shape == (200,)
        assert found["ndcg"] > 0.85
    else:
        assert raw.shape == ((200, 3) if task == "multiclass" else (200,))
        assert raw.min() >= 0
        assert raw.max() <= 1
        assert found["roc_auc"] > 0.8
    if task == "multiclass":
        np.testing.assert_allclose(raw.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("example", "task"), CASES)
def test_the_same_seed_gives_the_same_predictions_with_one_thread_or_two(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    once, again, by_two = (predictions(model, task, early=True, threads=threads) for threads in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    if model.family == "xgboost":
        np.testing.assert_allclose(once, by_two, atol=1e-5)
    else:
        np.testing.assert_array_equal(once, by_two)


@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_fit_stops_early_on_validation_rows_only_and_reports_its_rounds(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    if model.rounds_name is None:
        assert fit(model, task, early=True).rounds is None
        return
    early, straight = fit(model, task, early=True), fit(model, task)
    assert early.rounds is not None
    assert 1 <= early.rounds < 40
    assert straight.rounds == (30 if model.family == "keras" else 200)  # whatever max_rounds says, which is for folds
    exactly = model.with_hyperparameters({model.rounds_name: early.rounds})
    rows = matrices(model, task)[1].values
    np.testing.assert_array_equal(fit(exactly, task).predict(rows), early.predict(rows))
    assert fit(exactly, task).rounds == early.rounds


@pytest.mark.parametrize(("example", "task"), CASES)
def test_rounds_that_are_given_are_all_trained_whatever_the_validation_rows_say(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    if model.rounds_name is not None:
        assert fit(model.with_hyperparameters({model.rounds_name: 45}), task, early=True).rounds == 45


@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_fit_tells_what_it_watched_exactly_as_the_model_answers(example: Example, task: Task) -> None:
    model, asked = parse_model(example.settings), fitting(task)
    native, (_, valid, _) = fit(model, task, early=True), matrices(model, task)
    if native.valid_prediction is None or native.curve is None:
        assert model.rounds_name is None
        return
    np.testing.assert_array_equal(native.valid_prediction, native.predict(valid.values))
    value = asked.metric.of(valid.truth, native.valid_prediction, valid.query)
    best = min if asked.metric.loss(1.0) > 0 else max
    assert value == pytest.approx(best(native.curve), rel=1e-12)
    assert native.rounds == 1 + int(np.argmin([asked.metric.loss(each) for each in native.curve]))
    assert len(native.curve) <= min(40, native.rounds + 5)


@pytest.mark.parametrize(("example", "task"), CASES)
def test_the_size_is_the_same_whenever_the_model_is_and_grows_with_it(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    once, again = fit(model, task, early=True), fit(model, task, early=True, threads=2)
    assert once.size == again.size
    assert once.size is not None
    if model.rounds_name and model.family != "keras":  # a network's epochs add nothing to its weights
        more = fit(model.with_hyperparameters({model.rounds_name: (once.rounds or 0) + 20}), task)
        assert (more.size or 0) > once.size


@pytest.mark.parametrize(("example", "task"), CASES)
def test_what_was_stored_trains_to_the_very_same_model(example: Example, task: Task, tmp_path: Path) -> None:
    model, asked = parse_model(example.settings), fitting(task)
    train, valid, _ = matrices(model, task)
    weighted = replace(train, weight=np.linspace(0.5, 1.5, len(train.truth)))
    prepared = model.prepare(weighted, valid, asked)
    if not model.store(prepared, tmp_path):
        with pytest.raises(NotImplementedError, match="stores nothing"):
            model.restore(tmp_path, asked)
        return
    drawn = {"bagging_fraction": 0.7, "feature_fraction": 0.7} if model.family == "lightgbm" else {}
    chosen = model.with_hyperparameters({**defaults(model.default_space(task)), **drawn})
    built, read = chosen.fit(prepared, asked), chosen.fit(model.restore(tmp_path, asked), asked)
    assert built.rounds == read.rounds
    for one, other in ((built.curve, read.curve), (built.valid_prediction, read.valid_prediction)):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(built.predict(valid.values), read.predict(valid.values))


EVEN = {
    "lightgbm": {"min_data_in_leaf": 1, "min_data_in_bin": 1, "max_cat_to_onehot": 9, "num_leaves": 4, "num_iterations": 20},
    "xgboost": {"max_depth": 2, "num_boost_round": 20},
    "keras": {"batch_size": 1000, "dropout": 0.0, "learning_rate": 0.01, "epochs": 30},
    "RandomForestClassifier": {"n_estimators": 5, "bootstrap": False, "max_features": 1.0, "max_depth": 3},
    "ExtraTreesRegressor": {"n_estimators": 5, "max_features": 1.0, "max_depth": 2},
    "LogisticRegression": {"tol": 1e-10, "max_iter": 10_000},
}
"""What keeps a family from counting rows where it should count their weights."""
LOOSELY = {"LinearSVC": 0.1, "ExtraTreesRegressor": 5.0}
"""Calibrated on other folds, or cut at random places: close, not equal."""


@pytest.mark.parametrize(("example", "task"), [case for case in CASES if case.values[1] != "ranking"])
def test_a_weight_of_two_is_a_row_that_stands_there_twice(example: Example, task: Task) -> None:
    model = parse_model({**example.settings, "hyperparameters": EVEN.get(example.name, {})})
    train, valid, _ = matrices(model, task)
    values = np.round(train.values, 1)
    times = 1 + np.arange(len(values)) % 2
    weighted = replace(train, values=values, weight=times.astype(np.float64))
    repeated = replace(train, values=values.repeat(times, axis=0), truth=train.truth.repeat(times))
    plain = replace(train, values=values)
    asked = fitting(task)
    by_weight, by_rows, alike = (
        model.fit(model.prepare(rows, None, asked), asked).predict(valid.values) for rows in (weighted, repeated, plain)
    )
    np.testing.assert_allclose(by_weight, by_rows, atol=LOOSELY.get(example.name, 1e-3))
    assert np.abs(by_weight - alike).max() > 1e-3


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_portfolio_lies_within_the_default_space(example: Example) -> None:
    model, task = parse_model(example.settings), example.tasks[0]
    space = model.default_space(task)
    for chosen in model.portfolio(task):
        for name, value in chosen.items():
            parameter: Any = space[name]
            assert value in parameter.choices if isinstance(parameter, Categorical) else parameter.low <= value <= parameter.high
    assert len(set(map(str, model.portfolio(task)))) == len(model.portfolio(task))


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
def test_an_early_stop_can_watch_any_metric(family: str, metric: Any) -> None:
    model = parse_model({"family": family, "max_rounds": 12, "early_stopping_rounds": 3})
    for task in sorted(metric.tasks):
        assert 1 <= (fit(model, task, early=True, metric=metric.name).rounds or 0) <= 12


@pytest.mark.parametrize(("example", "task"), CASES)
def test_importances_belong_to_the_columns_of_the_matrix(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    train, _, features = matrices(model, task)
    assert train.values.shape[1] == len(features.names) == len(train.names)
    importance = fit(model, task).importance
    if importance is not None:
        assert features.names[int(np.argmax(importance))] == "price"


@pytest.mark.parametrize(("example", "task"), CASES)
def test_settings_survive_json(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    chosen = model.with_hyperparameters(defaults(model.default_space(task)))
    again = parse_model(json.loads(json.dumps(chosen.model_dump(mode="json"))))
    assert again == chosen
    assert type(again) is type(model)
    assert model.hyperparameters == example.settings.get("hyperparameters", {})  # and the first is as it was


@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_trial_at_the_defaults_of_the_space_fits(example: Example, task: Task) -> None:
    model = parse_model(example.settings)
    space = model.searched(task)
    assert not set(space) & set(model.hyperparameters)
    first = defaults(space)
    assert set(first) == set(space)
    assert np.isfinite(predictions(model.with_hyperparameters(first), task, early=True)).all()


@pytest.mark.parametrize(("example", "task"), CASES)
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_trial_at_either_end_of_the_space_fits(example: Example, task: Task, end: str) -> None:
    model = parse_model(example.settings)
    extreme = {
        name: parameter.choices[0 if end == "low" else -1] if isinstance(parameter, Categorical) else getattr(parameter, end)
        for name, parameter in model.searched(task).items()
    }
    assert np.isfinite(predictions(model.with_hyperparameters(extreme), task, early=True)).all()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
@pytest.mark.parametrize("place", ["hyperparameters", "space"])
def test_a_parameter_nobody_knows_is_refused_before_anything_runs(example: Example, place: str) -> None:
    content: Any = {"learning_raet": 0.1} if place == "hyperparameters" else {"learning_raet": {"type": "float", "low": 0.1, "high": 1}}
    with pytest.raises(TrainingFailed, match=rf"{place}.learning_raet: \w+ has no such parameter"):
        parse_model({**example.settings, place: content})


@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_class_that_the_training_rows_lack_is_predicted_with_probability_nought(example: Example, task: Task) -> None:
    if task != "multiclass":
        return
    model = parse_model(example.settings)
    train, valid, _ = matrices(model, task)
    kept = train.truth != 1  # the middle one: the others must keep their places
    part = Matrix(train.values[kept], train.truth[kept], train.names, train.categorical)
    raw = model.fit(model.prepare(part, None, fitting(task)), fitting(task)).predict(valid.values)
    assert raw.shape == (200, 3)
    assert raw[:, 1].max() < 0.05
    assert score(("accuracy",), valid.truth[valid.truth != 1], raw[valid.truth != 1])["accuracy"] > 0.9


LOADER = """
import json, sys
for name in ("tasks", "flows", "configs"):
    sys.modules[name] = None  # an import of the project fails, as it would where it is not installed
import pandas as pd
import mlflow.pyfunc
for folder in sys.argv[1:]:
    model = mlflow.pyfunc.load_model(folder + "/saved")
    for kind in json.load(open(folder + "/kinds.json")):
        model.predict(pd.read_parquet(f"{folder}/{kind}.parquet")).to_json(f"{folder}/{kind}.json", orient="split", double_precision=15)
"""
KINDS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "many": lambda frame: frame,
    "one": lambda frame: frame.head(1),
    "missing": lambda frame: frame.assign(price=np.nan, shop=None, day=pd.NaT),
    "unseen": lambda frame: frame.assign(shop="never seen", price=np.inf),
    "shuffled": lambda frame: frame[frame.columns[::-1]],
    "none": lambda frame: frame.head(0),
}


def served_frame(kind: str) -> pd.DataFrame:
    """What a client sends: times without a zone, numbers as float."""
    frame = sales(40, seed=2)[["price", "shop", "member", "day"]].astype({"member": float})
    return KINDS[kind](frame.assign(day=frame["day"].dt.tz_localize(None)))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Task], tuple[Path, Fitted]]:
    """Every example saved through MLflow, and asked in one clean process that cannot import this project nor read a pickle."""
    import mlflow.pyfunc

    made = {}
    for example in EXAMPLES:
        for task in example.tasks:
            folder = tmp_path_factory.mktemp(f"{example.name}-{task}")
            model = parse_model(example.settings)
            train, valid, features = matrices(model, task)
            native = model.fit(model.prepare(train, valid, fitting(task)), fitting(task))
            fitted = Fitted(model, features, native, TARGETS[task])
            code = fitted.save(folder)
            mlflow.pyfunc.save_model(
                folder / "saved", python_model=str(code), artifacts={"model": str(folder / "model")}, pip_requirements=["mlflow"]
            )
            for kind in KINDS:
                served_frame(kind).to_parquet(folder / f"{kind}.parquet")
            (folder / "kinds.json").write_text(json.dumps(list(KINDS)))
            made[example.name, task] = folder, fitted
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("home")), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    folders = [str(folder) for folder, _ in made.values()]
    subprocess.run([sys.executable, "-I", "-c", LOADER, *folders], check=True, env=environment, cwd=environment["HOME"], timeout=120)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_saved_model_answers_alike_in_a_clean_process(elsewhere: Any, example: Example, task: Task, kind: str) -> None:
    folder, fitted = elsewhere[example.name, task]
    answered = pd.read_json(folder / f"{kind}.json", orient="split", precise_float=True)
    frame = served_frame(kind)
    if kind == "none":
        assert len(answered) == 0
        return
    expected = answer(fitted.plan, fitted.predict(frame))
    pd.testing.assert_frame_equal(answered, expected, check_dtype=False, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("example", "task"), CASES)
def test_a_saved_model_holds_no_pickle(elsewhere: Any, example: Example, task: Task) -> None:
    folder, _ = elsewhere[example.name, task]
    files = [path for path in (folder / "saved").rglob("*") if path.is_file()]
    assert {path.suffix for path in files if path.parent.name == "model"} <= {".json", ".keras", ".txt", ".ubj", ".skops"}
    for path in files:
        assert path.suffix not in (".pkl", ".pickle", ".joblib")
        assert not path.read_bytes().startswith(b"\x80")  # how every binary pickle begins


@pytest.mark.parametrize(("example", "task"), CASES)
def test_the_plan_says_what_serving_needs(elsewhere: Any, example: Example, task: Task) -> None:
    folder, fitted = elsewhere[example.name, task]
    plan = json.loads((folder / "model" / "plan.json").read_text())
    assert plan == fitted.plan
    assert (plan["task"], plan["target"], plan["family"]) == (task, "label", example.settings["family"])
    assert tuple(plan["classes"]) == TARGETS[task].classes


def test_a_model_file_with_types_from_elsewhere_is_refused(tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.extra = TrainingFailed("not of scikit-learn")
    skops.io.dump(model, tmp_path / "model.skops")
    (tmp_path / "plan.json").write_text('{"classes": [0, 1]}')
    with pytest.raises(ValueError, match=r"types that are no part of scikit-learn's models: tasks.errors.TrainingFailed"):
        Scikit.load_native(str(tmp_path))


def test_a_model_file_that_would_run_a_command_is_refused(tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.predict_proba = os.system
    skops.io.dump(model, tmp_path / "model.skops")
    (tmp_path / "plan.json").write_text('{"classes": [0, 1]}')
    with pytest.raises(ValueError, match=r"no part of scikit-learn's models: posix.system"):
        Scikit.load_native(str(tmp_path))
