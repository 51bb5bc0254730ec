"""What a saved model says of itself, and how raw columns are put to it."""

from __future__ import annotations

import json
from importlib.metadata import version

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from tasks.homes import Home
from tasks.registry.digesting import MANIFEST, fetched, file_digests
from tasks.registry.saving import EXAMPLE_FILE, answer_of, save_model, to_serve
from tasks.stage import Timing
from tasks.tracking import connect, open_run
from tests.tasks.models.test_families import labelled
from tests.tasks.registry.test_proving import OTHER, TREES, fitted


def test_a_saved_model_describes_itself(store: Home) -> None:
    model, rows = fitted(TREES, "multiclass"), labelled("multiclass", 30)
    with open_run(connect(store, "shop"), "retrain", {}, Timing()) as run:
        uri = save_model(run, model, rows, "shop", {"evertune.family": "lightgbm"})
    with fetched(uri) as folder:
        described = yaml.safe_load((folder / "MLmodel").read_text())
        digests = file_digests(folder)
        example = json.loads((folder / EXAMPLE_FILE).read_text())["dataframe_split"]
        wanted = (folder / "requirements.txt").read_text().splitlines()
    inputs = {column["name"]: column["type"] for column in json.loads(described["signature"]["inputs"])}
    assert inputs == {"price": "double", "shop": "string", "member": "double", "day": "datetime"}
    outputs = [column["name"] for column in json.loads(described["signature"]["outputs"])]
    assert outputs == ["prediction", "probability_3", "probability_5", "probability_7"]
    assert example["columns"] == list(inputs)
    assert len(example["data"]) == 3
    assert wanted == [f"{name}=={version(name)}" for name in ("mlflow", "lightgbm", "numpy", "pandas")]
    assert described["metadata"].pop(MANIFEST) == {
        path: digest for path, digest in digests.items() if path.startswith("artifacts/") or path == "served_model.py"
    }
    assert described["metadata"] == {"evertune.family": "lightgbm"}


def test_each_member_of_a_blend_is_in_the_list_of_files(store: Home) -> None:
    model, rows = fitted({"family": "blend", "members": [TREES, OTHER]}, "binary"), labelled("binary", 30)
    with open_run(connect(store, "shop"), "retrain", {}, Timing()) as run:
        uri = save_model(run, model, rows, "shop", {})
    written = mlflow.models.Model.load(uri).metadata[MANIFEST]
    places = ("1-lightgbm/model.txt", "1-lightgbm/plan.json", "2-xgboost/model.ubj", "2-xgboost/plan.json", "plan.json")
    assert sorted(written) == [*(f"artifacts/model/{place}" for place in places), "served_model.py"]


def test_columns_are_put_to_a_model_in_its_own_order_and_types_and_no_others() -> None:
    model, rows = fitted(TREES, "binary"), labelled("binary", 30)
    odd = rows[rows.columns[::-1]].assign(
        price=np.arange(30), member=[None, True] * 15, shop=[7, 7.0, None] * 10, day=["2024-01-01", "2024-01-01T02:00+02:00", None] * 10
    )
    served = to_serve(odd, model)
    assert {name: str(dtype) for name, dtype in served.dtypes.items()} == {
        "price": "float64",
        "shop": "str",
        "member": "float64",
        "day": "datetime64[us]",
    }
    assert served["shop"].tolist()[:2] == ["7", "7"]
    assert served["shop"].isna().tolist()[:3] == [False, False, True]
    assert served["member"].tolist()[1] == 1.0
    assert served["day"].tolist()[:3] == [pd.Timestamp("2024-01-01")] * 2 + [pd.NaT]


@pytest.mark.parametrize("settings", [TREES, OTHER], ids=["lightgbm", "xgboost"])
def test_the_order_of_columns_and_further_ones_change_no_answer(settings: dict[str, object]) -> None:
    model, rows = fitted(settings, "binary"), labelled("binary", 50)
    plain, turned = answer_of(model, rows), answer_of(model, rows[rows.columns[::-1]].assign(more="x"))
    pd.testing.assert_frame_equal(plain, turned)
